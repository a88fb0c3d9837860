package adaptive

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// The experiments: a server of 30 workers, 100 ms a call, so 300 calls a second, whose callers wait for a second.
// Each has a control arm without a limiter, which must fail, and runs with seeds drawn anew.

const (
	workers  = 30
	capacity = float64(workers) * float64(time.Second) / float64(serviceTime)
	seeds    = 5
)

// experiment runs trial for each seed and kind of service, in parallel.
func experiment(t *testing.T, trial func(t *testing.T, seed uint64, service func(float64, *rand.Rand) time.Duration)) {
	t.Helper()
	skipUnderRace(t)
	for name, service := range map[string]func(float64, *rand.Rand) time.Duration{"constant": constant, "log-normal": spread} {
		t.Run(name, func(t *testing.T) {
			for range seeds {
				seed := rand.Uint64()
				t.Logf("seed %d", seed)
				trial(t, seed, service)
			}
		})
	}
}

// skipUnderRace: the experiments have one goroutine, and the detector has nothing to find but minutes.
func skipUnderRace(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("one goroutine")
	}
}

// server is the world at so many times its capacity.
func server(load float64, service func(float64, *rand.Rand) time.Duration, c Config) *world {
	return &world{
		rate: steady(load * capacity), workers: crew(workers), service: service, config: c, patience: time.Second,
	}
}

// goodput is the mean a second.
func goodput(seconds []second) float64 {
	sum := 0
	for _, s := range seconds {
		sum += s.good
	}
	return float64(sum) / float64(len(seconds))
}

func rejectedShare(seconds []second) float64 {
	rejected, arrived := 0, 0
	for _, s := range seconds {
		rejected += s.rejected
		arrived += s.arrived
	}
	return float64(rejected) / float64(arrived)
}

func p99(seconds []second) time.Duration {
	var all []time.Duration
	for _, s := range seconds {
		all = append(all, s.latencies...)
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}

// unloaded is the p99 of a server with little to do.
func unloaded(t *testing.T, seed uint64, service func(float64, *rand.Rand) time.Duration) time.Duration {
	t.Helper()
	w := server(0.2, service, Config{})
	w.open = true
	return p99(w.run(t, seed, 40))
}

func TestExperimentOverload(t *testing.T) {
	t.Parallel()
	experiment(t, func(t *testing.T, seed uint64, service func(float64, *rand.Rand) time.Duration) {
		idle := unloaded(t, seed, service)
		for _, load := range []float64{1.5, 2, 5, 10} {
			after := server(load, service, Config{}).run(t, seed, 30)[5:]
			if g := goodput(after); g < 0.9*capacity {
				t.Errorf("load %v: goodput %.0f of %.0f", load, g, capacity)
			}
			if p := p99(after); p > 3*idle {
				t.Errorf("load %v: p99 %v, unloaded %v", load, p, idle)
			}
		}
		control := server(1.5, service, Config{})
		control.open = true
		if g := goodput(control.run(t, seed, 30)[5:]); g > 0.2*capacity {
			t.Errorf("void: without a limiter goodput is %.0f", g)
		}
	})
}

// TestExperimentNoOverload: at 0.7 of the capacity a limiter rejects nobody to speak of; one fixed at half the
// workers does.
func TestExperimentNoOverload(t *testing.T) {
	t.Parallel()
	experiment(t, func(t *testing.T, seed uint64, service func(float64, *rand.Rand) time.Duration) {
		if r := rejectedShare(server(0.7, service, Config{}).run(t, seed, 60)[5:]); r > 0.01 {
			t.Errorf("%.2f %% rejected", 100*r)
		}
		control := server(0.7, service, Config{MaxLimit: workers / 2})
		if r := rejectedShare(control.run(t, seed, 60)[5:]); r < 0.05 {
			t.Errorf("void: with half of the slots %.2f %% are rejected", 100*r)
		}
	})
}

// TestExperimentStep: from 0.7 of the capacity to ten times in an instant.
func TestExperimentStep(t *testing.T) {
	t.Parallel()
	experiment(t, func(t *testing.T, seed uint64, service func(float64, *rand.Rand) time.Duration) {
		world := func() *world {
			w := server(0.7, service, Config{})
			w.rate = func(at float64) float64 {
				if at < 20 {
					return 0.7 * capacity
				}
				return 10 * capacity
			}
			return w
		}
		seconds := world().run(t, seed, 40)
		if g := goodput(seconds[22:30]); g < 0.85*capacity { // a hair below 0.9 in one run of some hundred
			t.Errorf("goodput %.0f two seconds after the step", g)
		}
		if g := goodput(seconds[25:]); g < 0.9*capacity {
			t.Errorf("goodput %.0f five seconds after the step", g)
		}
		control := world()
		control.open = true
		if g := goodput(control.run(t, seed, 30)[22:]); g > 0.2*capacity {
			t.Errorf("void: without a limiter goodput is %.0f", g)
		}
	})
}

// TestExperimentCapacityHalves, in two ways that latency alone cannot tell apart: half of the workers go, so that calls
// queue, or calls take twice as long, so that they do not. A limiter whose baseline never moves under overload fails the
// second: it is the control.
func TestExperimentCapacityHalves(t *testing.T) {
	t.Parallel()
	const from, to = 20, 50
	during := func(at float64) bool { return at >= from && at < to }
	experiment(t, func(t *testing.T, seed uint64, service func(float64, *rand.Rand) time.Duration) {
		fewer := func(c Config) *world {
			w := server(1.5, service, c)
			w.workers = func(at float64) int {
				if during(at) {
					return workers / 2
				}
				return workers
			}
			return w
		}
		slower := func(c Config) *world {
			w := server(1.5, service, c)
			w.service = func(at float64, rng *rand.Rand) time.Duration {
				if d := service(at, rng); !during(at) {
					return d
				} else {
					return 2 * d
				}
			}
			return w
		}
		for name, world := range map[string]func(Config) *world{"half of the workers": fewer, "twice as slow": slower} {
			s := world(Config{}).run(t, seed, 80)
			if g := goodput(s[from+5 : to]); g < 0.9*capacity/2 {
				t.Errorf("%s: goodput %.0f of %.0f from 5 s on", name, g, capacity/2)
			}
			if g := goodput(s[to+5:]); g < 0.9*capacity {
				t.Errorf("%s, and back: goodput %.0f of %.0f from 5 s on", name, g, capacity)
			}
			t.Logf("%s: goodput %.0f in seconds 3 to 5 of the change, %.0f of the return",
				name, goodput(s[from+2:from+5]), goodput(s[to+2:to+5]))
		}
		control := fewer(Config{})
		control.open = true
		if g := goodput(control.run(t, seed, 80)[from+5 : to]); g > 0.2*capacity/2 {
			t.Errorf("void: without a limiter goodput is %.0f", g)
		}
		stubborn := slower(Config{MaxHealthyLatency: serviceTime, Probe: -1})
		if g := goodput(stubborn.run(t, seed, 80)[from+5 : to]); g > 0.7*capacity/2 {
			t.Errorf("void: with a baseline that cannot follow goodput is %.0f", g)
		}
	})
}

// TestExperimentNoDrift: a quarter of an hour at three times the load. An oracle would let 30 calls run. The control
// learns its baseline from all windows, those under overload too.
func TestExperimentNoDrift(t *testing.T) {
	t.Parallel()
	skipUnderRace(t)
	const minutes, oracle = 15, workers
	for i := range seeds {
		seed, service := rand.Uint64(), constant
		if i%2 == 1 {
			service = spread
		}
		t.Logf("seed %d", seed)
		s := server(3, service, Config{}).run(t, seed, 60*minutes)
		for m := 1; m < minutes; m++ {
			minute := s[60*m : 60*(m+1)]
			if limit := meanLimit(minute); limit > 1.5*oracle {
				t.Errorf("minute %d: the limit is %.1f", m, limit)
			}
			if g := goodput(minute); g < 0.9*capacity {
				t.Errorf("minute %d: goodput %.0f", m, g)
			}
		}
	}
	t.Run("control", func(t *testing.T) {
		if limit := thawed(t, 3000); limit < 3*oracle {
			t.Errorf("void: a baseline that is not frozen makes the limit %.1f", limit)
		}
	})
}

func meanLimit(seconds []second) (mean float64) {
	for _, s := range seconds {
		mean += s.limit / float64(len(seconds))
	}
	return mean
}

// thawed is the limit after n windows of overload, in a backend where latency is in proportion to the calls in
// flight, with a baseline that learns from every window.
func thawed(t *testing.T, n int) float64 {
	t.Helper()
	c, err := prepare(Config{Probe: -1})
	if err != nil {
		t.Fatal(err)
	}
	m := begin(&c)
	for range n {
		latency := max(float64(serviceTime), m.limit/workers*float64(serviceTime))
		w := sample{span: c.Window, count: 30, latency: latency, running: m.limit, most: int(m.limit), refused: true}
		base := m.base.learn(&c, w, false)
		m = m.next(&c, w, 0, 0)
		m.base = base
	}
	return m.limit
}

// TestExperimentClasses: four times the load, of which a fifth (0.8 of the capacity) is of the highest class. The control
// has no classes.
func TestExperimentClasses(t *testing.T) {
	t.Parallel()
	alone := Config{Queue: core.None, ShareCritical: 0.5, ShareSheddablePlus: 0.4, ShareSheddable: 0.3}
	for name, config := range map[string]Config{"queue": {}, "no queue": alone} {
		experiment(t, func(t *testing.T, seed uint64, service func(float64, *rand.Rand) time.Duration) {
			share := 0.2
			if config.Queue == core.None {
				share = 0.1 // slots held back are all that there is
			}
			world := func(classed bool) *world {
				w := server(4, service, config)
				w.call = func(rng *rand.Rand) core.Call {
					c := core.Call{Key: core.KeyOfWords(rng.Uint64N(500)+1, 7)}
					top := rng.Float64() < share
					switch {
					case classed && top:
						c.Class = core.CriticalPlus
					case classed:
						c.Class = core.Critical + core.Class(rng.IntN(3))
					}
					return c
				}
				return w
			}
			arrived, good := topOf(world(true).run(t, seed, 30)[5:], 0)
			if ratio := good / arrived; ratio < 0.99 {
				t.Errorf("%s: %.2f %% of the highest class succeeded", name, 100*ratio)
			}
			arrived, good = topOf(world(false).run(t, seed, 30)[5:], 1)
			if ratio := good / arrived; ratio > 0.5 {
				t.Errorf("void: without classes %.2f %% succeeded", 100*ratio)
			}
		})
	}
}

func topOf(seconds []second, rank int) (arrived, good float64) {
	for _, s := range seconds {
		arrived += float64(s.classes[rank].arrived)
		good += float64(s.classes[rank].good)
	}
	return arrived, good
}

// TestExperimentRejectionCost: a rejection takes the server's time too, 2 to 20 % of a call's. What is left must be used.
func TestExperimentRejectionCost(t *testing.T) {
	t.Parallel()
	experiment(t, func(t *testing.T, seed uint64, service func(float64, *rand.Rand) time.Duration) {
		for _, trial := range []struct{ load, cost float64 }{{10, 0.02}, {5, 0.05}, {2, 0.2}} {
			w := server(trial.load, service, Config{})
			w.rejectCost = time.Duration(trial.cost * float64(serviceTime))
			s := w.run(t, seed, 25)[5:]
			var spent time.Duration
			for i := range s {
				spent += s[i].spent
			}
			share := spent.Seconds() / float64(len(s)*workers)
			if g := goodput(s); g < 0.9*(1-share)*capacity {
				t.Errorf("load %v, a rejection costs %v: goodput %.0f of %.0f", trial.load, trial.cost, g, (1-share)*capacity)
			}
		}
		control := server(2, service, Config{})
		control.open = true
		if g := goodput(control.run(t, seed, 25)[5:]); g > 0.2*capacity {
			t.Errorf("void: without a limiter goodput is %.0f", g)
		}
	})
}

// TestExperimentStall: the server stands still for ten seconds, at 0.93 of its capacity. Without a limiter it works
// off what nobody waits for any more, for two minutes.
func TestExperimentStall(t *testing.T) {
	t.Parallel()
	const from, to = 20, 30
	experiment(t, func(t *testing.T, seed uint64, service func(float64, *rand.Rand) time.Duration) {
		world := func(open bool) *world {
			w := server(0.93, service, Config{})
			w.open = open
			w.service = func(at float64, rng *rand.Rand) time.Duration {
				d := service(at, rng)
				if at >= from && at < to {
					d += time.Duration((to - at) * float64(time.Second))
				}
				return d
			}
			return w
		}
		s := world(false).run(t, seed, 50)
		if g := goodput(s[to+2:]); g < 0.95*0.93*capacity {
			t.Errorf("goodput %.0f two seconds after the stall", g)
		}
		if g := goodput(world(true).run(t, seed, 50)[to+2:]); g > 0.2*capacity {
			t.Errorf("void: without a limiter goodput is %.0f", g)
		}
	})
}

// TestExperimentStableShedding: at twice the load the same users are served throughout, most of them always or never,
// where chance would serve each of them now and then.
func TestExperimentStableShedding(t *testing.T) {
	t.Parallel()
	skipUnderRace(t)
	const users = 200
	torn := func(t *testing.T, seed uint64, keyed bool) float64 {
		w := server(2, constant, Config{})
		var calls, served [users]float64
		w.call = func(rng *rand.Rand) core.Call {
			u := rng.IntN(users)
			c := core.Call{}
			if keyed {
				c.Key = core.KeyOfWords(uint64(u)+1, 3)
			}
			if w.now > w.began.Add(10*time.Second) {
				calls[u]++
				if level(rank(c.Class), c.Key, turnOf(w.now), rng.Uint64()) <= int(w.l.gate.cut.Load()) {
					served[u]++
				}
			}
			return c
		}
		w.run(t, seed, 40)
		n := 0.0
		for u := range users {
			if share := served[u] / calls[u]; share > 0.1 && share < 0.9 {
				n++
			}
		}
		return n / users
	}
	for range seeds {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		if share := torn(t, seed, true); share > 0.3 {
			t.Errorf("%.0f %% of the users are served now and then", 100*share)
		}
		if share := torn(t, seed, false); share < 0.9 {
			t.Errorf("void: without keys %.0f %% are", 100*share)
		}
	}
}

// TestExperimentOtherAlgorithms holds vegas and aimd to less: they are there for those who want them.
func TestExperimentOtherAlgorithms(t *testing.T) {
	t.Parallel()
	for _, config := range []Config{{Algorithm: Vegas}, {Algorithm: AIMD, MaxHealthyLatency: 2 * serviceTime}} {
		experiment(t, func(t *testing.T, seed uint64, service func(float64, *rand.Rand) time.Duration) {
			for _, load := range []float64{1.5, 5} {
				s := server(load, service, config).run(t, seed, 25)[10:]
				if g := goodput(s); g < 0.85*capacity {
					t.Errorf("%v, load %v: goodput %.0f", config.Algorithm, load, g)
				}
				if limit := meanLimit(s); limit > 3*workers {
					t.Errorf("%v, load %v: limit %.1f", config.Algorithm, load, limit)
				}
			}
		})
	}
}

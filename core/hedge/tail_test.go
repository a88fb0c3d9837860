package hedge

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// seeds is how often each experiment is made.
func seeds() int {
	if raceEnabled {
		return 1
	}
	return 5
}

// leaf is a call of the experiment in "The Tail at Scale": 98.5 % of them take 4ms or so, 1.5 % have a long tail.
type leaf struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func (l *leaf) draw() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rng.Float64() < 0.985 {
		return time.Duration(4 * float64(ms) * math.Exp(0.6*l.rng.NormFloat64()))
	}
	return min(time.Duration(10*float64(ms)*math.Pow(1-l.rng.Float64(), -1/1.1)), 2*time.Second)
}

// fleet answers calls, and watches what is going on.
type fleet struct {
	leaf
	mu       sync.Mutex
	start    time.Time
	slowFrom time.Duration // everything takes ten times as long
	slowTo   time.Duration
	attempts []time.Duration // when each began
	inFlight int
}

func (f *fleet) serve(ctx context.Context) (int, error) {
	now := time.Since(f.start)
	takes := f.draw()
	if now >= f.slowFrom && now < f.slowTo {
		takes *= 10
	}
	f.mu.Lock()
	f.attempts = append(f.attempts, now)
	f.inFlight++
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.inFlight--
		f.mu.Unlock()
	}()
	t := time.NewTimer(takes)
	defer t.Stop()
	select {
	case <-t.C:
		return 1, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// fan sends requests of so many calls each at random times, and returns how long each request took: as long as the
// slowest of its calls.
func fan(seed uint64, h *Hedge, f *fleet, requests, out int, apart time.Duration) (took []time.Duration) {
	rng := rand.New(rand.NewPCG(seed, 71))
	took = make([]time.Duration, requests)
	var all sync.WaitGroup
	for i := range requests {
		all.Go(func() {
			began := time.Now()
			var one sync.WaitGroup
			for range out {
				one.Go(func() { _, _ = Do(bg, h, f.serve) })
			}
			one.Wait()
			took[i] = time.Since(began)
		})
		time.Sleep(time.Duration(rng.ExpFloat64() * float64(apart)))
	}
	all.Wait()
	return took
}

// slowest is the p99.9 of requests, without the first hundred, when there are hardly any samples, and the last, which no others follow whose
// calls would bring tokens.
func slowest(took []time.Duration) time.Duration {
	took = slices.Clone(took[100 : len(took)-200])
	slices.Sort(took)
	return took[int(math.Ceil(0.999*float64(len(took))))-1]
}

func newFleet(seed uint64) *fleet {
	return &fleet{leaf: leaf{rng: rand.New(rand.NewPCG(seed, 72))}, start: time.Now()}
}

// A request of a hundred calls is as slow as the slowest of them: without hedging one in a thousand takes as long as calls
// ever do. With five calls more for each, it is ten times as fast.
func TestFanOut(t *testing.T) {
	const requests, out = 1600, 100
	for i := range seeds() {
		seed := uint64(i + 1) // the same every time: a p99.9 of 1200 is one of the two worst, and some draw is always worse
		var control, hedged time.Duration
		synctest.Test(t, func(t *testing.T) {
			h := mustNew(t, Config{Mode: core.Disabled}, Hooks{})
			control = slowest(fan(seed, h, newFleet(seed), requests, out, 10*ms))
		})
		synctest.Test(t, func(t *testing.T) {
			f, h := newFleet(seed), mustNew(t, Config{}, Hooks{})
			hedged = slowest(fan(seed, h, f, requests, out, 10*ms))
			s := h.Snapshot()
			if most := 0.05*float64(s.Admitted) + 10; float64(s.Extra) > most || int(s.Admitted+s.Extra) != len(f.attempts) {
				t.Errorf("seed %d: %d extra attempts for %d calls, want at most %v; %d seen", seed, s.Extra, s.Admitted, most, len(f.attempts))
			}
			t.Logf("seed %d: p99.9 %v, without hedging %v; %.2f %% more calls", seed, hedged, control, 100*float64(s.Extra)/float64(s.Admitted))
			synctest.Wait()
			atRest(t, h)
			if f.inFlight != 0 {
				t.Errorf("seed %d: %d attempts run on", seed, f.inFlight)
			}
		})
		if control < time.Second {
			t.Errorf("seed %d: the experiment is void: %v without hedging", seed, control)
		}
		if 10*hedged > control {
			t.Errorf("seed %d: p99.9 %v, without hedging %v", seed, hedged, control)
		}
	}
}

// excess is the largest number of extra attempts in any window of 10s beyond the share of the calls begun in it that
// Ratio gives.
func excess(calls, attempts []time.Duration, ratio float64) (most float64) {
	all := append(slices.Clone(calls), attempts...)
	slices.Sort(all)
	for i, from := range all {
		if i > 0 && all[i-1] == from {
			continue
		}
		in := func(at []time.Duration) float64 {
			lo, _ := slices.BinarySearch(at, from)
			hi, _ := slices.BinarySearch(at, from+10*time.Second)
			return float64(hi - lo)
		}
		begun := in(calls)
		most = max(most, in(attempts)-begun-ratio*begun)
	}
	return most
}

// When everything is ten times as slow for a minute, every call wishes for another attempt that would be of no use. The extra
// attempts stay within what is declared, in every window of 10s.
func TestEverythingIsSlow(t *testing.T) {
	for i := range seeds() {
		seed := uint64(i + 1) // the same every time: a p99.9 of 1200 is one of the two worst, and some draw is always worse
		var over [2]float64
		for arm, c := range []Config{{}, {Ratio: 1, Burst: 1000000, MaxStragglers: 1000000}} {
			synctest.Test(t, func(t *testing.T) {
				f, h := newFleet(seed), mustNew(t, c, Hooks{})
				f.slowFrom, f.slowTo = 20*time.Second, 80*time.Second
				rng := rand.New(rand.NewPCG(seed, 73))
				var calls []time.Duration
				var all sync.WaitGroup
				var once int
				for time.Since(f.start) < 100*time.Second {
					calls = append(calls, time.Since(f.start))
					ctx := bg
					if rng.IntN(4) == 0 {
						ctx, once = Once(bg), once+1
					}
					all.Go(func() {
						if _, from, err := DoFrom(ctx, h, f.serve); err != nil || ctx != bg && from.Attempts != 1 {
							t.Errorf("seed %d: %+v, %v", seed, from, err)
						}
					})
					time.Sleep(time.Duration(rng.ExpFloat64() * float64(3*ms)))
				}
				all.Wait()
				synctest.Wait()
				atRest(t, h)
				over[arm] = excess(calls, f.attempts, 0.05)
				s := h.Snapshot()
				t.Logf("seed %d, Ratio %v: %.2f %% more calls, at most %.2f beyond 5 %% in 10s; %d never hedged", seed, s.Config.Ratio,
					100*float64(s.Extra)/float64(s.Admitted), over[arm], once)
				if int(s.Admitted) != len(calls) || f.inFlight != 0 || s.Extra == 0 {
					t.Errorf("seed %d: %+v, %d in flight", seed, s, f.inFlight)
				}
			})
		}
		if over[1] <= 100 {
			t.Errorf("seed %d: the experiment is void: without a bound %v beyond 5 %%", seed, over[1])
		}
		if over[0] > 10+1e-6 {
			t.Errorf("seed %d: %v extra attempts beyond 5 %%, with a burst of 10", seed, over[0])
		}
	}
}

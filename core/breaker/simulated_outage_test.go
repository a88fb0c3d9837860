package breaker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// warm is how long the dependency is healthy before something happens: long enough for a baseline.
const warm = 2 * time.Minute

// strike lets a healthy minute pass, changes the dependency and reports after how long the breaker opens; -1 if it does
// not within a minute.
func strike(t *testing.T, c Config, seed uint64, rate float64, fault dependency) time.Duration {
	t.Helper()
	w := newWorld(c, seed, rate, lognormal(1))
	w.run(warm, w.opened)
	if w.opened() {
		t.Fatalf("opened while healthy: %v", w.x.events)
	}
	struck := w.now
	w.answer = fault
	if w.run(time.Minute, w.opened); !w.opened() {
		return -1
	}
	return w.now.Sub(struck)
}

// Answers that come five to twenty times slower, all of them right, open the breaker in two seconds.
func TestSlownessOpens(t *testing.T) {
	for _, factor := range []float64{5, 10, 20} {
		slowest := time.Duration(0)
		for _, seed := range seeds(t, 40) {
			took := strike(t, watching, seed, 100, lognormal(factor))
			if took < 0 || took > 2*time.Second {
				t.Errorf("%v times slower, seed %d: opened after %v", factor, seed, took)
			}
			slowest = max(slowest, took)
		}
		t.Logf("%v times slower: open after %v at most", factor, slowest)
		if took := strike(t, Config{}, 1, 100, lognormal(factor)); took >= 0 {
			t.Errorf("the control, which counts failures alone, opened after %v", took)
		}
	}
}

// Calls that hang open the breaker before any of them has ended.
func TestHangsOpen(t *testing.T) {
	slowCall := Config{Latency: Latency{Watch: true, Slowdown: core.None, SlowCall: time.Second}}
	tight := Config{Latency: Latency{Watch: true, Slowdown: core.None, Max: 300 * time.Millisecond}}
	for _, tt := range []struct {
		name      string
		c         Config
		threshold time.Duration
	}{
		{"slowdown", watching, 3 * 25 * time.Millisecond}, // p90 of the usual is 21.6ms
		{"slow calls", slowCall, time.Second},
		{"latency", tight, 300 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			slowest := time.Duration(0)
			for _, seed := range seeds(t, 40) {
				took := strike(t, tt.c, seed, 100, hanging)
				if took < 0 || took > tt.threshold+2*time.Second {
					t.Errorf("seed %d: opened after %v, want %v and at most 2s", seed, took, tt.threshold)
				}
				slowest = max(slowest, took)
			}
			t.Logf("open after %v at most", slowest)
		})
	}
	if took := strike(t, Config{}, 1, 100, hanging); took >= 0 && took < 30*time.Second {
		t.Errorf("the control, which waits for results, opened after %v", took)
	}
}

// After twenty seconds in which everything failed, few are turned away that would have been answered.
func TestRecoversSoonAfterAnOutage(t *testing.T) {
	for _, c := range []Config{{}, watching} {
		t.Run(fmt.Sprintf("watch %v", c.Latency.Watch), func(t *testing.T) {
			for _, seed := range seeds(t, 20) {
				w := newWorld(c, seed, 100, lognormal(1))
				w.run(warm, forever)
				rejected := w.rejected
				w.answer = failing
				w.run(20*time.Second, forever)
				if w.rejected == rejected {
					t.Errorf("seed %d: not opened by 20s of errors", seed)
				}
				calls, rejected := w.calls, w.rejected
				w.answer = lognormal(1)
				w.run(20*time.Second, forever)
				if turned := w.rejected - rejected; turned*100 > 35*(w.calls-calls) {
					t.Errorf("seed %d: %d of %d calls to a healthy dependency were rejected", seed, turned, w.calls-calls)
				}
				if w.opened() {
					t.Errorf("seed %d: still %v", seed, w.x.m.state)
				}
			}
		})
	}
}

// A dependency that is as slow as before when the breaker probes is not back.
func TestSlowProbesDoNotClose(t *testing.T) {
	for _, seed := range seeds(t, 10) {
		w := newWorld(watching, seed, 100, lognormal(1))
		w.run(warm, forever)
		w.answer = lognormal(30)
		w.run(30*time.Second, forever)
		for _, e := range w.x.events[1:] {
			if e == "half-open>closed: probes succeeded" {
				t.Errorf("seed %d: slow probes have closed it: %v", seed, w.x.events)
				break
			}
		}
		w.answer = lognormal(1)
		w.run(20*time.Second, forever)
		if w.opened() {
			t.Errorf("seed %d: healthy again, but still %v", seed, w.x.m.state)
		}
	}
}

// An outage of one key of ten is none of the others' business.
func TestOutageOfOneKey(t *testing.T) {
	for name, fault := range map[string]dependency{"failing": failing, "hanging": hanging, "slow": lognormal(10)} {
		for _, c := range []Config{{}, watching} {
			b := mustKeyed(t, c, Hooks{})
			others, rejected := keyOutage(t, b, fault)
			if rejected*100 >= others {
				t.Errorf("%s: %d of %d calls of the other keys were rejected", name, rejected, others)
			}
			if want := name == "failing" || c.Latency.Watch; (b.State(core.KeyOf("0")) != Closed) != want {
				t.Errorf("%s: the key itself is %v", name, b.State(core.KeyOf("0")))
			}
		}
	}
	if others, rejected := keyOutage(t, mustNew(t, Config{FailureRate: 0.05}, Hooks{}), failing); rejected*100 < others {
		t.Errorf("the control, one breaker for all keys, rejected %d of %d: the experiment shows nothing", rejected, others)
	}
}

// keyOutage sends calls of ten keys through g, the first of which meets the fault after a while, and counts the calls of
// the others since then.
func keyOutage(t *testing.T, g core.Guard, fault dependency) (others, rejected int) {
	type running struct {
		completion
		p *core.Permit
	}
	r, now := rand.New(rand.NewPCG(seeds(t, 1)[0], 8)), core.Now()
	struck := now.Add(20 * time.Second)
	var out []running
	for end := struck.Add(20 * time.Second); now < end; now = now.Add(time.Millisecond) {
		out = slices.DeleteFunc(out, func(c running) bool {
			if c.at <= now {
				c.p.Done(now, c.how)
			}
			return c.at <= now
		})
		key, answer := r.IntN(10), lognormal(1)
		if key == 0 && now >= struck {
			answer = fault
		}
		p := new(core.Permit)
		d := acquire(g, core.Call{Key: core.KeyOf(fmt.Sprint(key)), Now: now}, p)
		if d.Admitted() {
			took, how := answer(r, now)
			out = append(out, running{completion{at: now.Add(took), how: how}, p})
		}
		if key != 0 && now >= struck {
			others++
			if !d.Admitted() {
				rejected++
			}
		}
	}
	for _, c := range out {
		c.p.Done(now, core.Canceled)
	}
	return others, rejected
}

package throttle

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/window"
)

// model is the throttle without concurrency: for each class the calls of the window, one by one.
type model struct {
	c       Config
	layout  window.Layout
	classes [ranks]struct {
		ring   window.Ring
		passed core.Time
		hot    bool
	}
}

func (m *model) acquire(r int, now core.Time, random float64) (admitted bool) {
	cl := &m.classes[r]
	if !cl.hot {
		return true
	}
	sum := cl.ring.Sum(m.layout, now)
	cl.hot = sum.Bad > 0
	switch decide(&m.c, odds(&m.c, sum), random, now.Sub(cl.passed)) {
	case shed:
		cl.ring.Add(m.layout, now, true)
		return false
	default:
		cl.passed = now
		return true
	}
}

func (m *model) done(r int, now core.Time, o core.Outcome) {
	cl := &m.classes[r]
	switch effectOf(&m.c, o) {
	case good:
		cl.ring.Add(m.layout, now, false)
	case bad:
		cl.ring.Add(m.layout, now, true)
		cl.hot = true
	}
}

// TestShellEqualsModel drives both with random calls and results, at random times, in one goroutine.
func TestShellEqualsModel(t *testing.T) {
	verdicts := map[bool]int{}
	for range 100 {
		seed := rand.Uint64()
		rng := rand.New(rand.NewPCG(seed, 5))
		c, err := prepare(Config{
			K: 1 + 3*rng.Float64(), Window: time.Duration(1+rng.IntN(20)) * time.Second, MinCalls: core.Count(1 + rng.IntN(20)),
			ForcePass: time.Duration(10+rng.IntN(2000)) * time.Millisecond, FailureRejects: rng.IntN(2) == 0,
		})
		if err != nil {
			t.Fatal(err)
		}
		th := throttler(t, c)
		m := &model{c: c, layout: th.classes[0].window.Load().Layout()}
		for r := range m.classes {
			m.classes[r].passed = longAgo
		}
		var random float64
		th.random = func() float64 { return random }
		now := core.Now()
		healthy := rng.Float64()
		for i := range 3000 {
			random = rng.Float64()
			if now = now.Add(time.Duration(rng.ExpFloat64() * 3e6)); rng.IntN(500) == 0 {
				now = now.Add(time.Duration(rng.IntN(30)) * time.Second)
				healthy = rng.Float64()
			}
			class := core.Class(rng.IntN(5))
			want := m.acquire(rank(class), now, random)
			var p core.Permit
			if d := acquire(bg, th, core.Call{Now: now, Class: class}, &p); d.Admitted() != want {
				t.Fatalf("seed %d, step %d: %v, want admitted %v", seed, i, d.Reason, want)
			}
			verdicts[want]++
			if !want {
				continue
			}
			o := core.Success
			if rng.Float64() > healthy {
				o = core.Outcome(rng.IntN(core.Outcomes))
			}
			p.Done(now, o)
			m.done(rank(class), now, o)
			for r := range ranks {
				got, want := th.classes[r].window.Load().Sum(now), m.classes[r].ring.Sum(m.layout, now)
				if got != want || th.classes[r].hot.Load() != m.classes[r].hot {
					t.Fatalf("seed %d, step %d, class %d: %+v, want %+v", seed, i, r, got, want)
				}
			}
		}
	}
	if verdicts[true] < 1000 || verdicts[false] < 1000 {
		t.Errorf("verdicts: %v", verdicts)
	}
}

// FuzzMachine: the odds are a probability, whatever the window holds, and fall when a call is accepted and rise when
// one is not.
func FuzzMachine(f *testing.F) {
	f.Add(2.0, int64(5), int64(10), int64(100), 0.5, int64(time.Second))
	f.Add(1.0, int64(-1), int64(0), int64(1), 0.0, int64(-1))
	f.Fuzz(func(t *testing.T, k float64, minCalls, ok, not int64, random float64, idle int64) {
		c := Config{K: k, MinCalls: core.Count(minCalls)}
		if c.Validate() != nil || ok < 0 || not < 0 || ok > 1<<40 || not > 1<<40 || !(random >= 0 && random < 1) {
			return
		}
		c, _ = prepare(c)
		p := odds(&c, window.Sum{Good: ok, Bad: not})
		if !(p >= 0 && p < 1) {
			t.Fatalf("odds %v", p)
		}
		if better := odds(&c, window.Sum{Good: ok + 1, Bad: not}); better > p {
			t.Errorf("an accepted call raises %v to %v", p, better)
		}
		if worse := odds(&c, window.Sum{Good: ok, Bad: not + 1}); worse < p {
			t.Errorf("a rejected call lowers %v to %v", p, worse)
		}
		switch v := decide(&c, p, random, time.Duration(idle)); {
		case p == 0 && v != spared, v == forced && time.Duration(idle) < c.ForcePass, v == shed && time.Duration(idle) >= c.ForcePass:
			t.Errorf("odds %v, idle %v: %v", p, time.Duration(idle), v)
		}
	})
}

// TestStress: under concurrency every call is counted once, and results that come while the window is found empty are
// not lost.
func TestStress(t *testing.T) {
	th := throttler(t, Config{Window: time.Second})
	var wg sync.WaitGroup
	const callers, n = 8, 3000
	for i := range callers {
		wg.Go(func() {
			for j := range n {
				o := core.Success
				if (i+j)%3 == 0 {
					o = core.Overload
				}
				call(th, core.Call{Class: core.Class(j % 5)}, o)
				if j%100 == 0 {
					th.Snapshot()
					if err := th.Tune(Config{Window: time.Second, K: 1 + float64(j%7)}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if s := th.Snapshot(); s.Admitted+s.Rejected != callers*n {
		t.Errorf("%d admitted, %d rejected", s.Admitted, s.Rejected)
	}
	for r := range th.classes {
		cl := &th.classes[r]
		if sum := cl.window.Load().Sum(core.Now()); sum.Bad > 0 && !cl.hot.Load() {
			t.Errorf("class %d has %d bad calls and is not hot", r, sum.Bad)
		}
	}
}

package fallback

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// model is a chain as one would explain it: the pure machine and the steps' lists. It knows no contexts.
type model []*modelStep

type modelStep struct {
	name    string
	c       Config
	picky   bool // its condition holds for timeouts alone
	running int64

	begun, full, shadowed, answered, timedOut uint64
}

// deed is what a step, or fn, does this time.
type deed struct {
	d   time.Duration
	err error
}

// call says where the answer comes from (-1: nowhere), after how long and with which errors before it.
func (m model) call(deadline time.Duration, fn deed, steps []deed) (from int, took time.Duration, errs []string) {
	if took = fn.d; fn.err == nil {
		return 0, took, nil
	}
	errs = []string{fn.err.Error()}
	timeout := errors.Is(fn.err, core.ErrTimeout)
	for i, s := range m {
		if took >= deadline {
			break
		}
		v, next := decide(s.c.Mode, timeout || !s.picky, s.running, s.c.Limit)
		switch v {
		case would:
			s.shadowed++
		case full:
			s.full++
			errs, timeout = append(errs, fmt.Sprintf("fallback %q: full", s.name)), false
		case run:
			s.begun++
			s.running = next - 1
			begin := took
			took += steps[i].d
			if steps[i].err == nil {
				s.answered++
				return i + 1, took, errs
			}
			text := fmt.Sprintf("fallback %q: ", s.name)
			over := s.c.Timeout != core.None && begin+s.c.Timeout < deadline && steps[i].d > s.c.Timeout
			if over {
				s.timedOut++
				text += fmt.Sprintf("over after %v: ", s.c.Timeout)
			}
			errs = append(errs, text+steps[i].err.Error())
			timeout = over || errors.Is(steps[i].err, core.ErrTimeout)
		}
	}
	return -1, took, errs
}

// TestShellEqualsMachine drives both with random calls and Tunes, with some places taken by others.
func TestShellEqualsMachine(t *testing.T) {
	seed := rand.Uint64()
	for round := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, round))
			upTo := func(d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) + 1 }
			random := func() Config {
				c := Config{Timeout: ms + upTo(20*ms), Limit: core.Count(1 + rng.IntN(3)), Mode: core.Mode(max(rng.IntN(6)-3, 0))}
				if rng.IntN(3) == 0 {
					c.Timeout = core.None
				}
				if rng.IntN(3) == 0 {
					c.Limit = core.None
				}
				return c
			}
			act := func() deed {
				d := deed{d: upTo(30 * ms)}
				if n := rng.IntN(4); n < 3 {
					d.err = []error{errOne, errDown, core.ErrTimeout}[n]
				}
				return d
			}
			var m model
			var c Chain[int]
			var deeds []deed
			for i := range 4 {
				s := &modelStep{name: fmt.Sprint("s", i+1), c: random(), picky: rng.IntN(3) == 0}
				h := Hooks{When: func(o core.Outcome, _ error) bool { return o == core.Timeout || !s.picky }}
				f := mustNew(t, s.name, s.c, h)
				m, deeds = append(m, s), append(deeds, deed{})
				c = append(c, Step[int]{f, func(context.Context, error) (int, error) {
					time.Sleep(deeds[i].d)
					return i + 1, deeds[i].err
				}})
			}
			for range 300 {
				i := rng.IntN(len(m))
				if rng.IntN(10) == 0 {
					m[i].c = random()
					if err := c[i].By.Tune(m[i].c); err != nil {
						t.Fatal(err)
					}
				}
				m[i].running = rng.Int64N(4) // as if others were in the step
				c[i].By.running.Store(m[i].running)
				fn := act()
				for i := range deeds {
					deeds[i] = act()
				}
				deadline := upTo(100 * ms)
				if rng.IntN(2) == 0 {
					deadline = time.Hour
				}
				ctx, cancel := context.WithTimeout(bg, deadline)
				from, took, errs := m.call(deadline, fn, deeds)
				got := call(ctx, c, func(context.Context) (int, error) { time.Sleep(fn.d); return 0, fn.err })
				cancel()
				err, want := got.from.Err, error(nil)
				if from < 0 {
					err = got.err
				}
				for _, text := range errs {
					want = errors.Join(want, errors.New(text))
				}
				if got.took != took || (got.err == nil) != (from >= 0) || from >= 0 && got.v != from || fmt.Sprint(err) != fmt.Sprint(want) {
					t.Fatalf("seed %d, round %d: got %+v, want from %d after %v, before it %q", seed, round, got, from, took, errs)
				}
			}
			for i, s := range m {
				got := c[i].By.Snapshot()
				if got.Admitted != s.begun || got.Rejected != s.full || got.Shadowed != s.shadowed ||
					got.Answered != s.answered || got.TimedOut != s.timedOut || got.Running != s.running {
					t.Errorf("seed %d, round %d: %+v, want %+v", seed, round, got, s)
				}
			}
		})
	}
}

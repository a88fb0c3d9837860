package timeout

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

func tune(t *testing.T, to *Timeout, c Config) {
	t.Helper()
	if err := to.Tune(c); err != nil {
		t.Fatal(err)
	}
}

// A call under way keeps its time; the next one has the new.
func TestTune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := mustNew(t, Config{Limit: 100 * ms}, Hooks{})
		first := make(chan ending, 1)
		go func() { first <- call(func() (int, error) { return Do(bg, to, works(1, time.Hour)) }) }()
		synctest.Wait()
		tune(t, to, Config{Limit: 20 * ms})
		if got := call(func() (int, error) { return Do(bg, to, works(1, time.Hour)) }); got.took != 20*ms {
			t.Errorf("after the Tune: %+v", got)
		}
		got := <-first
		var e *Error
		if got.took != 100*ms || !errors.As(got.err, &e) || e.Limit != 100*ms {
			t.Errorf("before it: %+v", got)
		}
		if s := to.Snapshot(); s.TimedOut != 2 || s.Limit != 20*ms || s.Config.Limit != 20*ms {
			t.Errorf("%+v", s)
		}
		if err := to.Tune(Config{}); err == nil || to.Config().Limit != 20*ms {
			t.Errorf("a bad Config: %v, %v", err, to.Config())
		}
		commit, err := to.Prepare(Config{Limit: 30 * ms})
		if err != nil || to.Config().Limit != 20*ms {
			t.Errorf("Prepare: %v, %v", err, to.Config().Limit)
		}
		commit()
		if got := to.Config().Limit; got != 30*ms {
			t.Errorf("committed: %v", got)
		}
	})
}

// The samples outlive every change.
func TestTuneKeepsTheSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := mustNew(t, follow, Hooks{})
		feed(bg, to, 20, works(1, 20*ms))
		c := follow
		c.Factor, c.Limit, c.Min = 3, 500*ms, time.Second
		tune(t, to, c)
		if got := to.Config().Min; got != 500*ms {
			t.Errorf("Min is above Limit: %v", got)
		}
		c.Min = ms
		tune(t, to, c)
		wantLimit(t, to, 60*ms)
		if err := to.Override(core.Shadow, time.Second); err != nil {
			t.Fatal(err)
		}
		wantLimit(t, to, 60*ms)
		to.Restore()
		c.Adaptive, c.RestQuantile = false, 0.5
		tune(t, to, c)
		if s := to.Snapshot(); s.Limit != 500*ms || s.Floor < 15*ms {
			t.Errorf("not adaptive: limit %v, floor %v", s.Limit, s.Floor)
		}
		c.Adaptive, c.RestQuantile = true, core.None
		tune(t, to, c)
		wantLimit(t, to, 60*ms)
		c.Window = time.Minute
		tune(t, to, c)
		wantLimit(t, to, 60*ms)
		if got := to.live.Load().Derived.window.Config().Window; got != time.Minute {
			t.Errorf("the window is %v", got)
		}
		c.Adaptive = false
		tune(t, to, c)
		if to.live.Load().Derived.learns() {
			t.Error("samples are kept that nobody asks for")
		}
	})
}

// An override outlives a Tune and ends by itself; a call under way keeps the mode that it began in.
func TestOverride(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []string
		to := mustNew(t, Config{Limit: 100 * ms}, Hooks{Hooks: core.Hooks{OnEvent: func(e core.Event) {
			events = append(events, fmt.Sprint(e.By.Kind, " ", e.Type, " ", e.To, " ", e.Cause))
		}}})
		if err := to.Override(core.Disabled, time.Minute); err != nil {
			t.Fatal(err)
		}
		tune(t, to, Config{Limit: 50 * ms})
		if got := call(func() (int, error) { return Do(bg, to, works(1, time.Second)) }); got.v != 1 || got.took != time.Second {
			t.Errorf("disabled: %+v", got)
		}
		time.Sleep(time.Minute)
		if got := call(func() (int, error) { return Do(bg, to, works(1, time.Second)) }); got.took != 50*ms {
			t.Errorf("the override has ended: %+v", got)
		}
		for _, bad := range []core.Mode{core.ForcedOpen, core.ForcedClosed, 99} {
			if err := to.Override(bad, 0); err == nil {
				t.Errorf("%v is no mode of a timeout", bad)
			}
		}
		if err := to.Override(core.Shadow, -1); err == nil {
			t.Error("a negative time")
		}
		want := "[timeout mode_changed disabled override timeout tuned  configuration timeout mode_changed enforce override ended]"
		if got := fmt.Sprint(events); got != want {
			t.Errorf("events %s\nwant   %s", got, want)
		}
	})
}

// Shadow mode counts what the limit and the floor would have done, each call once, and does nothing.
func TestShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := mustNew(t, Config{Limit: 100 * ms, MinRest: 50 * ms, Mode: core.Shadow}, Hooks{})
		do := func(deadline time.Duration, f fn) ending {
			ctx, cancel := context.WithTimeout(bg, deadline)
			defer cancel()
			return call(func() (int, error) { return Do(ctx, to, f) })
		}
		for _, tt := range []struct {
			name     string
			deadline time.Duration
			fn       fn
			want     ending
			shadowed uint64
		}{
			{"in time", time.Hour, deaf(1, nil, 100*ms), ending{v: 1, took: 100 * ms}, 0},
			{"too long", time.Hour, deaf(1, nil, 101*ms), ending{v: 1, took: 101 * ms}, 1},
			{"too long, and fails", time.Hour, deaf(0, errDown, 101*ms), ending{err: errDown, took: 101 * ms}, 1},
			{"would have been turned away", 49 * ms, deaf(1, nil, 200*ms), ending{v: 1, took: 200 * ms}, 1},
			{"the caller's deadline is earlier", 60 * ms, deaf(1, nil, 200*ms), ending{v: 1, took: 200 * ms}, 0},
			{"too long, and panics", time.Hour, func(ctx context.Context) (int, error) { time.Sleep(time.Second); return panics(ctx) }, ending{panic: errDown, took: time.Second}, 1},
		} {
			before := to.Snapshot().Shadowed
			if got := do(tt.deadline, tt.fn); got != tt.want {
				t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
			}
			if got := to.Snapshot().Shadowed - before; got != tt.shadowed {
				t.Errorf("%s: shadowed %d, want %d", tt.name, got, tt.shadowed)
			}
		}
		if s := to.Snapshot(); s.Admitted != 6 || s.Rejected != 0 || s.TimedOut != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Shadow mode learns, so that it shows which limit would be in force.
func TestShadowLearns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := follow
		c.Mode = core.Shadow
		to := mustNew(t, c, Hooks{})
		feed(bg, to, 20, deaf(1, nil, 20*ms))
		wantLimit(t, to, 40*ms)
		feed(bg, to, 100, deaf(1, nil, 300*ms)) // longer than the limit, and true all the same
		wantLimit(t, to, 600*ms)
		if got := to.Snapshot().Shadowed; got == 0 || got == 120 {
			t.Errorf("%d would have been cut short", got)
		}
	})
}

// Settings change while calls are made.
func TestTuneUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := mustNew(t, Config{Limit: 100 * ms}, Hooks{})
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for k := range 200 {
					do := forms[(i+k)%2].do
					_, err := do(bg, to, works(1, time.Duration(k%60)*ms))
					if err != nil && !errors.Is(err, core.ErrTimeout) {
						t.Error(err)
					}
				}
			})
		}
		wg.Go(func() {
			for k := range 300 {
				c := Config{Limit: time.Duration(20+k%50) * ms, Adaptive: k%3 == 0, Quantile: 0.5, Window: time.Duration(1+k%2) * time.Second, MaxAbandoned: 1 + k%4}
				if k%5 == 0 {
					c.RestQuantile = 0.5
				}
				c.Mode = core.Mode(k % 3)
				if err := to.Tune(c); err != nil {
					t.Error(err)
				}
				to.Snapshot()
				time.Sleep(7 * ms)
			}
		})
		wg.Wait()
		synctest.Wait()
		atRest(t, to)
		if s := to.Snapshot(); s.Admitted != 1600 {
			t.Errorf("%d calls", s.Admitted)
		}
	})
}

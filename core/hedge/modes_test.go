package hedge

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

func tune(t *testing.T, h *Hedge, c Config) {
	t.Helper()
	if err := h.Tune(c); err != nil {
		t.Fatal(err)
	}
}

// Shadow runs the call once, in the caller's goroutine and with its context, and counts what would have been hedged.
func TestShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBudget(t, budgetOf(5))
		h := mustNew(t, Config{Delay: 10 * ms, Burst: 3, Ratio: 0.001, Mode: core.Shadow}, Hooks{Budget: b})
		gone, cancel := context.WithCancel(bg)
		cancel()
		brief, stop := context.WithTimeout(bg, 10*ms)
		defer stop()
		for _, tt := range []struct {
			name     string
			ctx      context.Context
			fn       fn
			want     ending
			shadowed uint64
		}{
			{"no time", brief, deaf(1, nil, 20*ms), ending{v: 1, took: 20 * ms}, 0},
			{"in time", bg, deaf(1, nil, 10*ms), ending{v: 1, took: 10 * ms}, 0},
			{"slow", bg, deaf(1, nil, 11*ms), ending{v: 1, took: 11 * ms}, 1},
			{"fails", bg, deaf(0, errDown, ms), ending{err: errDown, took: ms}, 1},
			{"fails for good", bg, deaf(0, permanent{errDown}, ms), ending{err: permanent{errDown}, took: ms}, 0},
			{"once", Once(bg), deaf(1, nil, time.Second), ending{v: 1, took: time.Second}, 0},
			{"its caller is gone", gone, deaf(1, nil, ms), ending{v: 1, took: ms}, 0},
			{"panics", bg, panics, ending{panic: errDown}, 0},
			{"fails slowly", bg, deaf(0, errDown, time.Second), ending{err: errDown, took: time.Second}, 1},
			{"no token is left", bg, deaf(1, nil, time.Second), ending{v: 1, took: time.Second}, 0},
		} {
			before := h.Snapshot().Shadowed
			if tt.want.panic == nil {
				tt.want.from = From{1, 1}
			}
			got := do(tt.ctx, h, func(ctx context.Context) (int, error) {
				if ctx != tt.ctx {
					t.Errorf("%s: another context", tt.name)
				}
				return tt.fn(ctx)
			})
			if got != tt.want {
				t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
			}
			if n := h.Snapshot().Shadowed - before; n != tt.shadowed {
				t.Errorf("%s: shadowed %d, want %d", tt.name, n, tt.shadowed)
			}
		}
		s := h.Snapshot()
		if s.Admitted != 10 || s.Extra != 0 || s.Rejected != 0 || b.Snapshot().Withdrawn != 0 || b.Snapshot().Balance != 5 {
			t.Errorf("%+v, %+v", s, b.Snapshot())
		}
	})
}

// Shadow learns, so that it shows which delay would be in force.
func TestShadowLearns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := mustNew(t, Config{Mode: core.Shadow}, Hooks{})
		feed(t, h, 110, deaf(1, nil, 20*ms))
		time.Sleep(refresh)
		if d := h.Snapshot().Delay; d < 20*ms || d > 22*ms {
			t.Errorf("delay %v", d)
		}
		feed(t, h, 1, deaf(1, nil, 30*ms))
		if s := h.Snapshot(); s.Shadowed != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// Disabled runs the call and nothing else: it learns nothing, and brings no tokens.
func TestDisabled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBudget(t, budgetOf(5))
		b.Withdraw(0)
		h := mustNew(t, Config{Mode: core.Disabled}, Hooks{
			Budget: b, Outermost: true, May: func(context.Context) bool { t.Error("asked"); return true },
			Hooks: core.Hooks{Classify: func(context.Context, error) core.Outcome { t.Error("asked"); return core.Success }},
		})
		gone, cancel := context.WithCancel(bg)
		cancel()
		for range 200 {
			if got := do(gone, h, works(1, 0)); got.v != 1 || got.from != (From{1, 1}) {
				t.Errorf("%+v", got)
			}
		}
		if got := do(bg, h, panics); got.panic != error(errDown) {
			t.Errorf("%+v", got)
		}
		if s := h.Snapshot(); s.Admitted != 201 || s.Delay >= 0 || b.Snapshot().Balance != 4 {
			t.Errorf("%+v, %+v", s, b.Snapshot())
		}
	})
}

// An override outlives a Tune and ends by itself.
func TestOverride(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []string
		h := mustNew(t, fixed, Hooks{Hooks: core.Hooks{OnEvent: func(e core.Event) {
			events = append(events, fmt.Sprint(e.By.Kind, " ", e.Type, " ", e.To, " ", e.Cause))
		}}})
		slow := attempts(deaf(1, nil, time.Second), works(2, ms))
		if err := h.Override(core.Disabled, time.Minute); err != nil {
			t.Fatal(err)
		}
		c := fixed
		c.Delay = 20 * ms
		tune(t, h, c)
		if got := do(bg, h, slow); got.v != 1 {
			t.Errorf("disabled: %+v", got)
		}
		time.Sleep(time.Minute)
		if got := do(bg, h, slow); got.v != 2 || got.took != 21*ms {
			t.Errorf("the override has ended: %+v", got)
		}
		for _, bad := range []core.Mode{core.ForcedOpen, core.ForcedClosed, 99} {
			if err := h.Override(bad, 0); err == nil {
				t.Errorf("%v is no mode of a hedge", bad)
			}
		}
		if err := h.Override(core.Shadow, -1); err == nil {
			t.Error("a negative time")
		}
		if err := h.Override(core.Shadow, 0); err != nil || h.Status().Policy.Mode != core.Shadow {
			t.Errorf("%v, %+v", err, h.Status())
		}
		h.Restore()
		want := "[hedge mode_changed disabled override hedge tuned  configuration hedge mode_changed enforce override ended" +
			" hedge mode_changed shadow override hedge mode_changed enforce override ended]"
		if got := fmt.Sprint(events); got != want {
			t.Errorf("events %s\nwant   %s", got, want)
		}
		time.Sleep(time.Minute)
	})
}

// A call under way keeps what it began with; the next one has the new settings.
func TestTune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := mustNew(t, fixed, Hooks{})
		first := make(chan ending, 1)
		go func() { first <- do(bg, h, attempts(works(1, time.Hour), works(2, 100*ms))) }()
		synctest.Wait()
		c := fixed
		c.Delay, c.MaxExtra = 50*ms, 2
		tune(t, h, c)
		if got := do(bg, h, attempts(works(1, time.Hour), works(2, time.Hour), works(3, ms))); got.v != 3 || got.took != 101*ms {
			t.Errorf("after the Tune: %+v", got)
		}
		if got := <-first; got.took != 110*ms || got.from != (From{2, 2}) {
			t.Errorf("before it: %+v", got)
		}
		if err := h.Tune(Config{Burst: -1}); err == nil || h.Config().Delay != 50*ms {
			t.Errorf("a bad Config: %v, %v", err, h.Config())
		}
		commit, err := h.Prepare(fixed)
		if err != nil || h.Config().Delay != 50*ms {
			t.Errorf("Prepare: %v, %v", err, h.Config().Delay)
		}
		commit()
		if got := h.Config().Delay; got != 10*ms {
			t.Errorf("committed: %v", got)
		}
	})
}

// Tokens and samples outlive a Tune: a smaller Burst holds, a larger comes empty; the Window keeps what fits.
func TestTuneKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Config{Burst: 10, Ratio: 0.001}
		h := mustNew(t, c, Hooks{})
		tokens := func(burst int, want float64) {
			t.Helper()
			c.Burst = burst
			tune(t, h, c)
			if got := h.Snapshot().Tokens; got != want {
				t.Errorf("Burst %d: %v tokens, want %v", burst, got, want)
			}
		}
		tokens(20, 10)
		tokens(4, 4)
		tokens(20, 4)
		feed(t, h, 150, works(1, 20*ms))
		known := func(want bool) {
			t.Helper()
			tune(t, h, c)
			if d := h.Snapshot().Delay; (d == -1) == want {
				t.Errorf("%+v: delay %v", c, d)
			}
		}
		known(true)
		c.Quantile, c.Window = 0.5, time.Minute
		known(true)
		if got := h.live.Load().Derived.window.Config().Window; got != time.Minute {
			t.Errorf("the window is %v", got)
		}
		c.Quantile = 0.999
		known(false)
		c.Quantile, c.Max = 0.95, 5*ms
		known(true)
		if d := h.Snapshot().Delay; d != 5*ms {
			t.Errorf("delay %v", d)
		}
		c.Delay = time.Second
		known(true)
		if d := h.Snapshot().Delay; d != time.Second || h.live.Load().Derived.window != nil {
			t.Errorf("delay %v", d)
		}
		c.Delay = core.None
		known(false)
	})
}

// Settings change while calls are made.
func TestTuneUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := mustNew(t, fixed, Hooks{})
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for k := range 200 {
					got := do(bg, h, attempts(works(1, time.Duration(k%30)*ms), works(2, time.Duration(i)*ms)))
					if got.err != nil && !errors.Is(got.err, errDown) {
						t.Error(got.err)
					}
				}
			})
		}
		all.Go(func() {
			for k := range 300 {
				c := Config{MaxExtra: 1 + k%3, Ratio: 0.5, Burst: 1 + k%20, MaxStragglers: 1 + k%5, Window: time.Duration(1+k%2) * time.Second}
				if k%3 == 0 {
					c.Delay = time.Duration(1+k%10) * ms
				}
				c.Mode = core.Mode(k % 3)
				tune(t, h, c)
				h.Snapshot()
				time.Sleep(7 * ms)
			}
		})
		all.Wait()
		synctest.Wait()
		atRest(t, h)
		if s := h.Snapshot(); s.Admitted != 1600 || s.Extra == 0 {
			t.Errorf("%+v", s)
		}
	})
}

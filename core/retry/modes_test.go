package retry

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
)

var _ core.Machine = (*Retry)(nil)

// Shadow decides and counts, and does nothing; disabled does not even decide. Both return what fn returned.
func TestModes(t *testing.T) {
	for _, tt := range []struct {
		mode     core.Mode
		attempts int
		shadowed uint64
		deposits float64
	}{
		{core.Enforce, 3, 0, 10 - 2 + 0.1}, {core.Shadow, 1, 1, 10}, {core.Disabled, 1, 0, 10},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := mustNew(t, Config{Mode: tt.mode, AttemptTimeout: sec}, Hooks{})
			made := 0
			err := run(bg, r, func(ctx context.Context) error {
				made++
				if _, limited := ctx.Deadline(); limited != (tt.mode == core.Enforce) {
					t.Errorf("%v: our timeout is on: %v", tt.mode, limited)
				}
				return errDown
			})
			if made != tt.attempts || (err == errDown) != (tt.mode != core.Enforce) {
				t.Errorf("%v: %d attempts, %v", tt.mode, made, err)
			}
			_ = run(bg, r, failing(&made, Permanent(errDown))) // nothing to retry
			_ = run(bg, r, func(context.Context) error { return nil })
			gone, cancel := context.WithCancel(bg)
			cancel()
			ran := false
			_ = run(gone, r, func(context.Context) error { ran = true; return nil })
			if ran != (tt.mode != core.Enforce) {
				t.Errorf("%v: with a done context fn ran: %v", tt.mode, ran)
			}
			s := r.Snapshot()
			if s.Shadowed != tt.shadowed || s.Admitted != 4 || s.Budget.Balance != tt.deposits || s.Policy.Kind != core.KindRetry {
				t.Errorf("%v: %+v", tt.mode, s)
			}
		})
	}
}

// Shadow would not retry either when there is no token.
func TestShadowAsksTheBudget(t *testing.T) {
	b := mustBudget(t, budget.Config{Size: 1})
	r, made := mustNew(t, Config{Mode: core.Shadow}, Hooks{Budget: b}), 0
	_ = run(bg, r, failing(&made, errDown))
	b.Withdraw(0)
	_ = run(bg, r, failing(&made, errDown))
	if s := r.Status(); s.Shadowed != 1 || made != 2 || b.Snapshot().Withdrawn != 1 {
		t.Errorf("%+v", s)
	}
}

func TestOverride(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := mustNew(t, Config{Jitter: NoJitter}, Hooks{})
		if err := r.Override(core.Disabled, time.Minute); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{1, 3} {
			made := 0
			_ = run(bg, r, failing(&made, errDown))
			if made != want {
				t.Errorf("%d attempts, want %d", made, want)
			}
			time.Sleep(time.Minute)
		}
		if err := r.Override(core.ForcedOpen, 0); err == nil {
			t.Error("a retry cannot be open")
		}
		if err := r.Override(core.Shadow, 0); err != nil || r.Status().Policy.Mode != core.Shadow {
			t.Errorf("%v, %+v", err, r.Status())
		}
		r.Restore()
		if r.Status().Policy.Mode != core.Enforce {
			t.Errorf("%+v", r.Status())
		}
	})
}

// A call keeps the settings it began with; the next one has the new ones. Events tell.
func TestTune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []core.EventType
		h := Hooks{}
		h.OnEvent = func(e core.Event) { events = append(events, e.Type) }
		r := mustNew(t, Config{Jitter: NoJitter}, h)
		made := 0
		err := run(bg, r, func(context.Context) error {
			if made++; made == 1 {
				if err := r.Tune(Config{MaxAttempts: 5, Base: sec}); err != nil {
					t.Error(err)
				}
			}
			return errDown
		})
		wantError(t, err, 3, ReasonAttempts, errDown)
		if err := r.Tune(Config{MaxAttempts: 1000}); err == nil {
			t.Error("no error")
		}
		commit, err := r.Prepare(Config{MaxAttempts: 2})
		if err != nil {
			t.Fatal(err)
		}
		made = 0
		err = run(bg, r, failing(&made, errDown))
		wantError(t, err, 5, ReasonAttempts, errDown)
		commit()
		made = 0
		err = run(bg, r, failing(&made, errDown))
		wantError(t, err, 2, ReasonAttempts, errDown)
		if len(events) != 2 || events[0] != core.Tuned || r.Snapshot().Budget.Balance != 10-2-4-1 {
			t.Errorf("%v, %+v", events, r.Snapshot().Budget)
		}
	})
}

// Many callers, Tunes, modes and cancellations at once: every call ends, and tokens neither leak nor multiply.
func TestUnderLoad(t *testing.T) {
	b := mustBudget(t, budget.Config{Size: 1000, Ratio: 0.001})
	r := mustNew(t, Config{Base: ms, MaxDelay: ms}, Hooks{Budget: b})
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 300 {
				ctx, cancel := context.WithCancel(bg)
				if i%7 == 0 {
					go cancel()
				}
				_ = run(ctx, r, func(context.Context) error { return errDown })
				cancel()
				if g == 0 && i%10 == 0 {
					c := Config{Base: ms, MaxDelay: ms, MaxAttempts: 1 + i%4, Mode: core.Mode(i / 10 % 3)}
					if err := r.Tune(c); err != nil {
						t.Error(err)
					}
					r.Snapshot()
				}
			}
		})
	}
	all.Wait()
	s := r.Snapshot()
	if s.Admitted != 8*300 || s.Budget.Withdrawn-s.Budget.Refunded != s.Retries || s.Budget.Balance != 1000-float64(s.Retries) {
		t.Errorf("%+v", s)
	}
}

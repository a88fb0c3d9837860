package retry

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/budget"
	"github.com/mw-go/mw/core/bulkhead"
)

// Defects found in other libraries, by their numbers in our notes.

// failsafe-go: its retry budget is a share of the calls in flight, at least 3, so that one sequential client made 4000
// attempts of 1000 calls to a dead backend. Here attempts are bounded by the calls and the declared bucket.
func TestD15_OneClientAgainstADeadBackend(t *testing.T) {
	const calls, size = 1000, 10
	for _, tt := range []struct {
		name        string
		c           budget.Config
		least, most int
	}{
		{"success", budget.Config{}, calls + size, calls + size},
		// The calls take no virtual time but their delays, less than TTL together.
		{"window", budget.Config{Rule: budget.Window}, calls + calls/10 + size - 1, calls + calls/10 + size},
		{"throttle", budget.Config{Rule: budget.Throttle}, calls, calls + size},
		{"no budget", budget.Config{Rule: budget.Unlimited}, 4 * calls, 4 * calls},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := mustNew(t, Config{MaxAttempts: 4, Base: ms, MaxDelay: ms}, Hooks{Budget: mustBudget(t, tt.c)})
			attempts := 0
			for range calls {
				if err := run(bg, r, failing(&attempts, errDown)); !errors.Is(err, errDown) {
					t.Fatal(err)
				}
			}
			if attempts < tt.least || attempts > tt.most {
				t.Errorf("%s: %d attempts for %d calls, want %d to %d", tt.name, attempts, calls, tt.least, tt.most)
			}
			if s := r.Snapshot(); int(s.Retries) != attempts-calls || s.Admitted != calls {
				t.Errorf("%s: %+v", tt.name, s)
			}
		})
	}
}

// failsafe-go: a retry repeated breaker.ErrOpen three times, at once. Our own guards' rejections are not retried, and if
// they are, not before the guard said.
func TestD16_RejectionsAreNotRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := breaker.New("b", breaker.Config{MinCalls: 1, Jitter: core.None, OpenFor: 5 * sec}, breaker.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		room, err := bulkhead.New("r", bulkhead.Config{Limit: 1}, bulkhead.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		b.Trip(5 * sec)
		p, _ := room.Acquire(bg, core.Call{})
		defer p.Done(0, core.Success)
		asked := 0
		through := map[string]func(ctx context.Context) error{
			"breaker": func(ctx context.Context) error {
				asked++
				_, err := breaker.Do(ctx, b, func(context.Context) (int, error) { return 1, nil })
				return err
			},
			"bulkhead": func(ctx context.Context) error {
				asked++
				_, err := bulkhead.Do(ctx, room, func(context.Context) (int, error) { return 1, nil })
				return err
			},
		}
		r := mustNew(t, Config{}, Hooks{})
		for name, fn := range through {
			asked = 0
			start := time.Now()
			err := run(bg, r, fn)
			wantError(t, err, 1, ReasonRejected, core.ErrRejected)
			if asked != 1 || time.Since(start) != 0 {
				t.Errorf("%s: asked %d times in %v", name, asked, time.Since(start))
			}
		}
		if s := r.Snapshot(); s.Budget.Withdrawn != 0 {
			t.Errorf("a rejection cost the budget: %+v", s.Budget)
		}

		asked = 0
		if err := r.Tune(Config{RetryRejections: true, Base: ms}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := run(bg, r, through["breaker"]); err != nil || asked != 2 {
			t.Errorf("asked %d times, %v", asked, err)
		}
		if waited := time.Since(start); waited < 5*sec || waited > 6*sec {
			t.Errorf("asked again after %v, want the breaker's 5s and up to a fifth", waited)
		}
	})
}

// failsafe-go: with 50 ms left and a backoff of 10 s it slept until the deadline, and returned no more than "context
// deadline exceeded"; backoff v5 returns the cause of the context too.
func TestD17_NeverSleepsPastTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := mustNew(t, Config{Base: 10 * sec, Jitter: NoJitter}, Hooks{})
		ctx, cancel := context.WithTimeout(bg, 50*ms)
		defer cancel()
		attempts, start := 0, time.Now()
		err := run(ctx, r, failing(&attempts, errDown))
		wantError(t, err, 1, ReasonDeadline, errDown)
		if waited := time.Since(start); waited != 0 || attempts != 1 {
			t.Errorf("%d attempts in %v", attempts, waited)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v is a deadline that has not passed", err)
		}
		if s := r.Snapshot(); s.Budget.Withdrawn != 0 || s.GaveUp[ReasonDeadline] != 1 {
			t.Errorf("%+v", s)
		}

		// The last delay that fits, and the first that does not.
		for left, want := range map[time.Duration]int{300 * ms: 2, 300*ms + 1: 3} { // 100 and 200 ms
			r := mustNew(t, Config{Jitter: NoJitter}, Hooks{})
			ctx, cancel := context.WithTimeout(bg, left)
			attempts = 0
			err := run(ctx, r, failing(&attempts, errDown))
			cancel()
			if attempts != want || !errors.Is(err, errDown) {
				t.Errorf("with %v left: %d attempts, %v", left, attempts, err)
			}
		}
	})
}

// The caller leaves during a delay: what went wrong stays in the error, beside the context's cause.
func TestD17_LeavingKeepsTheRealError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errShutdown := errors.New("shutdown")
		for _, tt := range []struct {
			why   Reason
			cause error
			start func() (context.Context, context.CancelFunc)
		}{
			{ReasonLeft, context.Canceled, func() (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(bg)
				time.AfterFunc(sec, cancel)
				return ctx, cancel
			}},
			{ReasonLeft, errShutdown, func() (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancelCause(bg)
				time.AfterFunc(sec, func() { cancel(errShutdown) })
				return ctx, func() { cancel(nil) }
			}},
			{ReasonExpired, context.DeadlineExceeded, func() (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithTimeout(bg, sec)
				return hidden{ctx}, cancel
			}},
			{ReasonExpired, core.ErrTimeout, func() (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithTimeoutCause(bg, sec, core.ErrTimeout)
				return hidden{ctx}, cancel
			}},
		} {
			r := mustNew(t, Config{Base: 10 * sec, Jitter: NoJitter}, Hooks{})
			ctx, cancel := tt.start()
			attempts, start := 0, time.Now()
			err := run(ctx, r, failing(&attempts, errDown))
			cancel()
			wantError(t, err, 1, tt.why, errDown)
			if !errors.Is(err, tt.cause) || time.Since(start) != sec || attempts != 1 {
				t.Errorf("%v after %v: %v", tt.why, time.Since(start), err)
			}
			if s := r.Snapshot().Budget; s.Withdrawn != 1 || s.Refunded != 1 || s.Balance != 10 {
				t.Errorf("the token did not come back: %+v", s)
			}
		}
	})
}

// hidden is a context that does not tell its deadline.
type hidden struct{ context.Context }

func (hidden) Deadline() (time.Time, bool) { return time.Time{}, false }

package retry

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
)

func TestDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := mustNew(t, Config{Jitter: NoJitter}, Hooks{})
		type key struct{}
		ctx := context.WithValue(bg, key{}, 1)
		var at []time.Duration
		start := time.Now()
		v, err := Do(ctx, r, func(got context.Context) (string, error) {
			at = append(at, time.Since(start))
			if n := len(at); got.Value(key{}) != 1 || Attempt(got) != n || n == 1 && got != ctx {
				t.Errorf("attempt %d has the context %v", n, got)
			}
			if len(at) < 3 {
				return "bad", errDown
			}
			return "good", nil
		})
		if v != "good" || err != nil || !slices.Equal(at, []time.Duration{0, 100 * ms, 300 * ms}) {
			t.Errorf("%q, %v, attempts at %v", v, err, at)
		}
		if s := r.Snapshot(); s.Admitted != 1 || s.Retries != 2 || s.Rescued != 1 || s.Rejected != 0 || s.Budget.Balance != 8.1 {
			t.Errorf("%+v", s)
		}

		at = nil
		v, err = Do(ctx, r, func(context.Context) (string, error) { at = append(at, 0); return "last", errDown })
		e := wantError(t, err, 3, ReasonAttempts, errDown)
		if v != "last" || len(at) != 3 || errors.Unwrap(err) != errDown || e.Cause != nil {
			t.Errorf("%q, %v, %d attempts", v, err, len(at))
		}
		if s := r.Snapshot(); s.Retries != 4 || s.Rescued != 1 || s.GaveUp[ReasonAttempts] != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// Which outcomes are retried, and what the budget hears of them.
func TestOutcomes(t *testing.T) {
	for o, attempts := range map[core.Outcome]int{
		core.Failure: 3, core.Timeout: 3, core.Overload: 3, core.Expired: 1, core.Canceled: 1, core.Ignored: 1,
	} {
		synctest.Test(t, func(t *testing.T) {
			h := Hooks{Budget: mustBudget(t, budget.Config{Rule: budget.Throttle, Size: 100})}
			h.Classify = func(context.Context, error) core.Outcome { return o }
			r, made := mustNew(t, Config{}, h), 0
			err := run(bg, r, failing(&made, errDown))
			why, lost := ReasonAttempts, 3.0
			if attempts == 1 {
				why, lost = ReasonNotRetryable, 0
			}
			wantError(t, err, attempts, why, errDown)
			if balance := r.Budget().Snapshot().Balance; made != attempts || balance != 100-lost {
				t.Errorf("%v: %d attempts, balance %v", o, made, balance)
			}
		})
	}
}

type hinting struct {
	error
	after time.Duration
}

func (h hinting) Unwrap() error             { return h.error }
func (h hinting) RetryAfter() time.Duration { return h.after }

type opinion struct {
	error
	permanent bool
}

func (o opinion) Unwrap() error   { return o.error }
func (o opinion) Permanent() bool { return o.permanent }

// What errors say, also from further down the chain.
func TestErrorsSpeak(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		made int
		why  Reason
		took time.Duration
	}{
		{"permanent", Permanent(errDown), 1, ReasonPermanent, 0},
		{"permanent, wrapped", fmt.Errorf("call: %w", Permanent(errDown)), 1, ReasonPermanent, 0},
		{"its own method", opinion{errDown, true}, 1, ReasonPermanent, 0},
		{"its own method, and it says no", opinion{Permanent(errDown), false}, 3, ReasonAttempts, 300 * ms},
		{"hint", fmt.Errorf("call: %w", hinting{errDown, 2 * sec}), 3, ReasonAttempts, 4 * sec},
		{"no hint", hinting{errDown, 0}, 3, ReasonAttempts, 300 * ms},
		{"a hint below the delay", hinting{errDown, 150 * ms}, 3, ReasonAttempts, 350 * ms},
		{"a hint not to retry", hinting{errDown, -1}, 1, ReasonPermanent, 0},
		{"a hint beyond the limit", hinting{errDown, time.Minute + 1}, 1, ReasonHint, 0},
		{"a hint beyond all limits", hinting{errDown, core.Never}, 1, ReasonHint, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, made, start := mustNew(t, Config{Jitter: NoJitter}, Hooks{}), 0, time.Now()
			err := run(bg, r, failing(&made, tt.err))
			wantError(t, err, tt.made, tt.why, errDown)
			if made != tt.made || time.Since(start) != tt.took {
				t.Errorf("%s: %d attempts in %v", tt.name, made, time.Since(start))
			}
		})
	}
	if Permanent(nil) != nil {
		t.Error("no error has become one")
	}
	if err := Permanent(errDown); err.Error() != "down" || errors.Unwrap(err) != errDown {
		t.Errorf("%v", err)
	}
}

// A hint beyond the caller's deadline fails now, and costs no token.
func TestHintBeyondTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, made, start := mustNew(t, Config{}, Hooks{}), 0, time.Now()
		ctx, cancel := context.WithTimeout(bg, 5*sec)
		defer cancel()
		err := run(ctx, r, failing(&made, hinting{errDown, 5 * sec}))
		wantError(t, err, 1, ReasonDeadline, errDown)
		if time.Since(start) != 0 || r.Budget().Snapshot().Withdrawn != 0 {
			t.Errorf("%v, %+v", time.Since(start), r.Budget().Snapshot())
		}
	})
}

func TestHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errNotFound := errors.New("not found")
		var asked []int
		r := mustNew(t, Config{MaxAttempts: 10, MaxDelay: 2 * sec}, Hooks{
			Retryable: func(_ context.Context, o core.Outcome, err error) bool {
				return o == core.Canceled || o == core.Failure && !errors.Is(err, errNotFound)
			},
			Backoff: func(retry int, err error) time.Duration {
				asked = append(asked, retry)
				if !errors.Is(err, errDown) && !errors.Is(err, context.Canceled) {
					t.Errorf("asked about %v", err)
				}
				return []time.Duration{sec, 0, time.Hour, -1}[retry-1]
			},
		})
		made, start := 0, time.Now()
		err := run(bg, r, failing(&made, errDown))
		wantError(t, err, 4, ReasonPermanent, errDown)
		if time.Since(start) != 3*sec || !slices.Equal(asked, []int{1, 2, 3, 4}) {
			t.Errorf("asked %v, waited %v", asked, time.Since(start))
		}
		asked = nil
		wantError(t, run(bg, r, failing(&made, errNotFound)), 1, ReasonNotRetryable, errNotFound)
		wantError(t, run(bg, r, failing(&made, Permanent(errDown))), 1, ReasonPermanent, errDown)
		if len(asked) != 0 {
			t.Errorf("asked %v for a delay that nobody needs", asked)
		}
		wantError(t, run(bg, r, failing(&made, context.Canceled)), 4, ReasonPermanent, context.Canceled)
	})
}

func TestAttemptTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := mustNew(t, Config{AttemptTimeout: sec, Jitter: NoJitter}, Hooks{})
		made, start := 0, time.Now()
		hang := func(ctx context.Context) error {
			made++
			<-ctx.Done()
			if context.Cause(ctx) != core.ErrTimeout {
				t.Errorf("attempt %d ended by %v", made, context.Cause(ctx))
			}
			return ctx.Err()
		}
		err := run(bg, r, hang)
		wantError(t, err, 3, ReasonAttempts, context.DeadlineExceeded)
		if !errors.Is(err, core.ErrTimeout) || time.Since(start) != 3300*ms {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if o := core.Classify(bg, err); o != core.Timeout {
			t.Errorf("a guard outside hears %v", o)
		}

		// The caller's own deadline is another matter, also during an attempt.
		ctx, cancel := context.WithTimeout(bg, 1500*ms)
		defer cancel()
		start = time.Now()
		err = run(ctx, r, func(ctx context.Context) error { <-ctx.Done(); return errDown })
		wantError(t, err, 2, ReasonExpired, errDown)
		if time.Since(start) != 1500*ms || errors.Is(err, core.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v after %v", err, time.Since(start))
		}

		// A failure after a timeout is no timeout.
		made = 0
		err = run(bg, r, func(ctx context.Context) error {
			if made++; made == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return errDown
		})
		wantError(t, err, 3, ReasonAttempts, errDown)
		if errors.Is(err, core.ErrTimeout) {
			t.Errorf("%v", err)
		}
	})
}

// The context is done before the first attempt.
func TestDoneContext(t *testing.T) {
	r := mustNew(t, Config{}, Hooks{})
	canceled, cancel := context.WithCancel(bg)
	cancel()
	expired, cancel2 := context.WithTimeout(bg, -1)
	defer cancel2()
	for ctx, why := range map[context.Context]Reason{canceled: ReasonLeft, expired: ReasonExpired} {
		made := 0
		err := run(ctx, r, failing(&made, errDown))
		if e := wantError(t, err, 0, why, ctx.Err()); made != 0 || e.Last != nil {
			t.Errorf("%d attempts, %v", made, err)
		}
	}
	if s := r.Snapshot(); s.GaveUp[ReasonLeft] != 1 || s.GaveUp[ReasonExpired] != 1 || s.Budget.Balance != 10 {
		t.Errorf("%+v", s)
	}
	if _, err := Do[int](bg, r, nil); err == nil || err.Error() != "retry: nil function" {
		t.Errorf("error %v for a nil function", err)
	}
}

// Errors that say not to retry, rejections, and a caller who is cancelled during an attempt: no further one, whatever
// the classification says, and Retryable is not asked.
func TestNobodyIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := Hooks{Retryable: func(_ context.Context, _ core.Outcome, err error) bool { t.Errorf("asked about %v", err); return true }}
		h.Classify = func(context.Context, error) core.Outcome { return core.Failure }
		r := mustNew(t, Config{}, h)
		for _, err := range []error{Permanent(errDown), hinting{errDown, -1}, &core.Rejection{}} {
			if made := 0; run(bg, r, failing(&made, err)) == nil || made != 1 {
				t.Errorf("%d attempts after %v", made, err)
			}
		}
		ctx, cancel := context.WithCancel(bg)
		made := 0
		err := run(ctx, r, func(context.Context) error { made++; cancel(); return errDown })
		wantError(t, err, 1, ReasonLeft, errDown)
		if !errors.Is(err, context.Canceled) || made != 1 {
			t.Errorf("%d attempts, %v", made, err)
		}
	})
}

// Panic and runtime.Goexit in every function that the user brings, at the first and at a later attempt: they go on
// untouched, no further attempt is made, and the attempt's context ends.
func TestPanicAndGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ways := map[string]func(){"panic": func() { panic("boom") }, "goexit": runtime.Goexit}
		for way, fall := range ways {
			for _, where := range []string{"fn", "later fn", "classify", "retryable", "backoff", "hint", "permanent"} {
				at := func(here string) {
					if here == where {
						fall()
					}
				}
				made, last := 0, context.Context(nil)
				h := Hooks{
					Retryable: func(context.Context, core.Outcome, error) bool { at("retryable"); return true },
					Backoff:   func(int, error) time.Duration { at("backoff"); return ms },
				}
				h.Classify = func(context.Context, error) core.Outcome { at("classify"); return core.Failure }
				h.Budget = mustBudget(t, budget.Config{Rule: budget.Throttle})
				r := mustNew(t, Config{AttemptTimeout: time.Hour}, h)
				done := make(chan any, 1)
				go func() {
					defer func() { done <- recover() }()
					_ = run(bg, r, func(ctx context.Context) error {
						made++
						last = ctx
						at("fn")
						if made == 2 {
							at("later fn")
						}
						return speaking{at}
					})
				}()
				v := <-done
				attempts := 1
				if where == "later fn" {
					attempts = 2
				}
				if made != attempts || way == "panic" && v != "boom" || last.Err() == nil {
					t.Errorf("%s in %s: %d attempts, recovered %v, context %v", way, where, made, v, last.Err())
				}
				if lost := 10 - h.Budget.Snapshot().Balance; lost != float64(attempts) {
					t.Errorf("%s in %s: the budget heard of %v failures", way, where, lost)
				}
			}
		}
	})
}

// A function of the user's that hangs holds up its own call and nothing else, and the call goes on when it returns.
func TestHangInCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, where := range []string{"fn", "classify", "retryable", "backoff", "hint", "permanent", "event"} {
			release, hung := make(chan struct{}), false
			at := func(here string) {
				if here == where && !hung {
					hung = true
					<-release
				}
			}
			h := Hooks{
				Retryable: func(context.Context, core.Outcome, error) bool { at("retryable"); return true },
				Backoff:   func(int, error) time.Duration { at("backoff"); return ms },
			}
			h.Classify = func(context.Context, error) core.Outcome { at("classify"); return core.Failure }
			h.OnEvent = func(core.Event) { at("event") }
			r := mustNew(t, Config{}, h)
			ends := make(chan error, 1)
			go func() {
				if err := r.Tune(Config{MaxAttempts: 2}); err != nil { // which hangs with the listener
					t.Error(err)
				}
				ends <- run(bg, r, func(context.Context) error { at("fn"); return speaking{at} })
			}()
			synctest.Wait()
			if !hung || len(ends) != 0 {
				t.Fatalf("%s does not hang", where)
			}
			wantError(t, run(bg, r, func(context.Context) error { return speaking{at} }), 2, ReasonAttempts, nil)
			if err := r.Tune(Config{MaxAttempts: 3}); err != nil || r.Snapshot().Admitted == 0 {
				t.Errorf("%s: %v", where, err)
			}
			close(release)
			attempts := 2 // as when it began
			if where == "event" {
				attempts = 3
			}
			wantError(t, <-ends, attempts, ReasonAttempts, nil)
		}
	})
}

// speaking is an error whose methods may panic or hang.
type speaking struct{ at func(string) }

func (speaking) Error() string               { return "down" }
func (s speaking) RetryAfter() time.Duration { s.at("hint"); return 0 }
func (s speaking) Permanent() bool           { s.at("permanent"); return false }

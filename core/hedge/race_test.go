package hedge

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// hinting is an error that says when to come again.
type hinting struct {
	error
	after time.Duration
}

func (h hinting) RetryAfter() time.Duration { return h.after }

// permanent is an error that says not to come again.
type permanent struct{ error }

func (permanent) Permanent() bool { return true }

var rejection = &core.Rejection{Kind: core.KindBulkhead, Policy: "b", Reason: core.ReasonFull}

// TestRace walks the rows of the table in doc.go. The delay is 10ms.
func TestRace(t *testing.T) {
	overload := func(_ context.Context, err error) core.Outcome {
		if errors.Is(err, errBusy) {
			return core.Overload
		}
		return core.Classify(bg, err)
	}
	three := fixed
	three.MaxExtra = 3
	for _, tt := range []struct {
		row  string
		c    Config
		call fn
		want ending // its error is in err, or below it
		all  int    // errors in an *Error
	}{
		{"E1 the first, in time", fixed, attempts(works(1, 9*ms)), ending{v: 1, from: From{1, 1}, took: 9 * ms}, 0},
		{"E1 the first, at once", fixed, attempts(works(1, 0)), ending{v: 1, from: From{1, 1}}, 0},
		{"T1, E1 the second", fixed, attempts(works(1, time.Hour), works(2, 5*ms)), ending{v: 2, from: From{2, 2}, took: 15 * ms}, 0},
		{"T1, E1 the first all the same", fixed, attempts(works(1, 12*ms), works(2, 5*ms)), ending{v: 1, from: From{1, 2}, took: 12 * ms}, 0},
		{"E1 the first does not heed that it has lost", fixed, attempts(deaf(1, nil, time.Minute), works(2, 5*ms)), ending{v: 2, from: From{2, 2}, took: 15 * ms}, 0},
		{"T1 every delay one more", three, attempts(works(1, time.Hour), works(2, time.Hour), works(3, time.Hour), works(4, ms)), ending{v: 4, from: From{4, 4}, took: 31 * ms}, 0},
		{"E2 the first is permanent", fixed, attempts(fails(0, permanent{errDown}, 2*ms)), ending{err: permanent{errDown}, from: From{1, 1}, took: 2 * ms}, 0},
		{"E2 the second is permanent", fixed, attempts(works(1, time.Hour), fails(0, permanent{errDown}, 2*ms)), ending{err: permanent{errDown}, from: From{2, 2}, took: 12 * ms}, 0},
		{"E2 canceled by somebody else", fixed, attempts(fails(0, context.Canceled, 2*ms)), ending{err: context.Canceled, from: From{1, 1}, took: 2 * ms}, 0},
		{"E2 after a failure", fixed, attempts(fails(0, errDown, 2*ms), fails(0, permanent{errBusy}, 2*ms)), ending{err: permanent{errBusy}, from: From{0, 2}, took: 4 * ms}, 2},
		{"E4 the next at once", fixed, attempts(fails(0, errDown, 2*ms), works(2, 3*ms)), ending{v: 2, from: From{2, 2}, took: 5 * ms}, 0},
		{"E4 the second fails, the third at once", three, attempts(works(1, time.Hour), fails(0, errDown, 2*ms), works(3, 3*ms)), ending{v: 3, from: From{3, 3}, took: 15 * ms}, 0},
		{"E4 and another after a delay", three, attempts(fails(0, errDown, 2*ms), works(2, time.Hour), works(3, 3*ms)), ending{v: 3, from: From{3, 3}, took: 15 * ms}, 0},
		{"E4, E7 no more to come", fixed, attempts(fails(0, errDown, 2*ms), fails(0, errBusy, 3*ms)), ending{err: errBusy, from: From{0, 2}, took: 5 * ms}, 2},
		{"E5 later, while another runs", three, attempts(works(1, time.Hour), fails(0, hinting{errDown, 7 * ms}, 2*ms), works(3, 3*ms)), ending{v: 3, from: From{3, 3}, took: 22 * ms}, 0},
		{"E5 later than the delay", three, attempts(works(1, time.Hour), fails(0, hinting{errDown, 500 * ms}, 2*ms), works(3, 3*ms)), ending{v: 3, from: From{3, 3}, took: 515 * ms}, 0},
		{"E6 alone it is not waited", fixed, attempts(fails(7, hinting{errDown, 7 * ms}, 2*ms)), ending{v: 7, err: hinting{errDown, 7 * ms}, from: From{1, 1}, took: 2 * ms}, 0},
		{"E6 not again, while another runs", three, attempts(works(1, time.Second), fails(0, hinting{errDown, -1}, 2*ms), works(3, 3*ms)), ending{v: 1, from: From{1, 2}, took: time.Second}, 0},
		{"E6 not for long", three, attempts(works(1, time.Second), fails(0, hinting{errDown, time.Hour}, 2*ms), works(3, 3*ms)), ending{v: 1, from: From{1, 2}, took: time.Second}, 0},
		{"E6 overload", fixed, attempts(fails(7, errBusy, 2*ms)), ending{v: 7, err: errBusy, from: From{1, 1}, took: 2 * ms}, 0},
		{"E6 the second is rejected, the first answers", fixed, attempts(works(1, time.Second), fails(0, rejection, 0)), ending{v: 1, from: From{1, 2}, took: time.Second}, 0},
		{"E6, E7 the first is rejected", fixed, attempts(fails(0, rejection, 2*ms)), ending{err: rejection, from: From{1, 1}, took: 2 * ms}, 0},
		{"E7 it fails as if it had been alone", fixed, attempts(fails(0, errDown, 2*ms), fails(0, rejection, 0)), ending{err: errDown, from: From{0, 2}, took: 2 * ms}, 1},
	} {
		t.Run(tt.row, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := mustNew(t, tt.c, Hooks{Hooks: core.Hooks{Classify: overload}})
				got := do(bg, h, tt.call)
				var e *Error
				if errors.As(got.err, &e) {
					if tt.all == 0 || len(e.Unwrap()) != tt.all || e.Err != tt.want.err {
						t.Errorf("error %v, want %d errors, the best %v", e, tt.all, tt.want.err)
					}
					got.err = e.Err
				}
				if got != tt.want {
					t.Errorf("got %+v, want %+v", got, tt.want)
				}
				s := h.Snapshot()
				won := 0
				if got.err == nil && got.from.Attempt > 1 {
					won = 1
				}
				if s.Admitted != 1 || int(s.Extra) != got.from.Attempts-1 || int(s.Won) != won || s.Rejected != 0 {
					t.Errorf("%+v", s)
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				atRest(t, h)
			})
		})
	}
}

// A1, and what is no call at all.
func TestDoesNotBegin(t *testing.T) {
	h := mustNew(t, fixed, Hooks{})
	gone, cancel := context.WithCancelCause(bg)
	cancel(errDown)
	never := func(context.Context) (int, error) { t.Error("fn ran"); return 1, nil }
	for name, tt := range map[string]struct {
		ctx  context.Context
		fn   fn
		want error
	}{"done": {gone, never, context.Canceled}, "nil": {bg, nil, errNoFunction}} {
		if v, from, release, err := DoKeeping(tt.ctx, h, tt.fn); v != 0 || from != (From{}) || err != tt.want || release == nil {
			t.Errorf("%s: %v, %+v, %v", name, v, from, err)
		}
		if _, err := Do(tt.ctx, h, tt.fn); err != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := h.Snapshot(); s.Admitted != 0 {
		t.Errorf("%d calls were counted", s.Admitted)
	}
}

// E1 of an error that is an answer.
func TestErrorThatIsAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := mustNew(t, fixed, Hooks{Hooks: core.Hooks{Classify: func(_ context.Context, err error) core.Outcome {
			if err == nil || err == errDown {
				return core.Success
			}
			return core.Failure
		}}})
		got := do(bg, h, attempts(fails(0, errBusy, ms), fails(5, errDown, ms)))
		if want := (ending{v: 5, err: errDown, from: From{2, 2}, took: 2 * ms}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// E2 by Hooks.Fatal, which replaces the default.
func TestFatal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		h := mustNew(t, fixed, Hooks{Fatal: func(_ context.Context, o core.Outcome, err error) bool {
			asked = append(asked, fmt.Sprint(o, " ", err))
			return err == errBusy
		}})
		if got := do(bg, h, attempts(fails(0, errBusy, ms), works(2, ms))); got.err != errBusy || got.took != ms {
			t.Errorf("fatal: %+v", got)
		}
		if got := do(bg, h, attempts(fails(0, permanent{errDown}, ms), works(2, ms))); got.v != 2 {
			t.Errorf("not fatal: %+v", got)
		}
		ctx, cancel := context.WithTimeout(bg, 20*ms)
		defer cancel()
		if got := do(ctx, h, works(1, time.Hour)); got.err != context.DeadlineExceeded || got.took != 20*ms {
			t.Errorf("the caller's deadline: %+v", got)
		}
		if got := fmt.Sprint(asked); got != "[failure busy failure down]" {
			t.Errorf("asked about %s", got)
		}
	})
}

// The caller leaves: the first attempt that heeds it ends the call, and there is no further one.
func TestCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := mustNew(t, fixed, Hooks{})
		for _, tt := range []struct {
			leaves time.Duration
			call   fn
			want   ending
		}{
			{5 * ms, works(1, time.Hour), ending{err: context.Canceled, from: From{1, 1}, took: 5 * ms}},
			{15 * ms, works(1, time.Hour), ending{err: context.Canceled, from: From{0, 2}, took: 15 * ms}},
			{5 * ms, deaf(1, nil, 30*ms), ending{v: 1, from: From{1, 1}, took: 30 * ms}},
			{15 * ms, attempts(deaf(1, nil, time.Minute), works(2, time.Hour)), ending{err: context.Canceled, from: From{2, 2}, took: 15 * ms}},
		} {
			ctx, cancel := context.WithCancel(bg)
			time.AfterFunc(tt.leaves, cancel)
			got := do(ctx, h, tt.call)
			if tt.want.from.Attempts == 2 && tt.want.from.Attempt == 0 {
				tt.want.from.Attempt = got.from.Attempt // either may be first
			}
			if got != tt.want {
				t.Errorf("leaves after %v: got %+v, want %+v", tt.leaves, got, tt.want)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			atRest(t, h)
		}
	})
}

// Each attempt knows its number, and hedges within a further attempt make no further ones.
func TestAttemptNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, inner := mustNew(t, fixed, Hooks{}), mustNew(t, fixed, Hooks{})
		if Attempt(bg) != 1 || Attempt(Once(bg)) != 1 {
			t.Error("nobody hedges")
		}
		got := do(bg, h, attempts(works(1, time.Hour), func(ctx context.Context) (int, error) {
			if Attempt(ctx) != 2 {
				t.Errorf("attempt %d", Attempt(ctx))
			}
			v, from, err := DoFrom(ctx, inner, works(2, time.Minute))
			if from.Attempts != 1 {
				t.Errorf("%+v", from)
			}
			return v, err
		}))
		if got.v != 2 || got.took != time.Minute+10*ms {
			t.Errorf("%+v", got)
		}
	})
}

package retry

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
)

// held is a result that is open until somebody closes it.
type held struct {
	ctx    context.Context
	closed bool
}

// hold makes results, each with the error that is next in errs; the last error stays.
func hold(all *[]*held, errs ...error) func(context.Context) (*held, error) {
	return func(ctx context.Context) (*held, error) {
		h := &held{ctx: ctx}
		*all = append(*all, h)
		return h, errs[min(len(*all), len(errs))-1]
	}
}

// TestKeepingDiscardsBeforeTheDelay holds that what an attempt left open is closed as soon as another one is certain, and
// that its context lives until then.
func TestKeepingDiscardsBeforeTheDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := mustNew(t, Config{Jitter: NoJitter, Base: sec, AttemptTimeout: 5 * sec}, Hooks{})
		var all []*held
		var at []core.Time
		start := core.Now()
		v, release, err := DoKeeping(t.Context(), r, hold(&all, errDown, errDown, nil), func(h *held, err error) {
			if h.ctx.Err() != nil || !errors.Is(err, errDown) {
				t.Errorf("discard: context %v, error %v", h.ctx.Err(), err)
			}
			h.closed = true
			at = append(at, core.Now())
		})
		if err != nil || len(all) != 3 || v != all[2] || v.closed {
			t.Fatalf("%v, %v", v, err)
		}
		if want := []core.Time{start, start.Add(sec)}; !slices.Equal(at, want) {
			t.Errorf("discarded at %v, want %v", at, want)
		}
		for i, h := range all[:2] {
			if !h.closed || h.ctx.Err() == nil {
				t.Errorf("attempt %d: closed %v, context %v", i+1, h.closed, h.ctx.Err())
			}
		}
		if v.ctx.Err() != nil {
			t.Error("the context of the result has ended with the call")
		}
		release()
		release()
		if v.ctx.Err() == nil {
			t.Error("release does not end it")
		}
	})
}

// TestKeepingReturnsWhatFailedLast holds that the result of the last attempt is returned open, whyever there is no further one.
func TestKeepingReturnsWhatFailedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		empty := mustBudget(t, budget.Config{Size: 1})
		empty.Withdraw(0)
		for _, tt := range []struct {
			name     string
			c        Config
			h        Hooks
			err      error
			attempts int
		}{
			{"attempts", Config{}, Hooks{}, errDown, 3},
			{"permanent", Config{}, Hooks{}, Permanent(errDown), 1},
			{"budget", Config{}, Hooks{Budget: empty}, errDown, 1},
			{"shadow", Config{Mode: core.Shadow}, Hooks{}, errDown, 1},
			{"disabled", Config{Mode: core.Disabled}, Hooks{}, errDown, 1},
		} {
			tt.c.AttemptTimeout = sec
			var all []*held
			v, release, err := DoKeeping(t.Context(), mustNew(t, tt.c, tt.h), hold(&all, tt.err), func(h *held, _ error) { h.closed = true })
			if !errors.Is(err, errDown) || len(all) != tt.attempts || v == nil || v.closed || v.ctx.Err() != nil {
				t.Errorf("%s: %+v, %v after %d attempts", tt.name, v, err, len(all))
			}
			release()
		}
	})
}

func TestKeepingReturnsNothingThatIsDiscarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*sec)
		defer cancel()
		leave, gone := context.WithCancel(ctx)
		r := mustNew(t, Config{Jitter: NoJitter, Base: 20 * sec, MaxDelay: 20 * sec}, Hooks{})
		var all []*held
		v, release, err := DoKeeping(leave, r, hold(&all, errDown), func(h *held, _ error) { h.closed = true; gone() })
		release()
		if v != nil || !errors.Is(err, context.Canceled) || len(all) != 1 || !all[0].closed {
			t.Errorf("%v, %v, %d attempts", v, err, len(all))
		}
		if s := r.Snapshot(); s.Budget.Refunded != 1 {
			t.Errorf("the token is gone: %+v", s.Budget)
		}
	})
}

func TestKeepingIsTimedUntilTheRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := mustNew(t, Config{AttemptTimeout: sec}, Hooks{})
		var all []*held
		v, release, err := DoKeeping(t.Context(), r, hold(&all, nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		<-v.ctx.Done()
		if !errors.Is(context.Cause(v.ctx), core.ErrTimeout) {
			t.Errorf("cause %v", context.Cause(v.ctx))
		}
	})
}

// TestKeepingEndsContextsOfWhatGoesOn injects a panic and runtime.Goexit into the call and into discard.
func TestKeepingEndsContextsOfWhatGoesOn(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("end") }, "Goexit": runtime.Goexit} {
		for _, inDiscard := range []bool{false, true} {
			var ctx context.Context
			done := make(chan any, 1)
			go func() {
				defer func() { done <- recover() }()
				r := mustNew(t, Config{AttemptTimeout: sec, Base: ms}, Hooks{})
				_, _, _ = DoKeeping(bg, r, func(c context.Context) (int, error) {
					ctx = c
					if !inDiscard {
						end()
					}
					return 0, errDown
				}, func(int, error) { end() })
			}()
			if p := <-done; (p != nil) != (name == "panic") || ctx.Err() == nil {
				t.Errorf("%s, in discard %v: %v, context %v", name, inDiscard, p, ctx.Err())
			}
		}
	}
}

func TestKeepingNothing(t *testing.T) {
	r := mustNew(t, Config{}, Hooks{})
	_, release, err := DoKeeping[int](bg, r, nil, nil)
	release()
	if err == nil {
		t.Error("a nil function is no error")
	}
	ok := func(context.Context) (int, error) { return 1, nil }
	if n := testing.AllocsPerRun(1000, func() {
		_, release, _ := DoKeeping(bg, r, ok, nil)
		release()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

package timeout

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// TestOutcomes walks the rows A and E of the table in doc.go.
func TestOutcomes(t *testing.T) {
	forEachForm(t, func(t *testing.T, do func(context.Context, *Timeout, fn) (int, error)) {
		for _, tt := range []struct {
			row      string
			deadline time.Duration // of the caller; 0: none
			c        Config
			fn       fn
			want     ending
			outcome  core.Outcome // that a guard outside would see
		}{
			{"A2", -1, Config{}, works(1, 0), ending{err: context.DeadlineExceeded}, core.Expired},
			{"A3", 40 * ms, Config{Margin: 10 * ms, MinRest: 31 * ms}, works(1, 0), ending{err: core.ErrTooLong}, core.Ignored},
			{"A4", 40 * ms, Config{Margin: 10 * ms, MinRest: 30 * ms}, works(1, 20*ms), ending{v: 1, took: 20 * ms}, core.Success},
			{"A4 over", 40 * ms, Config{}, works(1, time.Hour), ending{err: context.DeadlineExceeded, took: 40 * ms}, core.Expired},
			{"A4 over, less the margin", 40 * ms, Config{Margin: 10 * ms}, works(1, time.Hour), ending{err: context.DeadlineExceeded, took: 30 * ms}, core.Timeout},
			{"A5", time.Minute, Config{}, works(1, time.Hour), ending{err: core.ErrTimeout, took: 100 * ms}, core.Timeout},
			{"E1", 0, Config{}, works(1, 99*ms), ending{v: 1, took: 99 * ms}, core.Success},
			{"E2", 0, Config{}, deaf(0, errDown, 99*ms), ending{err: errDown, took: 99 * ms}, core.Failure},
			{"E3", 0, Config{}, works(1, time.Hour), ending{err: core.ErrTimeout, took: 100 * ms}, core.Timeout},
		} {
			t.Run(tt.row, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					tt.c.Limit = 100 * ms
					to := mustNew(t, tt.c, Hooks{})
					ctx := bg
					if tt.deadline != 0 {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(bg, tt.deadline)
						defer cancel()
					}
					got := call(func() (int, error) { return do(ctx, to, tt.fn) })
					if got.v != tt.want.v || !errors.Is(got.err, tt.want.err) || got.took != tt.want.took {
						t.Errorf("got %+v, want %+v", got, tt.want)
					}
					if o := core.Classify(ctx, got.err); o != tt.outcome {
						t.Errorf("a guard outside sees %v, want %v", o, tt.outcome)
					}
					if ours := errors.Is(got.err, core.ErrTimeout); ours != (to.Snapshot().TimedOut == 1) {
						t.Errorf("%v, and %d timed out", got.err, to.Snapshot().TimedOut)
					}
					synctest.Wait()
					atRest(t, to)
				})
			})
		}
	})
}

// TestCause: who ended the call stands in the cause of its context, as core.ClassifyDone reads it.
func TestCause(t *testing.T) {
	forEachForm(t, func(t *testing.T, do func(context.Context, *Timeout, fn) (int, error)) {
		synctest.Test(t, func(t *testing.T) {
			to := mustNew(t, Config{Limit: 100 * ms}, Hooks{})
			causes := make(chan error, 1)
			seen := make(chan core.Outcome, 1)
			wait := func(ctx context.Context) (int, error) {
				<-ctx.Done()
				causes <- context.Cause(ctx)
				seen <- core.ClassifyDone(ctx)
				return 0, ctx.Err()
			}
			_, err := do(bg, to, wait)
			if cause := <-causes; !errors.Is(cause, core.ErrTimeout) || !strings.Contains(cause.Error(), `timeout "test": over after 100ms`) {
				t.Errorf("the cause is %v", cause)
			}
			if o := <-seen; o != core.Timeout || !errors.Is(err, core.ErrTimeout) {
				t.Errorf("our limit: %v, %v", o, err)
			}
			theirs := errors.New("theirs")
			ctx, cancel := context.WithTimeoutCause(bg, 50*ms, theirs)
			defer cancel()
			_, err = do(ctx, to, wait)
			if cause, o := <-causes, <-seen; cause != theirs || o != core.Expired || errors.Is(err, core.ErrTimeout) {
				t.Errorf("the caller's deadline: %v, %v, %v", cause, o, err)
			}
			gone, leave := context.WithCancelCause(bg)
			time.AfterFunc(20*ms, func() { leave(theirs) })
			_, err = do(gone, to, wait)
			if cause, o := <-causes, <-seen; cause != theirs || o != core.Canceled || err != context.Canceled {
				t.Errorf("the caller has left: %v, %v, %v", cause, o, err)
			}
			if s := to.Snapshot(); s.TimedOut != 1 || s.Admitted != 3 || s.Rejected != 0 {
				t.Errorf("%+v", s)
			}
		})
	})
}

// TestOuterLimitIsNotOurs: an inner timeout whose context an outer one ends does not count, and does not claim it.
func TestOuterLimitIsNotOurs(t *testing.T) {
	forEachForm(t, func(t *testing.T, do func(context.Context, *Timeout, fn) (int, error)) {
		synctest.Test(t, func(t *testing.T) {
			outer, err := New("outer", Config{Limit: 50 * ms}, Hooks{})
			if err != nil {
				t.Fatal(err)
			}
			inner := mustNew(t, Config{Limit: 100 * ms}, Hooks{})
			_, err = do(bg, outer, func(ctx context.Context) (int, error) { return do(ctx, inner, works(1, time.Hour)) })
			var e *Error
			if !errors.As(err, &e) || e.Policy != "outer" || e.Limit != 50*ms {
				t.Errorf("%v", err)
			}
			synctest.Wait()
			if o, i := outer.Snapshot().TimedOut, inner.Snapshot().TimedOut; o != 1 || i != 0 {
				t.Errorf("outer %d, inner %d timed out", o, i)
			}
			ctx, end := context.WithCancelCause(bg) // one that keeps its deadline to itself
			time.AfterFunc(50*ms, func() { end(core.ErrTimeout) })
			if _, err := do(ctx, inner, works(1, time.Hour)); err != context.Canceled || inner.Snapshot().TimedOut != 0 {
				t.Errorf("%v, inner %d timed out", err, inner.Snapshot().TimedOut)
			}
		})
	})
}

func TestError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := mustNew(t, Config{Limit: 100 * ms}, Hooks{})
		_, err := Do(bg, to, deaf(0, errDown, 101*ms)) // a driver that has words of its own
		if got := err.Error(); got != `timeout "test": over after 100ms: down` {
			t.Error(got)
		}
		if !errors.Is(err, core.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errDown) || !os.IsTimeout(err) {
			t.Errorf("%v is not all that it should be", err)
		}
		if errors.Is(err, context.Canceled) || errors.Is(err, core.ErrRejected) {
			t.Errorf("%v is more than it should be", err)
		}
		_, err = Do(bg, to, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, context.Cause(ctx) })
		if got := err.Error(); got != `timeout "test": over after 100ms` {
			t.Errorf("the cause handed back: %s", got)
		}
		_, err = Do(bg, to, works(1, time.Hour))
		if got := err.Error(); got != `timeout "test": over after 100ms` {
			t.Errorf("ctx.Err handed back: %s", got)
		}
	})
}

// E4: what comes late but well is no waste.
func TestLateSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := mustNew(t, Config{Limit: 100 * ms}, Hooks{})
		v, err := Do(bg, to, deaf(7, nil, 150*ms))
		if v != 7 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
		if s := to.Snapshot(); s.Late != 1 || s.TimedOut != 0 {
			t.Errorf("%d late, %d timed out", s.Late, s.TimedOut)
		}
	})
}

// A1: a context that is done costs nothing but the question.
func TestContextDoneBefore(t *testing.T) {
	forEachForm(t, func(t *testing.T, do func(context.Context, *Timeout, fn) (int, error)) {
		to := mustNew(t, Config{Limit: time.Second}, Hooks{})
		gone, cancel := context.WithCancel(bg)
		cancel()
		ran := false
		probe := func(context.Context) (int, error) { ran = true; return 1, nil }
		if _, err := do(gone, to, probe); err != context.Canceled || ran {
			t.Errorf("%v, ran %v", err, ran)
		}
		if s := to.Snapshot(); s.Admitted != 0 || s.Rejected != 0 {
			t.Errorf("%+v", s.Status)
		}
		for _, mode := range []core.Mode{core.Shadow, core.Disabled} {
			if err := to.Override(mode, 0); err != nil {
				t.Fatal(err)
			}
			ran = false
			if v, err := do(gone, to, probe); v != 1 || err != nil || !ran {
				t.Errorf("%v: %d, %v", mode, v, err)
			}
		}
	})
}

func TestNilFunction(t *testing.T) {
	forEachForm(t, func(t *testing.T, do func(context.Context, *Timeout, fn) (int, error)) {
		to := mustNew(t, Config{Limit: time.Second}, Hooks{})
		if _, err := do(bg, to, nil); err == nil || err.Error() != "timeout: the function is nil" {
			t.Errorf("%v", err)
		}
	})
}

// E6: a panic and runtime.Goexit go on, before the limit and after it, and the context of the call ends with them.
func TestPanicAndGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []Config{{}, {Adaptive: true}, {Mode: core.Shadow}, {Mode: core.Disabled}} {
			c.Limit = 100 * ms
			to := mustNew(t, c, Hooks{})
			for _, pause := range []time.Duration{0, 150 * ms} {
				var inner context.Context
				got := call(func() (int, error) {
					return Do(bg, to, func(ctx context.Context) (int, error) { inner = ctx; time.Sleep(pause); return panics(ctx) })
				})
				if got.panic != error(errDown) {
					t.Errorf("%v: recovered %v, want the panic itself", c.Mode, got.panic)
				}
				if c.Mode == core.Enforce && inner.Err() == nil {
					t.Error("the context of the call lives on")
				}
				got = call(func() (int, error) {
					return Do(bg, to, func(ctx context.Context) (int, error) { time.Sleep(pause); return exits(ctx) })
				})
				if !got.exited {
					t.Errorf("%v: Goexit became %+v", c.Mode, got)
				}
			}
			if s := to.Snapshot(); s.Admitted != 4 || s.TimedOut != 0 || s.Late != 0 {
				t.Errorf("%+v", s)
			}
		}
	})
}

// The context of a call ends when Do returns: nothing is left behind in a long-lived parent.
func TestContextEndsWithTheCall(t *testing.T) {
	forEachForm(t, func(t *testing.T, do func(context.Context, *Timeout, fn) (int, error)) {
		synctest.Test(t, func(t *testing.T) {
			to := mustNew(t, Config{Limit: time.Hour}, Hooks{})
			var kept context.Context
			if _, err := do(bg, to, func(ctx context.Context) (int, error) { kept = ctx; return 1, nil }); err != nil {
				t.Error(err)
			}
			if kept.Err() != context.Canceled {
				t.Errorf("after the call its context says %v", kept.Err())
			}
		})
	})
}

// Hooks.Classify may panic, exit and take its time; nothing is lost by it.
func TestClassifyMisbehaves(t *testing.T) {
	forEachForm(t, func(t *testing.T, do func(context.Context, *Timeout, fn) (int, error)) {
		synctest.Test(t, func(t *testing.T) {
			var how func()
			classify := func(context.Context, error) core.Outcome { how(); return core.Success }
			to := mustNew(t, Config{Limit: 100 * ms, Adaptive: true}, Hooks{Hooks: core.Hooks{Classify: classify}})
			var inner context.Context
			answer := func() (int, error) {
				return do(bg, to, func(ctx context.Context) (int, error) { inner = ctx; return 1, nil })
			}
			how = func() { panic("bad") }
			if got := call(answer); got.panic != "bad" || inner.Err() == nil {
				t.Errorf("panic: %+v, context %v", got, inner.Err())
			}
			how = func() { _, _ = exits(bg) }
			if got := call(answer); !got.exited || inner.Err() == nil {
				t.Errorf("Goexit: %+v, context %v", got, inner.Err())
			}
			how = func() { time.Sleep(time.Minute) }
			if got := call(answer); got.v != 1 || got.err != nil || got.took != time.Minute {
				t.Errorf("slow: %+v", got)
			}
			atRest(t, to)
		})
	})
}

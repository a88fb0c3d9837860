package fallback

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// P2, R4: panic and Goexit are no failures to be answered: they go on, no later step runs, and places come back.
func TestPanicAndGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 3 * 10 { // three times the places
			one := mustNew(t, "one", Config{Limit: 1}, Hooks{})
			next := step(t, "next", answers(2))
			c := Chain[int]{{one, panics}, next}
			if got := call(bg, c, func(ctx context.Context) (int, error) { return panics(ctx, nil) }); got.panic != error(errDown) {
				t.Errorf("fn panics: %+v", got)
			}
			if got := call(bg, c, func(ctx context.Context) (int, error) { return exits(ctx, nil) }); !got.exited {
				t.Errorf("fn exits: %+v", got)
			}
			if got := call(bg, c, first(0, errOne)); got.panic != error(errDown) {
				t.Errorf("the step panics: %+v", got)
			}
			c[0].Run = exits
			if got := call(bg, c, first(0, errOne)); !got.exited {
				t.Errorf("the step exits: %+v", got)
			}
			c[0].Run = answers(1)
			if got := call(bg, c, first(0, errOne)); got.v != 1 {
				t.Errorf("its place is lost: %+v", got)
			}
			if s := one.Snapshot(); s.Admitted != 3 || s.Answered != 1 || s.Rejected != 0 {
				t.Errorf("%+v", s)
			}
			if s := next.By.Snapshot(); s.Admitted != 0 {
				t.Errorf("a panic was answered by the next step")
			}
			atRest(t, c)
		}
	})
}

// The context of a step ends with it, however it ends.
func TestContextEndsWithTheStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, end := range []func(context.Context, error) (int, error){answers(1), fails(errOne), panics, exits} {
			var kept context.Context
			c := Chain[int]{step(t, "one", func(ctx context.Context, before error) (int, error) { kept = ctx; return end(ctx, before) })}
			call(bg, c, first(0, errDown))
			if kept.Err() != context.Canceled {
				t.Errorf("after the step its context says %v", kept.Err())
			}
		}
	})
}

// Hooks that panic, exit, hang and call back: nothing is held by them.
func TestHooksMisbehave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var how func()
		classify := func(ctx context.Context, err error) core.Outcome { how(); return core.Failure }
		when := func(core.Outcome, error) bool { how(); return true }
		for name, h := range map[string]Hooks{
			"Classify": {Hooks: core.Hooks{Classify: classify}},
			"When":     {When: when},
		} {
			f := mustNew(t, "one", Config{Limit: 1}, h)
			c := Chain[int]{{f, answers(1)}}
			how = func() { panic(errTwo) }
			if got := call(bg, c, first(0, errDown)); got.panic != error(errTwo) {
				t.Errorf("%s panics: %+v", name, got)
			}
			how = func() { _, _ = exits(bg, nil) }
			if got := call(bg, c, first(0, errDown)); !got.exited {
				t.Errorf("%s exits: %+v", name, got)
			}
			how = func() { time.Sleep(time.Hour) }
			if got := call(bg, c, first(0, errDown)); got.v != 1 || got.took != time.Hour {
				t.Errorf("%s is slow: %+v", name, got)
			}
			how = func() { f.Snapshot(); _ = f.Tune(Config{Limit: 2}); f.Restore() }
			if got := call(bg, c, first(0, errDown)); got.v != 1 {
				t.Errorf("%s calls back: %+v", name, got)
			}
			atRest(t, c)
		}
	})
}

// A step that does not heed its context is waited for, and holds its place as long.
func TestStepThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := mustNew(t, "one", Config{Limit: 1, Timeout: 100 * ms}, Hooks{})
		c := Chain[int]{{f, func(context.Context, error) (int, error) { time.Sleep(time.Hour); return 0, errOne }}}
		done := make(chan ending)
		go func() { done <- call(bg, c, first(0, errDown)) }()
		synctest.Wait()
		if got := call(bg, c, first(0, errDown)); !errors.Is(got.err, core.ErrFull) || got.took != 0 {
			t.Errorf("while it hangs: %+v", got)
		}
		if got := <-done; got.took != time.Hour || !errors.Is(got.err, core.ErrTimeout) || !errors.Is(got.err, errOne) {
			t.Errorf("%+v", got)
		}
		atRest(t, c)
	})
}

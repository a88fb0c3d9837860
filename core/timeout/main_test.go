package timeout

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mw-go/mw/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	bg      = context.Background()
	errDown = errors.New("down")
)

func mustNew(t testing.TB, c Config, h Hooks) *Timeout {
	t.Helper()
	to, err := New("test", c, h)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// fn is a call of the tests.
type fn = func(context.Context) (int, error)

// forms are the two ways to make a call.
var forms = []struct {
	name string
	do   func(context.Context, *Timeout, fn) (int, error)
}{
	{"Do", Do[int]},
	{"DoAbandoning", DoAbandoning[int]},
}

// forEachForm runs f as a subtest for each of the forms.
func forEachForm(t *testing.T, f func(t *testing.T, do func(context.Context, *Timeout, fn) (int, error))) {
	for _, form := range forms {
		t.Run(form.name, func(t *testing.T) { f(t, form.do) })
	}
}

// works returns a function that answers v after d, unless its context is done first.
func works(v int, d time.Duration) fn {
	return func(ctx context.Context) (int, error) {
		select {
		case <-time.After(d):
			return v, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// deaf returns a function that ends after d whatever its context says.
func deaf(v int, err error, d time.Duration) fn {
	return func(context.Context) (int, error) {
		time.Sleep(d)
		return v, err
	}
}

// ending is how a call came back to its caller.
type ending struct {
	v      int
	err    error
	panic  any
	exited bool
	took   time.Duration
}

// call makes a call in a goroutine of its own, where it may panic and exit, and says how it ended.
func call(do func() (int, error)) ending {
	ended := make(chan ending)
	go func() {
		e, start := ending{exited: true}, core.Now()
		defer func() {
			if e.exited {
				if e.panic = recover(); e.panic != nil {
					e.exited = false
				}
			}
			e.took = core.Now().Sub(start)
			ended <- e
		}()
		e.v, e.err = do()
		e.exited = false
	}()
	return <-ended
}

func exits(context.Context) (int, error)  { runtime.Goexit(); return 0, nil }
func panics(context.Context) (int, error) { panic(errDown) }

// atRest checks what must hold when no call is under way.
func atRest(t testing.TB, to *Timeout) {
	t.Helper()
	if s := to.Snapshot(); s.Running != 0 || s.Stuck != 0 {
		t.Errorf("at rest: %d run, %d are stuck", s.Running, s.Stuck)
	}
}

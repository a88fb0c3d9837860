package fallback

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

const ms = time.Millisecond

var (
	bg      = context.Background()
	errDown = errors.New("down")
	errOne  = errors.New("one")
	errTwo  = errors.New("two")
)

func mustNew(t testing.TB, name string, c Config, h Hooks) *Fallback {
	t.Helper()
	f, err := New(name, c, h)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// step is a step of default settings that answers as run does.
func step(t testing.TB, name string, run func(context.Context, error) (int, error)) Step[int] {
	return Step[int]{By: mustNew(t, name, Config{}, Hooks{}), Run: run}
}

func answers(v int) func(context.Context, error) (int, error) {
	return func(context.Context, error) (int, error) { return v, nil }
}

func fails(err error) func(context.Context, error) (int, error) {
	return func(context.Context, error) (int, error) { return 0, err }
}

// first is a primary that answers v and err.
func first(v int, err error) func(context.Context) (int, error) {
	return func(context.Context) (int, error) { return v, err }
}

// ending is how a call came back to its caller.
type ending struct {
	v      int
	from   From
	err    error
	panic  any
	exited bool
	took   time.Duration
}

// call makes a call in a goroutine of its own, where it may panic and exit, and says how it ended.
func call(ctx context.Context, c Chain[int], fn func(context.Context) (int, error)) ending {
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
		e.v, e.from, e.err = DoFrom(ctx, c, fn)
		e.exited = false
	}()
	return <-ended
}

func exits(context.Context, error) (int, error)  { runtime.Goexit(); return 0, nil }
func panics(context.Context, error) (int, error) { panic(errDown) }

// atRest checks what must hold when no call is under way.
func atRest(t testing.TB, c Chain[int]) {
	t.Helper()
	for _, st := range c {
		if s := st.By.Snapshot(); s.Running != 0 || s.Answered > s.Admitted || s.TimedOut > s.Admitted-s.Answered {
			t.Errorf("at rest %s has %d running, %d begun, %d answered, %d timed out",
				s.Policy.Name, s.Running, s.Admitted, s.Answered, s.TimedOut)
		}
	}
}

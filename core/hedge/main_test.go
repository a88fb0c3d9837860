package hedge

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

var (
	bg      = context.Background()
	errDown = errors.New("down")
	errBusy = errors.New("busy")
)

// fixed is a hedge after 10ms that no bound holds back.
var fixed = Config{Delay: 10 * ms, Ratio: 1, Burst: 1000, MaxStragglers: 1000}

func mustNew(t testing.TB, c Config, h Hooks) *Hedge {
	t.Helper()
	g, err := New("test", c, h)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func mustBudget(t testing.TB, c budget.Config) *budget.Budget {
	t.Helper()
	b, err := budget.New("test", c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fn is a call of the tests.
type fn = func(context.Context) (int, error)

// attempts makes a call of which each attempt does something else; more of them do as the last.
func attempts(fns ...fn) fn {
	return func(ctx context.Context) (int, error) { return fns[min(Attempt(ctx), len(fns))-1](ctx) }
}

// works returns a function that answers v after d, unless its context is done first.
func works(v int, d time.Duration) fn { return fails(v, nil, d) }

// fails is works with an error.
func fails(v int, err error, d time.Duration) fn {
	return func(ctx context.Context) (int, error) {
		if d <= 0 {
			return v, err
		}
		select {
		case <-time.After(d):
			return v, err
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

// after returns f delayed by d.
func after(d time.Duration, f fn) fn {
	return func(ctx context.Context) (int, error) {
		time.Sleep(d)
		return f(ctx)
	}
}

func exits(context.Context) (int, error)  { runtime.Goexit(); return 0, nil }
func panics(context.Context) (int, error) { panic(errDown) }

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
func do(ctx context.Context, h *Hedge, f fn) ending {
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
		e.v, e.from, e.err = DoFrom(ctx, h, f)
		e.exited = false
	}()
	return <-ended
}

// feed makes n calls one after the other, so that there are samples.
func feed(t testing.TB, h *Hedge, n int, f fn) {
	t.Helper()
	for range n {
		if got := do(bg, h, f); got.err != nil {
			t.Fatal(got.err)
		}
	}
}

// atRest checks what must hold when no call is under way and no attempt runs.
func atRest(t testing.TB, h *Hedge) {
	t.Helper()
	s := h.Snapshot()
	if s.Stragglers != 0 || s.Losers != 0 {
		t.Errorf("at rest: %d stragglers, %d losers", s.Stragglers, s.Losers)
	}
	if s.Tokens < 0 || s.Tokens > float64(s.Config.Burst) {
		t.Errorf("at rest: %v tokens of %d", s.Tokens, s.Config.Burst)
	}
}

// budgetOf is a bucket of so many tokens that hardly fills.
func budgetOf(size int) budget.Config { return budget.Config{Size: size, Ratio: 0.001} }

package hedge

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// contexts remembers those that the attempts had.
type contexts struct {
	mu  sync.Mutex
	all [3]context.Context
}

func (c *contexts) of(f fn) fn {
	return func(ctx context.Context) (int, error) {
		c.mu.Lock()
		c.all[Attempt(ctx)] = ctx
		c.mu.Unlock()
		return f(ctx)
	}
}

func (c *contexts) at(n int) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[n]
}

// An attempt that has lost hears why at once; one that has won keeps its context until Do returns; and one that has failed
// does not.
func TestContextsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := mustNew(t, fixed, Hooks{})
		var c contexts
		got := do(bg, h, c.of(attempts(deaf(1, nil, time.Minute), works(2, ms))))
		if got.v != 2 || c.at(1).Err() != context.Canceled || context.Cause(c.at(1)) != ErrLost || context.Cause(c.at(2)) != context.Canceled {
			t.Errorf("%+v: the loser's %v, the winner's %v", got, context.Cause(c.at(1)), context.Cause(c.at(2)))
		}
		got = do(bg, h, c.of(attempts(fails(0, errDown, ms), func(ctx context.Context) (int, error) {
			time.Sleep(ms)
			if c.at(1).Err() == nil || ctx.Err() != nil {
				t.Errorf("the first has failed: %v, the second runs: %v", c.at(1).Err(), ctx.Err())
			}
			return 2, nil
		})))
		if got.v != 2 || context.Cause(c.at(1)) != context.Canceled || context.Cause(c.at(2)) != context.Canceled {
			t.Errorf("%+v: %v, %v", got, context.Cause(c.at(1)), context.Cause(c.at(2)))
		}
		for _, end := range []fn{panics, exits, fails(0, permanent{errDown}, 0)} {
			do(bg, h, c.of(end))
			if c.at(1).Err() == nil {
				t.Error("a context lives on")
			}
		}
		time.Sleep(time.Hour)
	})
}

// The causes and the values of the caller's context reach the attempts.
func TestContextsAreTheCallers(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		h := mustNew(t, fixed, Hooks{})
		ctx, cancel := context.WithCancelCause(context.WithValue(bg, key{}, 7))
		var c contexts
		time.AfterFunc(20*ms, func() { cancel(errDown) })
		do(ctx, h, c.of(works(1, time.Hour)))
		for n := 1; n <= 2; n++ {
			if context.Cause(c.at(n)) != errDown || c.at(n).Value(key{}) != 7 {
				t.Errorf("attempt %d: %v, %v", n, context.Cause(c.at(n)), c.at(n).Value(key{}))
			}
		}
	})
}

// body is a response that can be read only while the context of its attempt lives, as that of net/http.
type body struct {
	io.Reader
	ctx    context.Context
	closed *atomic.Int64
}

func (b *body) Read(p []byte) (int, error) {
	if err := context.Cause(b.ctx); err != nil {
		return 0, err
	}
	return b.Reader.Read(p)
}

func (b *body) Close() error { b.closed.Add(1); return nil }

// go-resty 1197: a hedge cancelled the context of the winner, and its body was cut off. failsafe-go 123 and 134: the
// same, and contexts that nobody ended.
func TestWinnersBodyIsReadAfterTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed atomic.Int64
		h := mustNew(t, fixed, Hooks{OnLoser: func(l Loser) {
			if b, ok := l.Value.(*body); ok {
				b.Close()
			}
		}})
		get := func(first time.Duration) func(ctx context.Context) (*body, error) {
			return func(ctx context.Context) (*body, error) {
				if Attempt(ctx) == 1 {
					time.Sleep(first)
				}
				return &body{strings.NewReader("all of it"), ctx, &closed}, nil
			}
		}
		for _, tt := range []struct {
			first  time.Duration // takes
			want   From
			losers int64
		}{{0, From{1, 1}, 0}, {time.Second, From{2, 2}, 1}} {
			closed.Store(0)
			ctx, cancel := context.WithCancel(bg)
			b, from, release, err := DoKeeping(ctx, h, get(tt.first))
			if err != nil || from != tt.want {
				t.Fatalf("%+v, %v", from, err)
			}
			time.Sleep(time.Minute)
			if text, err := io.ReadAll(b); string(text) != "all of it" || err != nil {
				t.Errorf("read %q, %v", text, err)
			}
			if n := closed.Load(); n != tt.losers {
				t.Errorf("%d losers were closed, want %d", n, tt.losers)
			}
			release()
			release()
			if b.ctx.Err() == nil || ctx.Err() != nil {
				t.Errorf("released: the attempt's %v, the caller's %v", b.ctx.Err(), ctx.Err())
			}
			b, _, release, _ = DoKeeping(ctx, h, get(tt.first))
			cancel()
			if context.Cause(b.ctx) != context.Canceled {
				t.Error("the caller's context has ended, and the winner's has not")
			}
			release()
			time.Sleep(time.Minute)
			atRest(t, h)
		}
		b, _, err := DoFrom(bg, h, get(time.Second))
		if _, gone := io.ReadAll(b); err != nil || gone == nil {
			t.Error("Do alone keeps the context")
		}
		time.Sleep(time.Minute)
	})
}

// What fails is not kept, and where there is one attempt there is no context but the caller's.
func TestKeeping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := mustNew(t, fixed, Hooks{})
		var c contexts
		_, _, release, err := DoKeeping(bg, h, c.of(fails(0, permanent{errDown}, 0)))
		if err == nil || c.at(1).Err() == nil {
			t.Errorf("%v, and its context says %v", err, c.at(1).Err())
		}
		release()
		_, _, release, err = DoKeeping(Once(bg), h, c.of(works(1, 0)))
		if err != nil || c.at(1).Done() != nil {
			t.Errorf("%v, %v", err, c.at(1))
		}
		release()
		ended := make(chan any)
		go func() {
			defer func() { ended <- recover() }()
			_, _, _, _ = DoKeeping(bg, h, c.of(panics))
		}()
		if <-ended == nil || c.at(1).Err() == nil {
			t.Errorf("panicked, and its context says %v", c.at(1).Err())
		}
	})
}

// slow is a context that once takes its time to have a child.
type slow struct {
	context.Context
	armed atomic.Bool
}

func (s *slow) Done() <-chan struct{} {
	if s.armed.CompareAndSwap(true, false) {
		time.Sleep(time.Minute)
	}
	return s.Context.Done()
}

// A call that is decided before its further attempt could begin has not made it: the tokens come back.
func TestAttemptThatNeverBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustBudget(t, budgetOf(5))
		c := fixed
		c.Burst, c.Ratio = 5, 0.001
		h := mustNew(t, c, Hooks{Budget: b, OnLoser: func(Loser) { t.Error("it has lost") }})
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		made, parent := 0, &slow{Context: ctx}
		got := do(parent, h, func(ctx context.Context) (int, error) {
			made++
			parent.armed.Store(true)
			return works(1, 20*ms)(ctx)
		})
		if want := (ending{v: 1, from: From{1, 1}, took: 20 * ms}); got != want || made != 1 {
			t.Errorf("got %+v, %d made", got, made)
		}
		if s := h.Snapshot(); s.Losers != 1 || s.Stragglers != 1 || b.Snapshot().Balance != 4 {
			t.Errorf("booked: %+v, %+v", s, b.Snapshot())
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		atRest(t, h)
		if s := b.Snapshot(); s.Withdrawn != 1 || s.Refunded != 1 || s.Balance != 5 || h.Snapshot().Tokens != 5 || h.Snapshot().Extra != 0 {
			t.Errorf("%+v, %+v", s, h.Snapshot())
		}
	})
}

// ErrLost is told apart from every other end.
func TestErrLost(t *testing.T) {
	if errors.Is(ErrLost, context.Canceled) || !strings.HasPrefix(ErrLost.Error(), "hedge: ") {
		t.Error(ErrLost)
	}
}

package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// caller is a Get in a goroutine of its own.
type caller struct {
	cancel context.CancelCauseFunc
	done   chan struct{}
	v      int
	err    error
	raised any  // what it panicked with
	exited bool // by Goexit
}

// call starts a Get and lets it come to rest.
func call(ctx context.Context, c *Cache[string, int], key string, load func(context.Context) (int, error)) *caller {
	x := &caller{done: make(chan struct{}), exited: true}
	ctx, x.cancel = context.WithCancelCause(ctx)
	go func() {
		defer close(x.done)
		defer x.cancel(nil)
		defer func() {
			if x.raised = recover(); x.raised != nil {
				x.exited = false
			}
		}()
		x.v, x.err = c.Get(ctx, key, load)
		x.exited = false
	}()
	synctest.Wait()
	return x
}

func (x *caller) want(t *testing.T, v int, err error) {
	t.Helper()
	<-x.done
	if x.v != v || !errors.Is(x.err, err) || x.raised != nil || x.exited {
		t.Errorf("%d, %v, panic %v, exited %v; want %d, %v", x.v, x.err, x.raised, x.exited, v, err)
	}
}

func (x *caller) waits(t *testing.T) {
	t.Helper()
	synctest.Wait()
	select {
	case <-x.done:
		t.Errorf("the caller does not wait: %d, %v", x.v, x.err)
	default:
	}
}

// gate is a load that waits to be let through, and counts.
type gate struct {
	open  chan answer
	runs  atomic.Int32
	ended atomic.Pointer[error] // the cause, if its context ended
	ctx   context.Context       // of the last run
}

func newGate() *gate { return &gate{open: make(chan answer)} }

func (g *gate) load(ctx context.Context) (int, error) {
	g.runs.Add(1)
	g.ctx = ctx
	select {
	case a := <-g.open:
		return a.v, a.err
	case <-ctx.Done():
		cause := context.Cause(ctx)
		g.ended.Store(&cause)
		return 0, ctx.Err()
	}
}

// deaf is the same load, ignoring its context.
func (g *gate) deaf(context.Context) (int, error) {
	g.runs.Add(1)
	a := <-g.open
	return a.v, a.err
}

// F1, F2, F5: a hundred callers, one load.
func TestOneLoadForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := mustNew(t, steady, testHooks{}), newGate()
		var all []*caller
		for range 100 {
			all = append(all, call(bg, c, "a", g.load))
		}
		other := call(bg, c, "b", gives(2))
		other.want(t, 2, nil)
		all[0].waits(t)
		g.open <- answer{v: 7}
		for _, x := range all {
			x.want(t, 7, nil)
		}
		want(t, c, "a", never(t), 7, nil)
		if s := c.Snapshot(); g.runs.Load() != 1 || s.Misses != 101 || s.Joined != 99 || s.Loads != 2 || s.Hits != 1 || s.Loading != 0 {
			t.Errorf("%d runs, %+v", g.runs.Load(), s)
		}
	})
}

// F3: those who leave get their own error, and the load goes on for the rest; also if the one who leaves began it.
func TestCallersLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := mustNew(t, steady, testHooks{}), newGate()
		leader := call(bg, c, "a", g.load)
		short, stop := context.WithTimeout(bg, time.Second)
		defer stop()
		second, third := call(short, c, "a", g.load), call(bg, c, "a", g.load)
		leader.cancel(errors.New("closed the page"))
		leader.want(t, 0, context.Canceled)
		second.want(t, 0, context.DeadlineExceeded)
		third.waits(t)
		g.open <- answer{v: 7}
		third.want(t, 7, nil)
		if s := c.Snapshot(); s.Abandoned != 0 || g.runs.Load() != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// F4: the last one who leaves ends the load, with his cause; who comes then begins anew, and what the first load
// returns after all is not stored.
func TestLastCallerEndsTheLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g, deaf := mustNew(t, steady, testHooks{}), newGate(), newGate()
		why := errors.New("closed the page")
		x, y := call(bg, c, "a", g.load), call(bg, c, "a", g.load)
		x.cancel(errors.New("another"))
		x.want(t, 0, context.Canceled)
		y.cancel(why)
		y.want(t, 0, context.Canceled)
		synctest.Wait()
		if cause := g.ended.Load(); cause == nil || *cause != why {
			t.Errorf("the load did not end by %v", why)
		}

		old := call(bg, c, "a", deaf.deaf)
		old.cancel(nil)
		old.want(t, 0, context.Canceled)
		fresh := call(bg, c, "a", g.load)
		g.open <- answer{v: 2}
		fresh.want(t, 2, nil)
		if s := c.Snapshot(); s.Loading != 1 || s.Abandoned != 2 {
			t.Errorf("%+v", s)
		}
		deaf.open <- answer{v: 1}
		synctest.Wait()
		want(t, c, "a", never(t), 2, nil)
		if s := c.Snapshot(); s.Loading != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Also if the second load is still under way when the first returns.
func TestAbandonedLoadDoesNotAnswerTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g, deaf := mustNew(t, steady, testHooks{}), newGate(), newGate()
		old := call(bg, c, "a", deaf.deaf)
		old.cancel(nil)
		old.want(t, 0, context.Canceled)
		next := call(bg, c, "a", g.load)
		deaf.open <- answer{v: 1}
		next.waits(t)
		g.open <- answer{v: 2}
		next.want(t, 2, nil)
		want(t, c, "a", never(t), 2, nil)
	})
}

// TestLinger: the time-out of the only caller does not cancel the fill; Linger does.
func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := mustNew(t, Config{Size: 10, TTL: time.Hour, Linger: 5 * time.Second}, testHooks{}), newGate()
		ctx, stop := context.WithTimeout(bg, time.Second)
		defer stop()
		call(ctx, c, "a", g.load).want(t, 0, context.DeadlineExceeded)
		if d, ok := g.ctx.Deadline(); !ok || time.Until(d) != 5*time.Second {
			t.Errorf("the deadline of the load is in %v, %v", time.Until(d), ok)
		}
		time.Sleep(4 * time.Second)
		g.open <- answer{v: 7}
		synctest.Wait()
		want(t, c, "a", never(t), 7, nil)

		// A load that can fill nothing any more does not linger.
		x := call(bg, c, "c", g.load)
		_ = c.Delete(bg, "c")
		x.cancel(nil)
		synctest.Wait()
		if g.ended.Swap(nil) == nil {
			t.Error("a superseded load lingers")
		}

		g.runs.Store(1)
		x = call(bg, c, "b", g.load)
		x.cancel(nil)
		time.Sleep(4 * time.Second)
		y := call(bg, c, "b", g.load) // joins it
		time.Sleep(4 * time.Second)   // the hold of the cache is over
		y.waits(t)
		y.cancel(nil) // and begins anew
		time.Sleep(5*time.Second - 1)
		synctest.Wait()
		if g.ended.Load() != nil {
			t.Error("ended before its time")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if cause := g.ended.Load(); cause == nil || *cause != context.DeadlineExceeded || g.runs.Load() != 2 {
			t.Errorf("not ended after its time, or begun twice: %d runs", g.runs.Load())
		}
	})
}

type ctxKey struct{}

// The context of a load has the values of the caller who began it, and a deadline that moves.
func TestContextOfTheLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := mustNew(t, steady, testHooks{}), newGate()
		in := func(d time.Duration) context.Context {
			ctx, stop := context.WithTimeout(context.WithValue(bg, ctxKey{}, d), d)
			t.Cleanup(stop)
			return ctx
		}
		deadline := func() time.Duration {
			d, ok := g.ctx.Deadline()
			if !ok {
				return -1
			}
			return time.Until(d)
		}
		x := call(in(2*time.Second), c, "a", g.load)
		first := deadline()
		call(in(time.Second), c, "a", g.load)
		second := deadline()
		y := call(in(4*time.Second), c, "a", g.load)
		third := deadline()
		below, stop := context.WithTimeout(g.ctx, time.Hour) // as a client further down would do
		defer stop()
		if g.ctx.Value(ctxKey{}) != 2*time.Second || first != 2*time.Second || second != first || third != 4*time.Second {
			t.Errorf("value %v, deadlines %v, %v, %v", g.ctx.Value(ctxKey{}), first, second, third)
		}
		x.want(t, 0, context.DeadlineExceeded)
		y.waits(t)
		if g.ctx.Err() != nil || below.Err() != nil {
			t.Error("ended by the deadline of the first caller")
		}
		z := call(bg, c, "a", g.load)
		if deadline() != -1 {
			t.Errorf("somebody waits for ever and the deadline is in %v", deadline())
		}
		z.cancel(nil)
		y.want(t, 0, context.DeadlineExceeded)
		<-below.Done()
		if g.ctx.Err() == nil || context.Cause(g.ctx) != context.DeadlineExceeded || g.runs.Load() != 1 {
			t.Errorf("%v, %v, %d runs", g.ctx.Err(), context.Cause(g.ctx), g.runs.Load())
		}
	})
}

// TestLoadCutShortIsRunAgain: a load that passed the first caller's deadline on is ended by it; the others have more
// time.
func TestLoadCutShortIsRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := mustNew(t, steady, testHooks{})
		runs := 0
		remote := func(ctx context.Context) (int, error) { // the server ends it at the deadline it was told
			runs++
			limit := time.Hour
			if d, ok := ctx.Deadline(); ok {
				limit = time.Until(d)
			}
			if limit >= 5*time.Second {
				time.Sleep(5 * time.Second)
				return 7, nil
			}
			time.Sleep(limit)
			return 0, context.DeadlineExceeded
		}
		short, stop := context.WithTimeout(bg, time.Second)
		defer stop()
		x, y := call(short, c, "a", remote), call(bg, c, "a", remote)
		x.want(t, 0, context.DeadlineExceeded)
		y.want(t, 7, nil)
		if runs != 2 {
			t.Errorf("%d runs, want 2", runs)
		}
		// With nobody who has more time, and for a time-out of the load itself, the error stands.
		runs = 0
		short, stop = context.WithTimeout(bg, time.Second)
		defer stop()
		call(short, c, "b", remote).want(t, 0, context.DeadlineExceeded)
		synctest.Wait()
		call(bg, c, "c", fails(context.DeadlineExceeded)).want(t, 0, context.DeadlineExceeded)
		if runs != 1 {
			t.Errorf("%d runs, want 1", runs)
		}
	})
}

// F10: whoever waits gets what was loaded, whoever comes after the Delete does not, and it is not kept.
func TestDeleteSupersedesTheLoad(t *testing.T) {
	for name, change := range map[string]func(c *Cache[string, int]){
		"Delete": func(c *Cache[string, int]) { _ = c.Delete(bg, "a") },
		"Purge":  func(c *Cache[string, int]) { c.Purge() },
		"Set":    func(c *Cache[string, int]) { _ = c.Set(bg, "a", 2) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, g, h := mustNew(t, steady, testHooks{}), newGate(), newGate()
				before := call(bg, c, "a", g.load)
				change(c)
				after := call(bg, c, "a", h.load)
				if name != "Set" {
					after.waits(t)
					g.open <- answer{v: 1}
					h.open <- answer{v: 2}
				} else {
					g.open <- answer{v: 1}
				}
				before.want(t, 1, nil)
				after.want(t, 2, nil)
				want(t, c, "a", never(t), 2, nil)
				if s := c.Snapshot(); s.Superseded != 1 || s.Loads+s.Hits < 2 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// A hit is given out though its caller's context is done; a miss is not begun for him.
func TestContextAlreadyDone(t *testing.T) {
	c := mustNew(t, steady, testHooks{})
	gone, cancel := context.WithCancel(bg)
	cancel()
	if _, err := c.Get(gone, "a", never(t)); err != context.Canceled {
		t.Errorf("a miss: %v", err)
	}
	want(t, c, "a", gives(1), 1, nil)
	if v, err := c.Get(gone, "a", never(t)); v != 1 || err != nil {
		t.Errorf("a hit: %d, %v", v, err)
	}
	if s := c.Snapshot(); s.Misses != 1 || s.Loads != 1 {
		t.Errorf("%+v", s)
	}
}

// The load of Hooks is used where there is none, and nil everywhere is an error, in every mode.
func TestLoadOfHooks(t *testing.T) {
	for _, mode := range []core.Mode{core.Enforce, core.Shadow, core.Disabled} {
		c := mustNew(t, Config{Size: 10, TTL: time.Minute, Mode: mode}, testHooks{
			Load: func(_ context.Context, key string) (int, error) { return len(key), nil },
		})
		want(t, c, "abc", nil, 3, nil)
		none := mustNew(t, Config{Size: 10, TTL: time.Minute, Mode: mode}, testHooks{})
		want(t, none, "abc", nil, 0, ErrNoLoad)
		if v, err := Do(bg, none, "abc", gives(5)); v != 5 || err != nil {
			t.Errorf("Do: %d, %v", v, err)
		}
	}
}

// Who gives no load still gets what is there, fresh or stale, and waits for a load under way.
func TestNoLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := mustNew(t, Config{Size: 10, TTL: time.Minute, Jitter: core.None, StaleWhileRevalidate: time.Minute}, testHooks{
			Negative: func(err error) bool { return err == errNone },
			TTL:      func(_ string, v int) time.Duration { return time.Duration(v) * time.Minute },
		}), newGate()
		want(t, c, "negative", fails(errNone), 0, errNone)
		want(t, c, "negative", nil, 0, errNone)
		want(t, c, "own", gives(2), 2, nil)
		want(t, c, "own", nil, 2, nil)
		time.Sleep(3*time.Minute - 1)
		want(t, c, "own", nil, 2, nil)
		time.Sleep(time.Nanosecond)
		want(t, c, "own", nil, 0, ErrNoLoad)
		x := call(bg, c, "own", g.load)
		y := call(bg, c, "own", nil)
		g.open <- answer{v: 7}
		x.want(t, 7, nil)
		y.want(t, 7, nil)
		if s := c.Snapshot(); s.Misses != 4 || s.Stales != 1 || s.Refreshes != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestHammer: callers with short lives on few keys, under the race detector. What must hold is at the end: nobody is
// lost, every goroutine has ended.
func TestHammer(t *testing.T) {
	c := mustNew(t, Config{Size: 8, TTL: time.Millisecond, StaleWhileRevalidate: time.Millisecond, EarlyRefresh: 10}, testHooks{})
	var wg sync.WaitGroup
	n := 3000
	if testing.Short() {
		n = 300
	}
	for w := range 8 {
		wg.Go(func() {
			for i := range n {
				key := string(rune('a' + (i*7+w)%12))
				ctx, cancel := context.WithCancel(bg)
				if i%3 == 0 {
					go cancel()
				}
				v, err := c.Get(ctx, key, func(ctx context.Context) (int, error) {
					if i%5 == 0 {
						<-time.After(50 * time.Microsecond)
					}
					return int(key[0]), ctx.Err()
				})
				cancel()
				if err == nil && v != int(key[0]) || err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("%s: %d, %v", key, v, err)
				}
				switch {
				case i%11 == 0:
					_ = c.Delete(bg, key)
				case i%13 == 0:
					_ = c.Set(bg, key, int(key[0]))
				case i%101 == 0:
					c.Purge()
				}
			}
		})
	}
	wg.Wait()
}

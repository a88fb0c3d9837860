package policy_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/adaptive"
	"github.com/mw-go/mw/core/batch"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/cache"
	"github.com/mw-go/mw/core/fallback"
	"github.com/mw-go/mw/core/pool"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/timeout"
)

// shaky is a context of somebody's own making, of which one method panics when it is called for the nth time.
type shaky struct {
	context.Context
	method string
	left   atomic.Int32
}

func (c *shaky) step(method string) {
	if method == c.method && c.left.Add(-1) == 0 {
		panic(errBoom)
	}
}

func (c *shaky) Err() error                  { c.step("Err"); return c.Context.Err() }
func (c *shaky) Done() <-chan struct{}       { c.step("Done"); return c.Context.Done() }
func (c *shaky) Deadline() (time.Time, bool) { c.step("Deadline"); return c.Context.Deadline() }
func (c *shaky) Value(key any) any           { c.step("Value"); return c.Context.Value(key) }

// busy is a machine in which a call has to wait until free.
type busy struct {
	call func(ctx context.Context) error
	free func()
	left func() bool // nobody waits of whom it is known that he has left; nil: that is seen afterwards
	rest func() string
}

// contextRow is a machine and the methods of a context that it calls in its caller's goroutine. (Where it derives a
// context of it, package context calls the others in a goroutine of its own.)
type contextRow struct {
	machine string
	open    func(t *testing.T) busy
	methods []string
}

var everyMethod = []string{"Err", "Done", "Deadline", "Value"}

func contextRows() []contextRow {
	return []contextRow{
		{"bulkhead", busyBulkhead, everyMethod},
		{"adaptive", busyAdaptive, everyMethod},
		{"ratelimit", busyRateLimit, everyMethod},
		{"pool", busyPool, everyMethod},
		{"pool, validating", busyValidation, everyMethod},
		{"batch, full", busyBatch(1), everyMethod},
		{"batch", busyBatch(10), everyMethod},
		{"cache", busyCache, everyMethod},
		{"fallback", busyFallback(core.None), everyMethod},
		{"fallback, bounded", busyFallback(time.Minute), []string{"Deadline"}},
		{"retry", busyRetry, everyMethod},
		{"timeout", busyTimeout, everyMethod},
	}
}

// A context is anybody's code. If it panics while its call waits, the call panics, and nothing else happens: no waiter,
// place or lock is left behind.
func TestContextsMayFall(t *testing.T) {
	for _, r := range contextRows() {
		for _, method := range r.methods {
			for _, end := range []string{"canceled", "expired", "freed"} {
				for nth, fell := int32(1), true; fell && nth < 20; nth++ {
					t.Run(fmt.Sprintf("%s/%s/%s/%d", r.machine, method, end, nth), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { fell = r.run(t, method, end, nth) })
					})
				}
			}
		}
	}
}

func (r *contextRow) run(t *testing.T, method, end string, nth int32) (fell bool) {
	b := r.open(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	if end == "expired" {
		ctx, cancel = context.WithTimeout(context.Background(), time.Second)
	}
	defer cancel()
	mine := &shaky{Context: ctx, method: method}
	mine.left.Store(nth)
	call := perform(func() error { return b.call(mine) })
	time.Sleep(2 * time.Second)
	if end == "canceled" {
		cancel()
		synctest.Wait()
	}
	if b.left != nil && len(call) == 1 && !b.left() {
		t.Error("who has left is waiting still")
	}
	b.free()
	time.Sleep(time.Minute)
	select {
	case e := <-call:
		if fell = e.value != nil; fell && e.value != errBoom {
			t.Errorf("panic %v", e.value)
		}
	default:
		t.Fatal("the call hangs")
	}
	other := perform(func() error { return b.call(context.Background()) })
	time.Sleep(time.Minute)
	select {
	case e := <-other:
		if e != (ending{}) {
			t.Errorf("the next call: %+v", e)
		}
	default:
		t.Fatal("the next call hangs")
	}
	if wrong := b.rest(); wrong != "" {
		t.Errorf("at rest: %s", wrong)
	}
	return fell
}

func busyBulkhead(t *testing.T) busy {
	b := must[*bulkhead.Bulkhead](t)(bulkhead.New("b", bulkhead.Config{Limit: 1, Queue: 9, MaxWait: time.Hour}, bulkhead.Hooks{}))
	p, _ := b.Acquire(context.Background(), core.Call{})
	return busy{
		call: func(ctx context.Context) error { _, err := bulkhead.Do(ctx, b, good); return err },
		free: func() { p.Done(0, core.Success) },
		rest: func() string {
			if snap := b.Snapshot(); snap.Running != 0 || snap.Waiting != 0 {
				return fmt.Sprintf("%d run, %d wait", snap.Running, snap.Waiting)
			}
			return ""
		},
	}
}

func busyAdaptive(t *testing.T) busy {
	c := adaptive.Config{InitialLimit: 1, MinLimit: 1, MaxLimit: 1, QueueInterval: time.Minute, QueueTarget: time.Minute}
	l := must[*adaptive.Limiter](t)(adaptive.New("l", c, adaptive.Hooks{}))
	p, _ := l.Acquire(context.Background(), core.Call{})
	return busy{
		call: func(ctx context.Context) error { _, err := adaptive.Do(ctx, l, good); return err },
		free: func() { p.Done(0, core.Success) },
		rest: func() string {
			if snap := l.Snapshot(); snap.Running != 0 || snap.Waiting != 0 {
				return fmt.Sprintf("%d run, %d wait", snap.Running, snap.Waiting)
			}
			return ""
		},
	}
}

func busyRateLimit(t *testing.T) busy {
	c := ratelimit.Config{Limit: 1, Period: 10 * time.Second, MaxWait: time.Hour}
	l := must[*ratelimit.Limiter](t)(ratelimit.New("l", c, ratelimit.Hooks{}))
	l.Acquire(context.Background(), core.Call{})
	return busy{
		call: func(ctx context.Context) error { _, err := ratelimit.Do(ctx, l, good); return err },
		free: func() {},
		rest: func() string {
			if n := l.Snapshot().Waiting; n != 0 {
				return fmt.Sprintf("%d wait", n)
			}
			return ""
		},
	}
}

func restOf[T any](p *pool.Pool[T]) func() string {
	return func() string {
		if snap := p.Snapshot(); snap.Out+snap.Creating+snap.Closing+snap.Waiting != 0 {
			return fmt.Sprintf("%d out, %d wait", snap.Out, snap.Waiting)
		}
		return ""
	}
}

func borrow(p *pool.Pool[int]) func(context.Context) error {
	return func(ctx context.Context) error {
		l, err := p.Acquire(ctx)
		l.Release()
		return err
	}
}

func busyPool(t *testing.T) busy {
	p := must[*pool.Pool[int]](t)(pool.New("p", pool.Config{Max: 1, MaxWait: time.Hour}, pool.Hooks[int]{Create: good}))
	l, _ := p.Acquire(context.Background())
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	return busy{call: borrow(p), free: l.Release, rest: restOf(p)}
}

// busyValidation is a pool of which the one resource is idle and has to be validated.
func busyValidation(t *testing.T) busy {
	p := must[*pool.Pool[int]](t)(pool.New("p", pool.Config{Max: 1, MaxWait: time.Hour}, pool.Hooks[int]{
		Create: good, Validate: func(ctx context.Context, _ int) error { return ctx.Err() },
	}))
	l, _ := p.Acquire(context.Background())
	l.Release()
	time.Sleep(time.Minute)
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	return busy{call: borrow(p), free: func() {}, rest: restOf(p)}
}

func busyBatch(queue int) func(t *testing.T) busy {
	return func(t *testing.T) busy {
		hold := make(chan struct{})
		b := must[*batch.Batcher[int, int]](t)(batch.New("b",
			batch.Config{MaxItems: 1, Queue: queue, Concurrency: 1, MaxWait: time.Hour},
			batch.Hooks[int, int]{Run: func(_ context.Context, reqs []int) ([]int, error) { <-hold; return reqs, nil }}))
		for range 2 { // one runs, one is held
			go func() { _, _ = b.Do(context.Background(), 0) }()
		}
		synctest.Wait()
		return busy{
			call: func(ctx context.Context) error { _, err := b.Do(ctx, 1); return err },
			free: func() { close(hold) },
			left: func() bool { return b.Snapshot().Held+b.Snapshot().Waiting == 1 },
			rest: func() string {
				if snap := b.Snapshot(); snap.Held+snap.Running+snap.Waiting != 0 {
					return fmt.Sprintf("%d held, %d run, %d wait", snap.Held, snap.Running, snap.Waiting)
				}
				return ""
			},
		}
	}
}

// busyCache is a load that ends when it is free or nobody waits for it any more.
func busyCache(t *testing.T) busy {
	x := must[*cache.Cache[string, int]](t)(cache.New("c", cache.Config{Size: 10, TTL: time.Millisecond}, cache.Hooks[string, int]{}))
	hold := make(chan struct{})
	return busy{
		call: func(ctx context.Context) error {
			_, err := x.Get(ctx, "k", func(ctx context.Context) (int, error) {
				select {
				case <-hold:
					return 1, nil
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			})
			return err
		},
		free: func() { close(hold) },
		left: func() bool { return x.Snapshot().Loading == 0 },
		rest: func() string {
			if n := x.Snapshot().Loading; n != 0 {
				return fmt.Sprintf("%d loads", n)
			}
			return ""
		},
	}
}

func busyFallback(limit time.Duration) func(t *testing.T) busy {
	return func(t *testing.T) busy {
		f := must[*fallback.Fallback](t)(fallback.New("f", fallback.Config{Limit: 1, Timeout: limit}, fallback.Hooks{
			When: func(core.Outcome, error) bool { return true },
		}))
		step := func(context.Context, error) (int, error) { return 1, nil }
		chain := fallback.Chain[int]{{By: f, Run: step}}
		return busy{
			call: func(ctx context.Context) error {
				_, err := fallback.Do(ctx, chain, func(context.Context) (int, error) { time.Sleep(time.Second / 2); return 0, errBoom })
				return err
			},
			free: func() {},
			rest: func() string {
				if n := f.Snapshot().Running; n != 0 {
					return fmt.Sprintf("%d run", n)
				}
				return ""
			},
		}
	}
}

func busyRetry(t *testing.T) busy {
	r := must[*retry.Retry](t)(retry.New("r", retry.Config{Base: 3 * time.Second, Jitter: retry.NoJitter}, retry.Hooks{}))
	return busy{
		call: func(ctx context.Context) error {
			_, err := retry.Do(ctx, r, func(ctx context.Context) (int, error) {
				if retry.Attempt(ctx) == 1 {
					return 0, errBoom
				}
				return 1, nil
			})
			return err
		},
		free: func() {},
		rest: func() string {
			snap := r.Snapshot()
			if b := snap.Budget; b.Withdrawn-b.Refunded != snap.Retries {
				return fmt.Sprintf("%d retries took %d tokens and gave back %d", snap.Retries, b.Withdrawn, b.Refunded)
			}
			return ""
		},
	}
}

// busyTimeout is a function that is left behind, with the caller's own context.
func busyTimeout(t *testing.T) busy {
	to := must[*timeout.Timeout](t)(timeout.New("t", timeout.Config{Limit: 24 * time.Hour, MaxAbandoned: 1}, timeout.Hooks{}))
	var running atomic.Int64
	fn := func(context.Context) (int, error) {
		running.Add(1)
		defer running.Add(-1)
		time.Sleep(3 * time.Second)
		return 1, nil
	}
	return busy{
		call: func(ctx context.Context) error { _, err := timeout.DoAbandoning(ctx, to, fn); return err },
		free: func() {},
		left: func() bool { return int(running.Load()) == to.Snapshot().Running },
		rest: func() string {
			if snap := to.Snapshot(); snap.Running != 0 || snap.Stuck != 0 {
				return fmt.Sprintf("%d run, %d are stuck", snap.Running, snap.Stuck)
			}
			return ""
		},
	}
}

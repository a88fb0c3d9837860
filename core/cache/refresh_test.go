package cache

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// F7 and L4, L5: an error is not kept; a stale value covers it up while StaleIfError lasts, but not an answer.
func TestStaleIfError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := testHooks{}
		h.Classify = func(ctx context.Context, err error) core.Outcome {
			if err == errNone {
				return core.Success
			}
			return core.Failure
		}
		c := mustNew(t, Config{Size: 10, TTL: time.Minute, Jitter: core.None, StaleIfError: time.Hour}, h)
		want(t, c, "a", fails(errDown), 0, errDown)
		want(t, c, "a", gives(1), 1, nil)
		time.Sleep(time.Minute)
		want(t, c, "a", fails(errDown), 1, nil)
		want(t, c, "a", fails(errNone), 0, errNone)
		time.Sleep(time.Hour)
		want(t, c, "a", fails(errDown), 0, errDown)
		if s := c.Snapshot(); s.Failures != 3 || s.Rescued != 1 || s.Loads != 5 || s.Stales != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// F6: a remembered error is given out until NegativeTTL is over, takes the place of a value, and is never stale.
func TestNegative(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := testHooks{Negative: func(err error) bool { return errors.Is(err, errNone) }}
		c := mustNew(t, Config{
			Size: 10, TTL: time.Minute, NegativeTTL: 10 * time.Second, Jitter: core.None,
			StaleIfError: time.Hour, StaleWhileRevalidate: time.Hour, EarlyRefresh: 10,
		}, h)
		want(t, c, "a", gives(1), 1, nil)
		_ = c.Delete(bg, "a")
		want(t, c, "a", fails(errNone), 0, errNone)
		time.Sleep(10*time.Second - 1)
		want(t, c, "a", never(t), 0, errNone)
		if v, ok := c.Peek("a"); ok {
			t.Errorf("Peek gives %d for a remembered error", v)
		}
		time.Sleep(time.Nanosecond)
		want(t, c, "a", fails(errDown), 0, errDown)
		want(t, c, "a", gives(2), 2, nil)
		if s := c.Snapshot(); s.Negatives != 1 || s.Refreshes != 0 || s.Failures != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// L3 and F12: a stale value is given out at once, to everybody, while one load refreshes it, for at most
// RefreshTimeout.
func TestStaleWhileRevalidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := mustNew(t, Config{
			Size: 10, TTL: time.Minute, Jitter: core.None, StaleWhileRevalidate: time.Minute, RefreshTimeout: 2 * time.Second,
		}, testHooks{}), newGate()
		want(t, c, "a", gives(1), 1, nil)
		time.Sleep(time.Minute)
		for range 10 {
			want(t, c, "a", g.load, 1, nil)
		}
		synctest.Wait()
		if d, ok := g.ctx.Deadline(); !ok || time.Until(d) != 2*time.Second {
			t.Errorf("the deadline of the refresh is in %v, %v", time.Until(d), ok)
		}
		g.open <- answer{v: 2}
		synctest.Wait()
		want(t, c, "a", never(t), 2, nil)
		if s := c.Snapshot(); g.runs.Load() != 1 || s.Stales != 10 || s.Refreshes != 1 || s.Hits != 1 {
			t.Errorf("%d runs, %+v", g.runs.Load(), s)
		}

		// One that fails leaves the value, one that hangs is cancelled, and then there may be another.
		time.Sleep(time.Minute)
		want(t, c, "a", fails(errDown), 2, nil)
		synctest.Wait()
		want(t, c, "a", g.load, 2, nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if cause := g.ended.Load(); cause == nil || *cause != context.DeadlineExceeded {
			t.Error("a refresh that hangs is not cancelled")
		}
		want(t, c, "a", gives(3), 2, nil)
		synctest.Wait()
		want(t, c, "a", never(t), 3, nil)

		// Beyond its time callers wait for the refresh under way, which then goes on as long as they do.
		time.Sleep(2*time.Minute - time.Second)
		want(t, c, "a", g.load, 3, nil)
		time.Sleep(time.Second)
		x := call(bg, c, "a", never(t))
		time.Sleep(time.Hour)
		x.waits(t)
		g.open <- answer{v: 4}
		x.want(t, 4, nil)
	})
}

// A refresh goes on when the caller who caused it has left and his context has ended.
func TestRefreshOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := mustNew(t, Config{Size: 10, TTL: time.Minute, Jitter: core.None, StaleWhileRevalidate: time.Minute}, testHooks{}), newGate()
		want(t, c, "a", gives(1), 1, nil)
		time.Sleep(time.Minute)
		ctx, cancel := context.WithCancel(bg)
		if v, err := c.Get(ctx, "a", g.load); v != 1 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
		cancel()
		synctest.Wait()
		g.open <- answer{v: 2}
		synctest.Wait()
		want(t, c, "a", never(t), 2, nil)
	})
}

// L2: with XFetch a key in demand is refreshed before it expires, and nobody waits.
func TestEarlyRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := mustNew(t, Config{Size: 10, TTL: time.Minute, Jitter: core.None, EarlyRefresh: 1}, testHooks{})
		n := 0
		load := func(context.Context) (int, error) {
			time.Sleep(500 * time.Millisecond)
			n++
			return n, nil
		}
		want(t, c, "a", load, 1, nil)
		var slowest time.Duration
		for range 180_000 { // three minutes at a thousand a second
			time.Sleep(time.Millisecond)
			before := time.Now()
			if _, err := c.Get(bg, "a", load); err != nil {
				t.Fatal(err)
			}
			slowest = max(slowest, time.Since(before))
		}
		synctest.Wait()
		if s := c.Snapshot(); slowest != 0 || s.Misses != 1 || s.Refreshes < 2 || s.Refreshes > 5 {
			t.Errorf("the slowest Get took %v; %+v", slowest, s)
		}
	})
}

package cache

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// TestShadow: every call loads for itself, in its own goroutine and context, and the counts say what the cache would
// have done.
func TestShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &ram{}
		c := mustNew(t, Config{Size: 10, TTL: time.Minute, Jitter: core.None, Mode: core.Shadow}, testHooks{
			Store: r, Negative: func(err error) bool { return err == errNone },
		})
		ctx := context.WithValue(bg, ctxKey{}, 1)
		same := func(got context.Context) (int, error) {
			if got != ctx {
				t.Error("another context")
			}
			return 1, nil
		}
		for range 3 {
			if v, err := c.Get(ctx, "a", same); v != 1 || err != nil {
				t.Errorf("%d, %v", v, err)
			}
		}
		want(t, c, "b", fails(errDown), 0, errDown)
		want(t, c, "b", fails(errNone), 0, errNone)
		want(t, c, "b", gives(2), 2, nil) // a remembered error would have answered
		time.Sleep(time.Minute)
		want(t, c, "a", gives(3), 3, nil)
		if _, ok := c.Peek("a"); ok {
			t.Error("Peek gives something out")
		}
		if s := c.Snapshot(); s.Passed != 7 || s.Shadowed != 3 || s.Admitted != 7 || s.Hits+s.Misses != 0 || s.StoreMisses != 0 || r.writes != 0 {
			t.Errorf("%+v, %d writes", s, r.writes)
		}
		// Switched on, it has what it has seen.
		if err := c.Override(core.Enforce, time.Hour); err != nil {
			t.Error(err)
		}
		want(t, c, "a", never(t), 3, nil)
	})
}

// TestShadowKeepsNoStaleLoad: switched on later, the cache must not have what a Delete came after.
func TestShadowKeepsNoStaleLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, between := range map[string]func(c *Cache[string, int]){
			"Delete": func(c *Cache[string, int]) { _ = c.Delete(bg, "a") },
			"Purge":  func(c *Cache[string, int]) { c.Purge() },
			"another load, enforced": func(c *Cache[string, int]) {
				_ = c.Override(core.Enforce, 0)
				want(t, c, "a", gives(2), 2, nil)
				_ = c.Delete(bg, "a")
			},
		} {
			c, g := mustNew(t, Config{Size: 10, TTL: time.Minute, Mode: core.Shadow}, testHooks{}), newGate()
			x := call(bg, c, "a", g.load)
			between(c)
			g.open <- answer{v: 1}
			x.want(t, 1, nil)
			_ = c.Override(core.Enforce, 0)
			if v, ok := c.Peek("a"); ok {
				t.Errorf("%s: %d is kept", name, v)
			}
		}
	})
}

// TestDisabled: as if there were no cache, but for Set and Delete, which keep it right for when it is switched on.
func TestDisabled(t *testing.T) {
	c := mustNew(t, Config{Size: 10, TTL: time.Minute}, testHooks{})
	want(t, c, "a", gives(1), 1, nil)
	want(t, c, "b", gives(1), 1, nil)
	if err := c.Override(core.Disabled, 0); err != nil {
		t.Error(err)
	}
	want(t, c, "a", gives(2), 2, nil)
	want(t, c, "x", gives(3), 3, nil)
	if _, ok := c.Peek("a"); ok {
		t.Error("Peek gives something out")
	}
	_, _ = c.Delete(bg, "a"), c.Set(bg, "b", 4)
	c.Restore()
	if _, ok := c.Peek("a"); ok {
		t.Error("a Delete in disabled mode has not deleted")
	}
	want(t, c, "b", never(t), 4, nil)
	want(t, c, "x", gives(5), 5, nil)
	if s := c.Snapshot(); s.Passed != 2 || s.Shadowed != 0 || s.Admitted != 6 {
		t.Errorf("%+v", s)
	}
}

// A mode that changes while a load is under way changes nothing for those who wait for it.
func TestModeChangesUnderALoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := mustNew(t, steady, testHooks{}), newGate()
		x := call(bg, c, "a", g.load)
		if err := c.Override(core.Disabled, time.Minute); err != nil {
			t.Error(err)
		}
		want(t, c, "a", gives(2), 2, nil)
		g.open <- answer{v: 1}
		x.want(t, 1, nil)
		time.Sleep(time.Minute) // TTL and the override are over
		want(t, c, "a", gives(3), 3, nil)
		want(t, c, "a", never(t), 3, nil)
	})
}

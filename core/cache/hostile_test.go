package cache

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// explode is where the panics of these tests arise: their stacks must show it.
func explode() { panic(errDown) }

// F8: who began the load panics with what it panicked with and the stack on which it did, the others get it as an
// error.
func TestPanicInLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := mustNew(t, steady, testHooks{}), newGate()
		bad := func(ctx context.Context) (int, error) { _, _ = g.load(ctx); explode(); return 0, nil }
		leader, other := call(bg, c, "a", bad), call(bg, c, "a", bad)
		g.open <- answer{}
		<-leader.done
		<-other.done
		for _, got := range []any{leader.raised, other.err} {
			p, ok := got.(*core.PanicError)
			if !ok || p.Value != errDown || !errors.Is(p, errDown) || !strings.Contains(p.Error(), "cache.explode") {
				t.Errorf("%v", got)
			}
		}
		if other.raised != nil || other.exited || leader.exited {
			t.Errorf("the other: panic %v, exited %v", other.raised, other.exited)
		}
		want(t, c, "a", gives(1), 1, nil)
		if s := c.Snapshot(); s.Panics != 1 || s.Failures != 1 || s.Loads != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// F9: the same for Goexit, which tests call when they fail.
func TestGoexitInLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := mustNew(t, steady, testHooks{}), newGate()
		bad := func(ctx context.Context) (int, error) { _, _ = g.load(ctx); runtime.Goexit(); return 0, nil }
		leader, other := call(bg, c, "a", bad), call(bg, c, "a", bad)
		g.open <- answer{}
		<-leader.done
		if !leader.exited || leader.raised != nil {
			t.Errorf("the leader: %v, %v, panic %v", leader.exited, leader.err, leader.raised)
		}
		other.want(t, 0, core.ErrGoexit)
		want(t, c, "a", gives(1), 1, nil)
	})
}

// A stale value does not cover up a bug.
func TestPanicIsNotRescued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := mustNew(t, Config{Size: 10, TTL: time.Minute, StaleIfError: time.Hour}, testHooks{})
		want(t, c, "a", gives(1), 1, nil)
		time.Sleep(time.Minute)
		if x := call(bg, c, "a", func(context.Context) (int, error) { explode(); return 0, nil }); x.raised == nil {
			t.Errorf("%d, %v", x.v, x.err)
		}
	})
}

// hook is a user's function of which one call goes wrong.
type hook struct {
	fall func()
	ran  int
}

func (h *hook) call() {
	if h.ran++; h.ran == 1 {
		h.fall()
	}
}

// TestEveryCallbackMayFall: panic and Goexit in every function that users give cost no flight, turn, ticket or
// goroutine, and the key can be had afterwards. Where nobody waits, in the background, nobody hears of it but the
// count.
func TestEveryCallbackMayFall(t *testing.T) {
	falls := map[string]func(){"panic": explode, "goexit": runtime.Goexit}
	stops := map[string]func(h *hook) (testHooks, func(context.Context) (int, error)){
		"load": func(h *hook) (testHooks, func(context.Context) (int, error)) {
			return testHooks{}, func(context.Context) (int, error) { h.call(); return 1, nil }
		},
		"Load": func(h *hook) (testHooks, func(context.Context) (int, error)) {
			return testHooks{Load: func(context.Context, string) (int, error) { h.call(); return 1, nil }}, nil
		},
		"Negative": func(h *hook) (testHooks, func(context.Context) (int, error)) {
			return testHooks{Negative: func(error) bool { h.call(); return false }}, fails(errDown)
		},
		"Classify": func(h *hook) (testHooks, func(context.Context) (int, error)) {
			return testHooks{Hooks: core.Hooks{Classify: func(context.Context, error) core.Outcome { h.call(); return 0 }}}, fails(errDown)
		},
		"TTL": func(h *hook) (testHooks, func(context.Context) (int, error)) {
			return testHooks{TTL: func(string, int) time.Duration { h.call(); return 0 }}, gives(1)
		},
		"Store.Get": func(h *hook) (testHooks, func(context.Context) (int, error)) {
			return testHooks{Store: &ram{onGet: func(context.Context) error { h.call(); return nil }}}, gives(1)
		},
		"Store.Set": func(h *hook) (testHooks, func(context.Context) (int, error)) {
			return testHooks{Store: &ram{onSet: func(context.Context) error { h.call(); return nil }}}, gives(1)
		},
	}
	for name, stop := range stops {
		for fall, f := range falls {
			for _, mode := range []core.Mode{core.Enforce, core.Shadow, core.Disabled} {
				for _, inBackground := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/%s/%v/background=%v", name, fall, mode, inBackground), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							h := &hook{fall: f}
							hooks, load := stop(h)
							c := mustNew(t, Config{Size: 10, TTL: time.Minute, StaleWhileRevalidate: time.Hour, Mode: mode}, hooks)
							if inBackground {
								h.ran = -100
								_ = c.Set(bg, "a", 5)
								h.ran = 0
								time.Sleep(time.Minute)
							}
							for range 3 {
								call(bg, c, "a", load)
							}
							synctest.Wait()
							atRest(t, c)
							// The store is not touched in shadow mode, nor anything but the load in disabled mode.
							touched := mode == core.Enforce || name == "load" || name == "Load" || mode == core.Shadow && !strings.HasPrefix(name, "Store")
							if touched != (h.ran > 0) {
								t.Errorf("the function ran %d times", h.ran)
							}
						})
					})
				}
			}
		}
	}
}

// In Set and Delete the functions run in the caller's goroutine: he panics or exits himself, and the key is free again.
func TestStoreFallsInSetAndDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, f := range []func(){explode, runtime.Goexit} {
			h := &hook{fall: f}
			fall := func(context.Context) error { h.call(); return nil }
			c := mustNew(t, steady, testHooks{Store: &ram{onSet: fall, onDelete: fall}})
			for _, op := range []func(){
				func() { _ = c.Set(bg, "a", 1) },
				func() { _ = c.Delete(bg, "a") },
			} {
				h.ran = 0
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }()
					op()
					t.Error("neither panicked nor exited")
				}()
				<-done
				atRest(t, c)
			}
			if _, ok := c.Peek("a"); ok {
				t.Error("a Delete whose store panicked has not deleted")
			}
			if err := c.Set(bg, "a", 2); err != nil {
				t.Error(err)
			}
			want(t, c, "a", never(t), 2, nil)
		}
	})
}

// TestHang: a load that ignores its context holds up nobody but those who want to wait for it, and Close says so.
func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := mustNew(t, Config{Size: 10, TTL: time.Minute, RefreshTimeout: time.Second, StaleWhileRevalidate: time.Hour}, testHooks{}), newGate()
		ctx, stop := context.WithTimeout(bg, time.Second)
		defer stop()
		call(ctx, c, "a", g.deaf).want(t, 0, context.DeadlineExceeded)
		want(t, c, "a", gives(1), 1, nil) // the key is not blocked

		time.Sleep(time.Minute)
		want(t, c, "a", g.deaf, 1, nil) // a refresh that hangs
		time.Sleep(time.Second)
		synctest.Wait()
		want(t, c, "a", gives(2), 1, nil)
		synctest.Wait()
		want(t, c, "a", never(t), 2, nil)

		waits := call(bg, c, "b", g.deaf)
		short, stop := context.WithTimeout(bg, time.Second)
		defer stop()
		if s := c.Snapshot(); s.Loading != 3 {
			t.Errorf("%d loading", s.Loading)
		}
		if err := c.Close(short); err != context.DeadlineExceeded {
			t.Errorf("Close with three loads that hang: %v", err)
		}
		waits.want(t, 0, ErrClosed)
		for range 3 {
			g.open <- answer{v: 9}
		}
		if err := c.Close(bg); err != nil {
			t.Error(err)
		}
	})
}

// F11: everything after Close is refused, and what was waiting is told at once.
func TestClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, g := mustNew(t, Config{Size: 10, TTL: time.Minute}, testHooks{Store: &ram{}}), newGate()
		want(t, c, "x", gives(1), 1, nil)
		a, b := call(bg, c, "a", g.load), call(bg, c, "b", g.load)
		c.Purge() // superseded, with somebody who waits
		again := call(bg, c, "b", g.load)
		if err := c.Close(bg); err != nil {
			t.Error(err)
		}
		for _, x := range []*caller{a, b, again} {
			x.want(t, 0, ErrClosed)
		}
		if cause := g.ended.Load(); cause == nil || *cause != ErrClosed {
			t.Error("the loads were not cancelled by ErrClosed")
		}
		for _, mode := range []core.Mode{core.Enforce, core.Shadow, core.Disabled} {
			if err := c.Override(mode, 0); err != nil {
				t.Error(err)
			}
			want(t, c, "x", never(t), 0, ErrClosed)
			if err := c.Set(bg, "x", 1); err != ErrClosed {
				t.Errorf("Set: %v", err)
			}
			if err := c.Delete(bg, "x"); err != ErrClosed {
				t.Errorf("Delete: %v", err)
			}
			if _, ok := c.Peek("x"); ok || c.Len() != 0 {
				t.Error("something is left")
			}
		}
		c.Purge()
		if err := c.Tune(Config{Size: 20, TTL: time.Hour}); err != nil {
			t.Error(err)
		}
		_ = c.Snapshot()
	})
}

// A panic in the listener is the listener's own.
func TestListenerPanics(t *testing.T) {
	c := mustNew(t, steady, testHooks{Hooks: core.Hooks{OnEvent: func(core.Event) { explode() }}})
	if err := c.Tune(Config{Size: 200, TTL: time.Hour}); err != nil {
		t.Error(err)
	}
	want(t, c, "a", gives(1), 1, nil)
	if s := c.Snapshot(); s.EventPanics != 1 {
		t.Errorf("%+v", s.Status)
	}
}

// A key that is not equal to itself would be lost in every map.
func TestKeyNotEqualToItself(t *testing.T) {
	c, err := New("test", steady, Hooks[float64, int]{})
	if err != nil {
		t.Fatal(err)
	}
	nan := math.NaN()
	if _, err := c.Get(bg, nan, gives(1)); err != ErrKey {
		t.Errorf("Get: %v", err)
	}
	if err := c.Set(bg, nan, 1); err != ErrKey {
		t.Errorf("Set: %v", err)
	}
	if err := c.Delete(bg, nan); err != ErrKey {
		t.Errorf("Delete: %v", err)
	}
	if _, ok := c.Peek(nan); ok || c.Len() != 0 {
		t.Errorf("%d entries", c.Len())
	}
	if err := c.Close(bg); err != nil {
		t.Error(err)
	}
	atRest(t, c)
}

package cache

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// ram is a Store in memory. Each function, if there is one, runs before the operation and may fail it.
type ram struct {
	onGet, onSet, onDelete func(context.Context) error

	mu     sync.Mutex
	rows   map[string]row
	writes int
}

type row struct {
	v   int
	ttl time.Duration // as it was set
	end time.Time     // zero: none
}

func (r *ram) do(ctx context.Context, first func(context.Context) error, then func()) error {
	if first != nil {
		if err := first(ctx); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	then()
	return nil
}

func (r *ram) Get(ctx context.Context, key string) (v int, ttl time.Duration, ok bool, err error) {
	err = r.do(ctx, r.onGet, func() {
		var at row
		if at, ok = r.rows[key]; !ok || at.end.IsZero() {
			v = at.v
			return
		}
		if ttl = time.Until(at.end); ttl <= 0 {
			ttl, ok = 0, false
			return
		}
		v = at.v
	})
	return v, ttl, ok, err
}

func (r *ram) Set(ctx context.Context, key string, v int, ttl time.Duration) error {
	return r.do(ctx, r.onSet, func() {
		if r.rows == nil {
			r.rows = map[string]row{}
		}
		at := row{v: v, ttl: ttl}
		if ttl > 0 {
			at.end = time.Now().Add(ttl)
		}
		r.rows[key] = at
		r.writes++
	})
}

func (r *ram) Delete(ctx context.Context, key string) error {
	return r.do(ctx, r.onDelete, func() { delete(r.rows, key); r.writes++ })
}

func (r *ram) has(t *testing.T, key string, v int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := r.rows[key].v; got != v {
		t.Errorf("the store has %d under %s, want %d", got, key, v)
	}
}

func TestStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &ram{}
		c := mustNew(t, steady, testHooks{Store: r, Negative: func(err error) bool { return err == errNone }})
		want(t, c, "a", gives(1), 1, nil) // a miss in both, written behind
		synctest.Wait()
		r.has(t, "a", 1)
		if got := r.rows["a"].ttl; got != time.Minute {
			t.Errorf("written for %v", got)
		}
		// A hit there fills the first level, for what is left of its time.
		time.Sleep(20 * time.Second)
		c.Purge()
		want(t, c, "a", never(t), 1, nil)
		time.Sleep(40*time.Second - 1)
		want(t, c, "a", never(t), 1, nil)
		time.Sleep(time.Nanosecond)
		want(t, c, "a", gives(2), 2, nil)
		synctest.Wait()
		if r.writes != 2 { // what came from the store is not written to it
			t.Errorf("%d writes", r.writes)
		}
		// Set and Delete go to both, errors stay in the first.
		if err := c.Set(bg, "b", 5); err != nil {
			t.Error(err)
		}
		r.has(t, "b", 5)
		if err := c.Delete(bg, "b"); err != nil {
			t.Error(err)
		}
		r.has(t, "b", 0)
		want(t, c, "n", fails(errNone), 0, errNone)
		synctest.Wait()
		r.has(t, "n", 0)
		if s := c.Snapshot(); s.StoreHits != 1 || s.StoreMisses != 3 || s.StoreErrors != 0 || s.Loads != 3 {
			t.Errorf("%+v", s)
		}
	})
}

// An entry without end is written without one; a life of its own is written as it is.
func TestStoreTTL(t *testing.T) {
	r := &ram{}
	c := mustNew(t, Config{Size: 10, TTL: -1}, testHooks{Store: r, TTL: func(_ string, v int) time.Duration { return time.Duration(v) * time.Second }})
	_, _ = c.Set(bg, "a", 0), c.Set(bg, "b", 100)
	c.uniform = func() float64 { return 1 }
	_ = c.Set(bg, "c", 100)
	if a, b, d := r.rows["a"].ttl, r.rows["b"].ttl, r.rows["c"].ttl; a != 0 || b < 90*time.Second || b > 100*time.Second || d != 90*time.Second {
		t.Errorf("%v, %v, %v", a, b, d)
	}
}

// What the store has for longer than Config.TTL is fresh for that time only.
func TestStoreTTLIsNoLongerThanOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &ram{rows: map[string]row{"a": {v: 1, end: time.Now().Add(time.Hour)}}}
		c := mustNew(t, steady, testHooks{Store: r})
		want(t, c, "a", never(t), 1, nil)
		_ = r.Set(bg, "a", 2, time.Hour)
		time.Sleep(time.Minute - 1)
		want(t, c, "a", never(t), 1, nil)
		time.Sleep(time.Nanosecond)
		want(t, c, "a", never(t), 2, nil)
	})
}

// TestStoreFails: an error or a store that hangs is a miss, and no longer a wait than StoreTimeout.
func TestStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		for _, ill := range []func(context.Context) error{hang, func(context.Context) error { return errDown }} {
			r := &ram{onGet: ill, onSet: ill, onDelete: ill}
			c := mustNew(t, steady, testHooks{Store: r})
			before := time.Now()
			want(t, c, "a", gives(1), 1, nil)
			if d := time.Since(before); d > 250*time.Millisecond {
				t.Errorf("Get took %v", d)
			}
			want(t, c, "a", never(t), 1, nil)
			synctest.Wait()
			time.Sleep(time.Second) // the write behind has given up
			if err := c.Set(bg, "a", 2); err == nil {
				t.Error("the store failed and Set says nothing")
			}
			want(t, c, "a", never(t), 2, nil)
			if err := c.Delete(bg, "a"); err == nil {
				t.Error("the store failed and Delete says nothing")
			}
			if _, ok := c.Peek("a"); ok {
				t.Error("still there")
			}
			if s := c.Snapshot(); s.StoreErrors != 4 || s.StoreMisses != 0 {
				t.Errorf("%+v", s)
			}
		}
	})
}

// A caller who leaves while the store is being asked ends that too.
func TestStoreIsAskedInTheNameOfTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		r := &ram{onGet: func(ctx context.Context) error { <-ctx.Done(); cause = context.Cause(ctx); return ctx.Err() }}
		c := mustNew(t, Config{Size: 10, TTL: time.Minute, StoreTimeout: time.Minute}, testHooks{Store: r})
		x := call(bg, c, "a", func(ctx context.Context) (int, error) { return 0, ctx.Err() })
		x.cancel(errNone)
		x.want(t, 0, context.Canceled)
		synctest.Wait()
		if cause != errNone {
			t.Errorf("the store's context ended by %v", cause)
		}
	})
}

// TestStoreKeepsTheOrder: what a load writes behind never lands after a Set or Delete that came after it, however slow
// the store.
func TestStoreKeepsTheOrder(t *testing.T) {
	for name, change := range map[string]struct {
		do   func(c *Cache[string, int]) error
		left int
	}{
		"Delete": {func(c *Cache[string, int]) error { return c.Delete(bg, "a") }, 0},
		"Set":    {func(c *Cache[string, int]) error { return c.Set(bg, "a", 2) }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := func(context.Context) error { time.Sleep(100 * time.Millisecond); return nil }
				r := &ram{onSet: slow, onDelete: slow}
				c := mustNew(t, steady, testHooks{Store: r})
				want(t, c, "a", gives(1), 1, nil) // its write begins
				time.Sleep(50 * time.Millisecond)
				if err := change.do(c); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Second)
				r.has(t, "a", change.left)

				// A load that lands while the change is under way writes nothing, and is forgotten.
				g := newGate()
				x := call(bg, c, "b", g.load)
				errs := make(chan error, 1)
				go func() { errs <- c.Delete(bg, "b") }()
				synctest.Wait()
				g.open <- answer{v: 1}
				x.want(t, 1, nil)
				if err := <-errs; err != nil {
					t.Error(err)
				}
				time.Sleep(time.Second)
				r.has(t, "b", 0)
				if _, ok := c.Peek("b"); ok {
					t.Error("a value from before the Delete is left")
				}
			})
		})
	}
}

// While a key is being changed the store is not asked for it: what it says may be what is about to be overwritten,
// after somebody has seen the new value.
func TestStoreInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		r := &ram{}
		c := mustNew(t, Config{Size: 10, TTL: time.Minute, StoreTimeout: time.Minute}, testHooks{Store: r})
		_ = c.Set(bg, "a", 1)
		r.onSet = func(context.Context) error { <-let; return nil }
		set := make(chan error, 1)
		go func() { set <- c.Set(bg, "a", 2) }()
		synctest.Wait()
		want(t, c, "a", never(t), 1, nil) // it has not taken effect
		c.Purge()
		want(t, c, "a", gives(2), 2, nil)
		close(let)
		if err := <-set; err != nil {
			t.Error(err)
		}
		c.Purge()
		want(t, c, "a", never(t), 2, nil)
	})
}

// Changes of one key wait for their turn, no longer than StoreTimeout or their ctx; other keys do not wait.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		deaf := func(context.Context) error { <-let; return nil }
		r := &ram{onSet: deaf}
		c := mustNew(t, steady, testHooks{Store: r})
		hung := make(chan error, 1)
		go func() { hung <- c.Set(bg, "a", 1) }()
		synctest.Wait()
		before := time.Now()
		if err := c.Delete(bg, "a"); !errors.Is(err, context.DeadlineExceeded) || time.Since(before) != 250*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(before))
		}
		ctx, stop := context.WithTimeout(bg, time.Millisecond)
		defer stop()
		if err := c.Delete(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) || time.Since(before) != 251*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(before))
		}
		if err := c.Delete(bg, "b"); err != nil {
			t.Errorf("another key: %v", err)
		}
		close(let)
		if err := <-hung; !errors.Is(err, context.DeadlineExceeded) { // the store looked at its context, late
			t.Error(err)
		}
	})
}

// TestLevelsAgree: whoever changes a key last in the second level has done so in the first as well.
func TestLevelsAgree(t *testing.T) {
	rounds := 2000
	if testing.Short() {
		rounds = 500
	}
	y := &yielding{rows: map[int]int{}}
	c, err := New("test", steady, Hooks[int, int]{Store: y})
	if err != nil {
		t.Fatal(err)
	}
	for i := range rounds {
		var all sync.WaitGroup
		for w := range 4 {
			all.Go(func() {
				if w == 3 {
					_ = c.Delete(bg, i%3)
				} else {
					_ = c.Set(bg, i%3, 1+4*i+w)
				}
			})
		}
		all.Wait()
		if first, _ := c.Peek(i % 3); first != y.rows[i%3] {
			t.Fatalf("round %d: %d in the first level, %d in the second", i, first, y.rows[i%3])
		}
	}
	if err := c.Close(bg); err != nil {
		t.Fatal(err)
	}
	atRest(t, c)
}

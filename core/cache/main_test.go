package cache

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mw-go/mw/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	bg      = context.Background()
	errDown = errors.New("down")
	errNone = errors.New("no such row")
)

type testHooks = Hooks[string, int]

// steady is a Config without chance.
var steady = Config{Size: 100, TTL: time.Minute, Jitter: core.None}

// mustNew makes a cache that is closed at the end of the test, and then must be at rest.
func mustNew(t testing.TB, c Config, h testHooks) *Cache[string, int] {
	t.Helper()
	x, err := New("test", c, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(bg); err != nil {
			t.Error(err)
		}
		atRest(t, x)
	})
	return x
}

// atRest checks what must hold when no load is under way.
func atRest[K comparable, V any](t testing.TB, c *Cache[K, V]) {
	t.Helper()
	open := int64(1)
	if c.closing.Load() {
		open = 0
	}
	if n := c.running.Load() - open; n != 0 {
		t.Errorf("at rest: %d goroutines are running", n)
	}
	for i := range c.shards {
		sh := &c.shards[i]
		sh.mu.Lock()
		if len(sh.flights)+len(sh.adrift)+len(sh.tickets)+len(sh.turns) != 0 {
			t.Errorf("at rest: %d flights, %d adrift, %d tickets, %d turns", len(sh.flights), len(sh.adrift), len(sh.tickets), len(sh.turns))
		}
		check(t, &sh.shelf)
		sh.mu.Unlock()
	}
}

// check holds the invariants of a shelf.
func check[K comparable, V any](t testing.TB, s *shelf[K, V]) {
	t.Helper()
	if s.length > s.limit {
		t.Fatalf("%d entries of %d", s.length, s.limit)
	}
	index := s.index.Load()
	if len(index.slots)&(len(index.slots)-1) != 0 || 2*s.length > len(index.slots) {
		t.Fatalf("%d entries in an index of %d", s.length, len(index.slots))
	}
	held := 0
	for i := range index.slots {
		if index.slots[i].Load() != nil {
			held++
		}
	}
	n, hand := 0, s.hand == 0
	for at, last := s.places[0].newer, uint32(0); ; at, last = s.places[at].newer, at {
		if s.places[at].older != last {
			t.Fatalf("the links of place %d are broken", at)
		}
		if at == 0 {
			break
		}
		n++
		hand = hand || at == s.hand
		e := s.places[at].entry
		if got := index.find(e.hash, e.key); got != e || e.place != at {
			t.Fatalf("%v is at place %d, says %d, and the index finds %p instead of %p", e.key, at, e.place, got, e)
		}
	}
	free := 0
	for at := s.free; at != 0; at = s.places[at].newer {
		if free++; s.places[at].entry != nil {
			t.Fatalf("the free place %d holds an entry", at)
		}
	}
	if n != s.length || held != n || !hand || n+free+1 != len(s.places) || s.places[0].entry != nil {
		t.Fatalf("%d linked, %d free of %d, %d in the index, length %d, the hand is on one of them: %v", n, free, len(s.places), held, s.length, hand)
	}
}

// entries are those of a shelf, from old to new.
func (s *shelf[K, V]) entries() iter.Seq[*entry[K, V]] {
	return func(yield func(*entry[K, V]) bool) {
		for at := s.places[0].newer; at != 0 && yield(s.places[at].entry); at = s.places[at].newer {
		}
	}
}

// gives is a load that returns v.
func gives(v int) func(context.Context) (int, error) {
	return func(context.Context) (int, error) { return v, nil }
}

// fails is a load that returns err.
func fails(err error) func(context.Context) (int, error) {
	return func(context.Context) (int, error) { return 0, err }
}

// never is a load that must not run.
func never(t testing.TB) func(context.Context) (int, error) {
	return func(context.Context) (int, error) {
		t.Error("the load ran")
		return 0, nil
	}
}

// want fails unless Get gives v and err.
func want(t testing.TB, c *Cache[string, int], key string, load func(context.Context) (int, error), v int, err error) {
	t.Helper()
	if got, gotErr := c.Get(bg, key, load); got != v || gotErr != err {
		t.Errorf("Get(%s) is %d, %v; want %d, %v", key, got, gotErr, v, err)
	}
}

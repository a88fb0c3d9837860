package cache

import (
	"context"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// The keys of a database behind a cache are registers. A write changes the database and then tells the cache, by Set or
// Delete; a read is a Get. While a write is under way a read may find either value, because one may come from the cache
// and another from the database; as soon as the cache has been told, nobody who begins to read finds the old one.
// For the checker a write is two operations. 0 is a row that does not exist, an error that is remembered.

type registerOp struct {
	key    int
	action action
	v      int
}

type action uint8

const (
	read action = iota
	write
	tell
)

type registerState struct {
	now, before int
	open        bool // a write is under way
}

var register = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[int][]porcupine.Operation{}
		for _, op := range history {
			key := op.Input.(registerOp).key
			byKey[key] = append(byKey[key], op)
		}
		return slices.Collect(maps.Values(byKey))
	},
	Init: func() any { return registerState{} },
	Step: func(state, input, output any) (bool, any) {
		s := state.(registerState)
		switch in := input.(registerOp); in.action {
		case write:
			return !s.open, registerState{now: in.v, before: s.now, open: true}
		case tell:
			return s.open, registerState{now: s.now}
		default:
			return output == s.now || s.open && output == s.before, s
		}
	},
}

// lookAside is what the test needs of a cache.
type lookAside interface {
	get(ctx context.Context, key int, load func(context.Context) (int, error)) (int, error)
	set(key, v int)
	forget(key int)
}

// history is what a few clients did to one cache and database, and saw.
type history struct {
	cache lookAside
	rows  [3]atomic.Int64
	turns [3]sync.Mutex // of writers at a key: the order of writes in the database is that in which the cache is told
	clock atomic.Int64
	next  atomic.Int64

	mu  sync.Mutex
	ops []porcupine.Operation
}

// note runs an operation and writes it down, unless it has seen nothing.
func (h *history) note(client int, in registerOp, do func() (out int, ok bool)) {
	call := h.clock.Add(1)
	out, ok := do()
	back := h.clock.Add(1)
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: back})
}

// yield gives way a few times, or not at all.
func yield(n int) {
	for range n {
		runtime.Gosched()
	}
}

// play lets four clients act at random.
func (h *history) play(rng *rand.Rand) []porcupine.Operation {
	var wg sync.WaitGroup
	for client := range 4 {
		seed := rng.Uint64()
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(client)))
			for range 25 {
				if key := rng.IntN(len(h.rows)); rng.IntN(3) > 0 {
					h.read(client, key, rng)
				} else {
					h.write(client, key, rng)
				}
			}
		})
	}
	wg.Wait()
	return h.ops
}

func (h *history) read(client, key int, rng *rand.Rand) {
	leaves, before, after := rng.IntN(6) == 0, rng.IntN(4), rng.IntN(4)
	h.note(client, registerOp{key: key}, func() (int, bool) {
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		v, err := h.cache.get(ctx, key, func(context.Context) (int, error) {
			if leaves {
				cancel()
			}
			yield(before)
			v := int(h.rows[key].Load())
			yield(after)
			if v == 0 {
				return 0, errNone
			}
			return v, nil
		})
		return v, err == nil || err == errNone
	})
}

func (h *history) write(client, key int, rng *rand.Rand) {
	h.turns[key].Lock()
	defer h.turns[key].Unlock()
	v, gone := int(h.next.Add(1)), rng.IntN(3) == 0
	if gone {
		v = 0
	}
	h.note(client, registerOp{key, write, v}, func() (int, bool) {
		h.rows[key].Store(int64(v))
		return 0, true
	})
	yield(rng.IntN(4))
	h.note(client, registerOp{key, tell, v}, func() (int, bool) {
		if gone || rng.IntN(2) == 0 {
			h.cache.forget(key)
		} else {
			h.cache.set(key, v)
		}
		return 0, true
	})
}

// shelved is a Cache as lookAside.
type shelved struct{ c *Cache[int, int] }

func (s shelved) get(ctx context.Context, key int, load func(context.Context) (int, error)) (int, error) {
	return s.c.Get(ctx, key, load)
}
func (s shelved) set(key, v int) { _ = s.c.Set(bg, key, v) }
func (s shelved) forget(key int) { _ = s.c.Delete(bg, key) }

// yielding is a Store that gives way in the middle of each operation.
type yielding struct {
	mu   sync.Mutex
	rows map[int]int
}

func (y *yielding) Get(_ context.Context, key int) (int, time.Duration, bool, error) {
	y.mu.Lock()
	v, ok := y.rows[key]
	y.mu.Unlock()
	runtime.Gosched()
	return v, 0, ok, nil
}

func (y *yielding) Set(_ context.Context, key, v int, _ time.Duration) error {
	runtime.Gosched()
	y.mu.Lock()
	y.rows[key] = v
	y.mu.Unlock()
	runtime.Gosched()
	return nil
}

func (y *yielding) Delete(_ context.Context, key int) error {
	runtime.Gosched()
	y.mu.Lock()
	delete(y.rows, key)
	y.mu.Unlock()
	runtime.Gosched()
	return nil
}

// TestLinearizable checks a thousand histories: of roomy caches and of such that evict all the time, of short lives
// with refreshes in the background, with and without a second level.
func TestLinearizable(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 100
	}
	var sum Snapshot
	for i := range n {
		seed := rand.Uint64()
		rng := rand.New(rand.NewPCG(seed, 1))
		h := Hooks[int, int]{Negative: func(err error) bool { return err == errNone }}
		if i%2 == 0 {
			h.Store = &yielding{rows: map[int]int{}}
		}
		config := Config{Size: 1 + i/2%4, TTL: time.Millisecond, NegativeTTL: time.Hour, StoreTimeout: time.Minute}
		if i%3 == 0 {
			config.StaleWhileRevalidate = time.Hour
			h.TTL = func(int, int) time.Duration { return 10 * time.Microsecond }
		}
		if i%5 == 0 {
			config.Linger = time.Minute
		}
		c, err := New("test", config, h)
		if err != nil {
			t.Fatal(err)
		}
		ops := (&history{cache: shelved{c}}).play(rng)
		s := c.Snapshot()
		sum.Hits, sum.Joined, sum.Superseded, sum.StoreHits = sum.Hits+s.Hits, sum.Joined+s.Joined, sum.Superseded+s.Superseded, sum.StoreHits+s.StoreHits
		sum.Abandoned, sum.Evicted, sum.Refreshes = sum.Abandoned+s.Abandoned, sum.Evicted+s.Evicted, sum.Refreshes+s.Refreshes
		if err := c.Close(bg); err != nil {
			t.Fatal(err)
		}
		atRest(t, c)
		if got := porcupine.CheckOperationsTimeout(register, ops, time.Minute); got != porcupine.Ok {
			t.Fatalf("history %d of seed %d: %v\n%+v\n%+v", i, seed, got, config, ops)
		}
	}
	t.Logf("hits %d, joined %d, superseded %d, abandoned %d, evicted %d, refreshes %d, store hits %d",
		sum.Hits, sum.Joined, sum.Superseded, sum.Abandoned, sum.Evicted, sum.Refreshes, sum.StoreHits)
	if min(sum.Hits, sum.Joined, sum.Superseded, sum.Abandoned, sum.Evicted, sum.Refreshes, sum.StoreHits) == 0 {
		t.Error("something that should be tried did not happen")
	}
}

// naive is a cache as one writes it in an afternoon: it puts what it has loaded, whatever has happened meanwhile.
type naive struct {
	mu   sync.Mutex
	rows map[int]int
}

func (n *naive) get(ctx context.Context, key int, load func(context.Context) (int, error)) (int, error) {
	n.mu.Lock()
	v, ok := n.rows[key]
	n.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := load(ctx)
	if err == nil {
		n.set(key, v)
	}
	return v, err
}

func (n *naive) set(key, v int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rows[key] = v
}

func (n *naive) forget(key int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.rows, key)
}

// TestLinearizableSeesABug is the control: the checker finds what is wrong with the naive cache.
func TestLinearizableSeesABug(t *testing.T) {
	for range 1000 {
		rng := rand.New(rand.NewPCG(rand.Uint64(), 1))
		ops := (&history{cache: &naive{rows: map[int]int{}}}).play(rng)
		if porcupine.CheckOperationsTimeout(register, ops, time.Minute) == porcupine.Illegal {
			return
		}
	}
	t.Error("a load that overwrites a later Delete passes a thousand histories")
}

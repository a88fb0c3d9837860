package cache

import (
	"context"
	"hash/maphash"
	"math"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/live"
	"github.com/mw-go/mw/core/internal/stripe"
)

// Cache is a bounded cache of values with a time to live, which loads what it has not. It implements core.Machine. Make
// one with New, and Close it if it must not outlive what its loads use. Safe for concurrent use; a hit takes no lock
// and allocates nothing.
type Cache[K comparable, V any] struct {
	live   live.Live[Config, rules]
	hooks  Hooks[K, V]
	count  stripe.Tally
	seed   maphash.Seed
	shards []shard[K, V] // a power of two, at most maxShards

	running atomic.Int64  // loads under way, and 1 until Close
	idle    chan struct{} // closed when none is, after Close
	closing atomic.Bool

	uniform     func() float64 // for the jitter
	exponential func() float64 // for XFetch
}

type settings = live.Settings[Config, rules]

// The lifetime counters of what happens outside a shard's lock.
const (
	countHits = iota
	countNegatives
	countPassed // loaded without the cache: in shadow and disabled mode
	countShadowed
	countStoreHits
	countStoreMisses
	countStoreErrors
)

// New returns an empty cache. It starts nothing: goroutines are those of loads, begun by the calls that need them.
// Errors: a name that is not 1 to 64 of letters, digits and - _ . /, and every bad field of c.
func New[K comparable, V any](name string, c Config, h Hooks[K, V]) (*Cache[K, V], error) {
	x := &Cache[K, V]{
		hooks: h, count: stripe.NewTally(), seed: maphash.MakeSeed(), idle: make(chan struct{}),
		uniform: rand.Float64, exponential: rand.ExpFloat64,
	}
	if x.hooks.Classify == nil {
		x.hooks.Classify = core.Classify
	}
	x.running.Store(1)
	err := x.live.Start(core.KindCache, name, c, h.Hooks, live.Rules[Config, rules]{
		Prepare: x.prepare, Describe: describe, Changed: x.changed,
		Derive: func(_ *settings, c Config, _ core.Time) rules { return derive(c) },
	})
	if err != nil {
		return nil, err
	}
	size := x.Config().Size
	x.shards = make([]shard[K, V], shardsFor(size, runtime.GOMAXPROCS(0)))
	for i := range x.shards {
		x.shards[i].start(share(size, len(x.shards), i))
	}
	return x, nil
}

const maxShards = 64

// shardsFor returns how many shards to make: four a processor, more if they would be so large that to grow one holds up
// those who write to it, but each of hundreds of entries, because keys fall on them unevenly.
func shardsFor(size, procs int) int {
	n := min(max(4*procs, size/16384), size/256, maxShards)
	return 1 << max(bits.Len(uint(n))-1, 0)
}

// share is shard i's part of the size.
func share(size, shards, i int) int {
	n := size / shards
	if i < size%shards {
		n++
	}
	return n
}

// place returns the hash of a key and its shard.
func (c *Cache[K, V]) place(key K) (hash uint32, sh *shard[K, V]) {
	h := maphash.Comparable(c.seed, key)
	return uint32(h), &c.shards[h>>32&uint64(len(c.shards)-1)]
}

// Get returns the value of key: the one it has, or what load returns. While a load of the key is under way, further
// callers wait for it instead of loading too. load nil means Hooks.Load.
//
// It waits no longer than ctx, and then returns ctx.Err(); the load goes on for those who still wait, and is cancelled
// when nobody does. load runs in a goroutine of its own, with the values of the ctx of the caller who began it and none
// of its ends; its deadline is the latest of those who wait. A hit is returned though ctx be done.
//
// Errors: that of the load, a remembered one, ctx.Err(), ErrNoLoad, ErrClosed, and for a load that did not return a
// *core.PanicError or core.ErrGoexit; the caller who began it panics or exits himself. ErrKey for a key that is not equal to
// itself; one whose dynamic type cannot be compared panics.
func (c *Cache[K, V]) Get(ctx context.Context, key K, load func(context.Context) (V, error)) (V, error) {
	now := core.Now()
	h := maphash.Comparable(c.seed, key) // as in place, without the call
	hash, sh := uint32(h), &c.shards[h>>32&uint64(len(c.shards)-1)]
	if s := c.live.Load(); s.Plain {
		if e := sh.find(hash, key); e != nil && e.surely(&s.Derived, now) {
			e.touch()
			c.count.Add(countHits, 1)
			return e.value, nil
		}
	}
	return c.get(&question[K, V]{ctx: ctx, hash: hash, sh: sh, key: key, load: load})
}

// Do is Get, in the shape that every machine has.
func Do[K comparable, V any](ctx context.Context, c *Cache[K, V], key K, fn func(context.Context) (V, error)) (V, error) {
	return c.Get(ctx, key, fn)
}

// countHit counts an answer by a fresh entry.
func (c *Cache[K, V]) countHit(e *entry[K, V]) {
	if e.fault != nil {
		c.count.Add(countNegatives, 1)
		return
	}
	c.count.Add(countHits, 1)
}

// Peek returns the value of key if Get would give it out without waiting. It loads, refreshes, counts and marks
// nothing. In shadow and disabled mode it has none.
func (c *Cache[K, V]) Peek(key K) (v V, ok bool) {
	s := c.live.At(0)
	if s.Policy.Mode != core.Enforce {
		return v, false
	}
	hash, sh := c.place(key)
	e := sh.find(hash, key)
	if e == nil {
		sh.mu.Lock()
		e = sh.find(hash, key)
		sh.mu.Unlock()
	}
	if e == nil || e.fault != nil || !e.life().fate(&s.Derived, core.Now(), 0).answers() {
		return v, false
	}
	return e.value, true
}

// Set puts a value, in every mode. No load that has begun by then overwrites it. With a Store it first writes there,
// waiting its turn among the changes of the key, and returns the store's error; the value is in the first level all the
// same. Without a Store the only errors are ErrClosed and ErrKey, and ctx is not looked at.
func (c *Cache[K, V]) Set(ctx context.Context, key K, value V) error {
	l := c.lifeOf(key, value, 0)
	set := &c.live.Load().Derived
	return c.change(ctx, key,
		func(ctx context.Context) error { return c.hooks.Store.Set(ctx, key, value, l.lasts(set)) },
		func(sh *shard[K, V], hash uint32) {
			now := core.Now()
			l.born = now
			sh.supersede(key)
			sh.store(newEntry(hash, key, l, value, nil), set, now)
		})
}

// Delete forgets a key, in every mode, and what is being loaded for it: those who wait still get it, nobody who comes
// later does. With a Store it first deletes there, and returns the store's error; the first level has forgotten it all
// the same. Without a Store the only errors are ErrClosed and ErrKey, and ctx is not looked at.
func (c *Cache[K, V]) Delete(ctx context.Context, key K) error {
	return c.change(ctx, key,
		func(ctx context.Context) error { return c.hooks.Store.Delete(ctx, key) },
		func(sh *shard[K, V], hash uint32) { sh.drop(hash, key) })
}

// Purge forgets every key, and what is being loaded, in the first level only: a Store is not asked to forget. It goes
// shard by shard.
func (c *Cache[K, V]) Purge() {
	for i := range c.shards {
		sh := &c.shards[i]
		sh.mu.Lock()
		sh.purge()
		sh.mu.Unlock()
	}
}

// Len returns how many entries there are, remembered errors and those included that have expired since somebody asked.
func (c *Cache[K, V]) Len() (n int) {
	for i := range c.shards {
		sh := &c.shards[i]
		sh.mu.Lock()
		n += sh.length
		sh.mu.Unlock()
	}
	return n
}

const (
	noEnd  = time.Duration(math.MaxInt64)
	maxTTL = 8760 * time.Hour
)

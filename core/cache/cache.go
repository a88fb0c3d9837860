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

// Cache is a bounded cache of values with a time to live, which loads what it has not. It implements core.Machine. Make one
// with New, and Close it if it must not outlive what its loads use. Safe for concurrent use; a hit takes no lock and allocates
// nothing.
type Cache[K comparable, V any] struct {
	live   live.Live[Config, rules]
	hooks  Hooks[K, V]
	count  stripe.Tally
	seed   maphash.Seed
	shards []shard[K, V] // a power of two, at most 1<<shardBits

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

// New returns an empty cache. It starts nothing: goroutines are those of loads, begun by the calls that need them. Errors: a
// name that is not 1 to 64 of letters, digits and - _ . /, and every bad field of c.
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

// shardsFor returns how many shards to make: four a processor, but each of hundreds of entries, because keys fall on
// them unevenly.
func shardsFor(size, procs int) int {
	n := min(4*procs, size/256, 1<<shardBits)
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
func (c *Cache[K, V]) place(key K) (hash uint64, sh *shard[K, V]) {
	hash = maphash.Comparable(c.seed, key)
	return hash, &c.shards[hash&uint64(len(c.shards)-1)]
}

// Get returns the value of key: the one it has, or what load returns. While a load of the key is under way, further
// callers wait for it instead of loading too. load nil means Hooks.Load.
//
// It waits no longer than ctx, and then returns ctx.Err(); the load goes on for those who still wait, and is cancelled when
// nobody does. load runs in a goroutine of its own, with the values of the ctx of the caller who began it and none of its
// ends; its deadline is the latest of those who wait. A hit is returned though ctx be done.
//
// Errors: that of the load, a remembered one, ctx.Err(), ErrNoLoad, ErrClosed, and for a load that did not return a
// *PanicError or ErrGoexit; the caller who began it panics or exits himself. A key whose dynamic type cannot be compared
// panics.
func (c *Cache[K, V]) Get(ctx context.Context, key K, load func(context.Context) (V, error)) (V, error) {
	hash, sh := c.place(key)
	if s := c.live.Load(); s.Plain {
		if e := sh.find(hash, key); e != nil && e.surely(&s.Derived, core.Now()) {
			return c.hit(e)
		}
	}
	return c.get(ctx, hash, sh, key, load)
}

// Do is Get, in the shape that every machine has.
func Do[K comparable, V any](ctx context.Context, c *Cache[K, V], key K, fn func(context.Context) (V, error)) (V, error) {
	return c.Get(ctx, key, fn)
}

func (c *Cache[K, V]) hit(e *entry[K, V]) (V, error) {
	e.touch()
	if e.fault != nil {
		c.count.Add(countNegatives, 1)
		return e.value, e.fault.err
	}
	c.count.Add(countHits, 1)
	return e.value, nil
}

// get is the whole of Get.
func (c *Cache[K, V]) get(ctx context.Context, hash uint64, sh *shard[K, V], key K, load func(context.Context) (V, error)) (v V, err error) {
	if load == nil {
		if c.hooks.Load == nil {
			return v, ErrNoLoad
		}
		load = func(ctx context.Context) (V, error) { return c.hooks.Load(ctx, key) }
	}
	s := c.live.At(0)
	if s.Policy.Mode != core.Enforce {
		return c.pass(ctx, s, hash, sh, key, load)
	}
	gone := ctx.Err()
	d := dueOf(ctx, s.Config.Linger)

	sh.mu.Lock()
	now := core.Now()
	e := sh.find(hash, key)
	switch fate := e.fateAt(&s.Derived, now, c.exponential()); {
	case sh.closed:
		sh.mu.Unlock()
		return v, ErrClosed
	case fate.answers():
		if fate != fresh {
			c.refresh(ctx, s, hash, sh, key, load, fate)
		}
		sh.mu.Unlock()
		if fate == stale {
			e.touch()
			return e.value, nil
		}
		return c.hit(e)
	case gone != nil:
		sh.mu.Unlock()
		return v, gone
	}
	f, leads := sh.flights[key], false
	sh.count.misses++
	if f != nil {
		sh.count.joined++
		f.join(d)
	} else {
		f, leads = begin(ctx, c, sh, hash, key, load, d), true
		c.launch(sh, f)
	}
	sh.mu.Unlock()

	r, err := f.await(ctx, s.Config.Linger)
	if err != nil {
		return v, err
	}
	if leads {
		r.carry()
	}
	return r.value, r.err
}

// carry goes on in the caller who began a load that did not return.
func (r *result[V]) carry() {
	switch r.end {
	case panicked:
		panic(r.err)
	case exited:
		runtime.Goexit()
	}
}

// launch lists a flight and starts it. The shard's lock is held, and the cache is not closed, so that running is not 0.
func (c *Cache[K, V]) launch(sh *shard[K, V], f *flight[K, V]) {
	sh.list(f)
	c.running.Add(1)
	go f.fly()
}

// refresh starts a load in the background, held by the cache alone, unless one is under way. The shard's lock is held.
func (c *Cache[K, V]) refresh(ctx context.Context, s *settings, hash uint64, sh *shard[K, V], key K, load func(context.Context) (V, error), why fate) {
	if why == stale {
		sh.count.stales++
	}
	if sh.flights[key] != nil {
		return
	}
	sh.count.refreshes++
	d := s.Config.RefreshTimeout
	f := begin(ctx, c, sh, hash, key, load, due{time.Now().Add(d), true})
	f.expire(d)
	c.launch(sh, f)
}

// judge says what the end of a load means.
func (c *Cache[K, V]) judge(ctx context.Context, key K, v V, err error, took time.Duration) result[V] {
	r := result[V]{value: v, err: err}
	switch {
	case err == nil:
		r.end, r.life = loaded, c.lifeOf(key, v, took)
	case c.hooks.Negative != nil && c.hooks.Negative(err):
		r.end, r.life = remembered, lifeForError(c.uniform())
	case c.hooks.Classify(ctx, err) == core.Success:
		r.end = answered
	default:
		r.end = failed
	}
	return r
}

// lifeOf is the life of a new value.
func (c *Cache[K, V]) lifeOf(key K, v V, took time.Duration) life {
	var own time.Duration
	if c.hooks.TTL != nil {
		own = min(c.hooks.TTL(key, v), maxTTL)
	}
	return lifeFor(&c.live.Load().Derived, own, c.uniform(), took)
}

// settle keeps the result of a load that is still listed, and covers up an error if there is a stale value. The shard's
// lock is held.
func (c *Cache[K, V]) settle(sh *shard[K, V], hash uint64, key K, r *result[V], set *rules) (kept *entry[K, V]) {
	now := core.Now()
	switch r.end {
	case loaded, fetched, remembered:
		kept = &entry[K, V]{hash: hash, key: key, life: r.life, value: r.value}
		kept.born = now
		if r.end == remembered {
			kept.fault = &fault{r.err}
		}
		sh.store(kept, set, now)
	case failed:
		if e := sh.find(hash, key); e != nil && e.covers(set, now) {
			sh.count.rescued++
			r.value, r.err, r.end = e.value, nil, rescued
		}
	}
	return kept
}

// Peek returns the value of key if Get would give it out without waiting. It loads, refreshes, counts and marks nothing.
// In shadow and disabled mode it has none.
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
	if e == nil || e.negative() || !e.at(&s.Derived, core.Now(), 0).answers() {
		return v, false
	}
	return e.value, true
}

// Set puts a value, in every mode. No load that has begun by then overwrites it. With a Store it first writes there, waiting its
// turn among the changes of the key, and returns the store's error; the value is in the first level all the same. Without a
// Store the only error is ErrClosed, and ctx is not looked at.
func (c *Cache[K, V]) Set(ctx context.Context, key K, value V) error {
	l := c.lifeOf(key, value, 0)
	set := &c.live.Load().Derived
	return c.change(ctx, key,
		func(ctx context.Context) error { return c.hooks.Store.Set(ctx, key, value, l.lasts(set)) },
		func(sh *shard[K, V], hash uint64) {
			now := core.Now()
			e := &entry[K, V]{life: l, hash: hash, key: key, value: value}
			e.born = now
			sh.supersede(key)
			sh.store(e, set, now)
		})
}

// Delete forgets a key, in every mode, and what is being loaded for it: those who wait still get it, nobody who comes later
// does. With a Store it first deletes there, and returns the store's error; the first level has forgotten it all the same. Without
// a Store the only error is ErrClosed, and ctx is not looked at.
func (c *Cache[K, V]) Delete(ctx context.Context, key K) error {
	return c.change(ctx, key,
		func(ctx context.Context) error { return c.hooks.Store.Delete(ctx, key) },
		func(sh *shard[K, V], hash uint64) { sh.drop(hash, key) })
}

// Purge forgets every key, and what is being loaded, in the first level only: a Store is not asked to forget. It goes shard by
// shard.
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

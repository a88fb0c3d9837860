package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/hashicorp/golang-lru/v2/expirable"
	"github.com/maypok86/otter/v2"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core/cache"
)

// The hit rows ask for cached keys in random order; the mixed row asks for a hundred thousand by Zipf's law of a cache
// that holds a tenth of them, and puts what is missing. Nothing expires, and everything has a time to live.
const (
	cachedKeys = 10_000
	cacheSize  = 20_000
	mixedSize  = keyCount / 10
	cacheTTL   = time.Hour
)

func cacheRows() []Row {
	contestants := func(names func() []string, size int, subject func(get func(string) (int, bool), put func(string, int), names []string) Subject) []Contestant {
		var all []Contestant
		for _, m := range cacheMakers {
			all = append(all, Contestant{m.name, func() Subject {
				get, put, stop := m.make(size)
				s := subject(get, put, names())
				s.Close = stop
				return s
			}})
		}
		return all
	}
	return []Row{
		{
			Name: "CacheHit", About: "a value with a time to live, 10,000 cached keys at random",
			Contestants: []Contestant{
				{Ours, func() Subject { return oursHits(keys()[:cachedKeys]) }},
				{"expirable", func() Subject { return expirableHits(keys()[:cachedKeys]) }},
				{"otter", func() Subject { return otterHits(keys()[:cachedKeys]) }},
				{"lru-sharded", func() Subject { return shardedHits(keys()[:cachedKeys]) }},
			},
		},
		{
			Name: "CacheHot", About: "the same, always the same key",
			Contestants: []Contestant{
				{Ours, func() Subject { return oursHits(keys()[:1]) }},
				{"expirable", func() Subject { return expirableHits(keys()[:1]) }},
				{"otter", func() Subject { return otterHits(keys()[:1]) }},
				{"lru-sharded", func() Subject { return shardedHits(keys()[:1]) }},
			},
		},
		{
			Name: "CacheMixed", About: "100,000 keys by Zipf's law, room for a tenth; what is missing is put",
			Contestants: contestants(keys, mixedSize, mixedCache),
		},
		{
			Name: "CacheLoad", About: "every call a miss: a load through the cache's own Get, at once",
			Contestants: []Contestant{{Ours, oursLoads}, {"otter", otterLoads}},
		},
	}
}

var errNotHit = errors.New("not every call was a hit")

func newCache(size int) *cache.Cache[string, int] {
	return mw.Must(cache.New("bench", cache.Config{Size: size, TTL: cacheTTL}, cache.Hooks[string, int]{}))
}

func newOtter(size int) *otter.Cache[string, int] {
	return otter.Must(&otter.Options[string, int]{
		MaximumSize: size, ExpiryCalculator: otter.ExpiryWriting[string, int](cacheTTL),
	})
}

func oursHits(names []string) Subject {
	c, ctx := newCache(cacheSize), context.Background()
	for i, name := range names {
		_ = c.Set(ctx, name, i)
	}
	return Subject{
		Loop: func(from, n int) (hits int) {
			for i := range n {
				if _, err := c.Get(ctx, pick(names, from+i), nil); err == nil {
					hits++
				}
			}
			return hits
		},
		Check: func(calls int) error {
			if s := c.Snapshot(); s.Hits != uint64(calls) || s.Loads != 0 {
				return errNotHit
			}
			return nil
		},
	}
}

func expirableHits(names []string) Subject {
	c := expirable.NewLRU[string, int](cacheSize, nil, cacheTTL)
	for i, name := range names {
		c.Add(name, i)
	}
	return Subject{Loop: func(from, n int) (hits int) {
		for i := range n {
			if _, ok := c.Get(pick(names, from+i)); ok {
				hits++
			}
		}
		return hits
	}}
}

func otterHits(names []string) Subject {
	c := newOtter(cacheSize)
	for i, name := range names {
		c.Set(name, i)
	}
	return Subject{
		Loop: func(from, n int) (hits int) {
			for i := range n {
				if _, ok := c.GetIfPresent(pick(names, from+i)); ok {
					hits++
				}
			}
			return hits
		},
		Close: func() { c.StopAllGoroutines() },
	}
}

// shardedLRU is golang-lru as it could stand under a cache that decides on expiry when it reads: an LRU a shard.
type shardedLRU struct {
	seed   maphash.Seed
	shards []*lru.Cache[string, *timed]
	epoch  time.Time
}

type timed struct {
	value  int
	expiry time.Duration // since the epoch
}

func newShardedLRU(size int) *shardedLRU {
	c := &shardedLRU{seed: maphash.MakeSeed(), shards: make([]*lru.Cache[string, *timed], 8), epoch: time.Now()}
	for i := range c.shards {
		c.shards[i] = mw.Must(lru.New[string, *timed](size / len(c.shards)))
	}
	return c
}

func (c *shardedLRU) shard(key string) *lru.Cache[string, *timed] {
	return c.shards[maphash.String(c.seed, key)%uint64(len(c.shards))]
}

func (c *shardedLRU) get(key string) (int, bool) {
	if e, ok := c.shard(key).Get(key); ok && time.Since(c.epoch) < e.expiry {
		return e.value, true
	}
	return 0, false
}

func (c *shardedLRU) put(key string, v int) {
	c.shard(key).Add(key, &timed{v, time.Since(c.epoch) + cacheTTL})
}

func shardedHits(names []string) Subject {
	c := newShardedLRU(cacheSize)
	for i, name := range names {
		c.put(name, i)
	}
	return Subject{Loop: func(from, n int) (hits int) {
		for i := range n {
			if _, ok := c.get(pick(names, from+i)); ok {
				hits++
			}
		}
		return hits
	}}
}

// cacheMakers make each cache behind the same two functions, for rows and tests in which the call through them does not
// matter.
var cacheMakers = []struct {
	name string
	make func(size int) (get func(string) (int, bool), put func(string, int), stop func())
}{
	{Ours, func(size int) (func(string) (int, bool), func(string, int), func()) {
		c, ctx := newCache(size), context.Background()
		get := func(k string) (int, bool) { v, err := c.Get(ctx, k, nil); return v, err == nil }
		return get, func(k string, v int) { _ = c.Set(ctx, k, v) }, func() { _ = c.Close(ctx) }
	}},
	{"expirable", func(size int) (func(string) (int, bool), func(string, int), func()) {
		c := expirable.NewLRU[string, int](size, nil, cacheTTL)
		return c.Get, func(k string, v int) { c.Add(k, v) }, func() {}
	}},
	{"otter", func(size int) (func(string) (int, bool), func(string, int), func()) {
		c := newOtter(size)
		return c.GetIfPresent, func(k string, v int) { c.Set(k, v) }, func() { c.StopAllGoroutines() }
	}},
	{"lru-sharded", func(size int) (func(string) (int, bool), func(string, int), func()) {
		c := newShardedLRU(size)
		return c.get, c.put, func() {}
	}},
}

// newZipf draws numbers of keys by Zipf's law with exponent 1.01.
func newZipf(seed uint64) *rand.Zipf {
	return rand.NewZipf(rand.New(rand.NewPCG(seed, 2)), 1.01, 1, keyCount-1)
}

// zipfOrder is the order in which the mixed row asks for keys.
var zipfOrder = sync.OnceValue(func() []uint32 {
	order := make([]uint32, 1<<20)
	z := newZipf(1)
	for i := range order {
		order[i] = uint32(z.Uint64())
	}
	return order
})

func mixedCache(get func(string) (int, bool), put func(string, int), names []string) Subject {
	order := zipfOrder()
	loop := func(from, n int) int {
		for i := range n {
			k := order[(from+i)&(len(order)-1)]
			if _, ok := get(names[k]); !ok {
				put(names[k], int(k))
			}
		}
		return n
	}
	loop(0, len(order)/4)
	return Subject{Loop: loop}
}

// freshKeys is how many keys the loading row goes round: many more than the cache holds.
const freshKeys = 1 << 24

func oursLoads() Subject {
	ctx := context.Background()
	c := mw.Must(cache.New("bench", cache.Config{Size: 1000, TTL: cacheTTL}, cache.Hooks[int, int]{
		Load: func(_ context.Context, key int) (int, error) { return key, nil },
	}))
	return Subject{
		Loop: func(from, n int) (loaded int) {
			for i := range n {
				if v, err := c.Get(ctx, (from+i)&(freshKeys-1), nil); err == nil && v == (from+i)&(freshKeys-1) {
					loaded++
				}
			}
			return loaded
		},
		Check: func(calls int) error {
			if s := c.Snapshot(); s.Misses != uint64(calls) {
				return fmt.Errorf("%d misses, want %d", s.Misses, calls)
			}
			return nil
		},
		Close: func() { _ = c.Close(ctx) },
	}
}

func otterLoads() Subject {
	ctx := context.Background()
	c := otter.Must(&otter.Options[int, int]{
		MaximumSize: 1000, ExpiryCalculator: otter.ExpiryWriting[int, int](cacheTTL),
	})
	load := otter.LoaderFunc[int, int](func(_ context.Context, key int) (int, error) { return key, nil })
	return Subject{
		Loop: func(from, n int) (loaded int) {
			for i := range n {
				if v, err := c.Get(ctx, (from+i)&(freshKeys-1), load); err == nil && v == (from+i)&(freshKeys-1) {
					loaded++
				}
			}
			return loaded
		},
		Close: func() { c.StopAllGoroutines() },
	}
}

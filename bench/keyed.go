package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/go-chi/httprate"
	"github.com/sethvargo/go-limiter/memorystore"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/ratelimit"
)

const (
	keyCount = 100_000
	maxKeys  = 200_000
)

func keyedRows() []Row {
	return []Row{
		{
			Name: "KeyedHot", About: "a bucket for each key, always the same key",
			Contestants: []Contestant{
				{Ours, func() Subject { return oursKeyed(slowRefill, keys()[:1]) }},
				{"go-limiter", func() Subject { return goLimiter(keys()[:1]) }},
				{"httprate", func() Subject { return httprateCounter(keys()[:1]) }},
			},
		},
		{
			Name: "Keyed100k", About: "a bucket for each key, 100,000 known keys at random",
			Contestants: []Contestant{
				{Ours, func() Subject { return oursKeyed(slowRefill, keys()) }},
				{"go-limiter", func() Subject { return goLimiter(keys()) }},
				{"httprate", func() Subject { return httprateCounter(keys()) }},
			},
		},
		{
			Name: "KeyedForget", About: "ours with keys that are idle a millisecond later and give their place to others",
			Contestants: []Contestant{{Ours, func() Subject { return oursKeyed(fastRefill, keys()) }}},
		},
	}
}

// slowRefill keeps every key active for the whole run, as the peers keep theirs: a token takes 86 seconds to come back,
// and a thousand million are saved up. The peers grant as many a day.
var slowRefill = ratelimit.Config{Limit: 1000, Period: day, Burst: plenty, MaxKeys: maxKeys}

// fastRefill is more like a limit in use, and lets a key be forgotten a millisecond after its call.
var fastRefill = ratelimit.Config{Limit: 1000, Period: time.Second, Burst: 100_000, MaxKeys: maxKeys}

// keys returns the keys: short, of the kind that tenants and API tokens are, each its own allocation.
var keys = sync.OnceValue(func() []string {
	names := make([]string, keyCount)
	for i := range names {
		names[i] = "client-" + strconv.FormatUint(mix(uint64(i)+1<<40), 36)
	}
	return names
})

// mix spreads i over 64 bits: the finaliser of the splitmix64 generator, so that mix of successive numbers is that
// generator's output.
func mix(i uint64) uint64 {
	i *= 0x9e3779b97f4a7c15
	i = (i ^ i>>30) * 0xbf58476d1ce4e5b9
	i = (i ^ i>>27) * 0x94d049bb133111eb
	return i ^ i>>31
}

// pick returns the key of call i: the same for every contestant, and about 2 ns for each of them.
func pick(names []string, i int) string {
	return names[mix(uint64(i))>>32*uint64(len(names))>>32]
}

func oursKeyed(c ratelimit.Config, names []string) Subject {
	l, ctx := mw.Must(ratelimit.NewKeyed("bench", c, ratelimit.Hooks{})), context.Background()
	for _, name := range names {
		l.Acquire(ctx, core.Call{Key: core.KeyOf(name)})
	}
	return Subject{
		Loop: func(from, n int) (admitted int) {
			for i := range n {
				if _, d := l.Acquire(ctx, core.Call{Key: core.KeyOf(pick(names, from+i))}); d.Admitted() {
					admitted++
				}
			}
			return admitted
		},
		Check: func(calls int) error {
			s := l.Snapshot()
			if c == slowRefill && s.Keys != len(names) || s.Overflowed != 0 {
				return fmt.Errorf("%d keys of %d, %d calls shared the overflow cell", s.Keys, len(names), s.Overflowed)
			}
			if want := uint64(calls + len(names)); s.Admitted != want {
				return fmt.Errorf("%d calls counted, want %d", s.Admitted, want)
			}
			return nil
		},
	}
}

func goLimiter(names []string) Subject {
	ctx := context.Background()
	store := mw.Must(memorystore.New(&memorystore.Config{Tokens: plenty, Interval: day}))
	for _, name := range names {
		_, _, _, _, _ = store.Take(ctx, name)
	}
	return Subject{
		Loop: func(from, n int) (admitted int) {
			for i := range n {
				if _, _, _, ok, err := store.Take(ctx, pick(names, from+i)); ok && err == nil {
					admitted++
				}
			}
			return admitted
		},
		Check: func(calls int) error {
			left := uint64(0)
			for _, name := range names {
				_, remaining, err := store.Get(ctx, name)
				if err != nil {
					return err
				}
				left += plenty - remaining
			}
			return spent(int(left), calls+len(names))
		},
		Close: func() { _ = store.Close(ctx) },
	}
}

// spent checks that as many tokens are gone as calls were made.
func spent(got, calls int) error {
	if got != calls {
		return fmt.Errorf("%d tokens spent by %d calls", got, calls)
	}
	return nil
}

// httprateCounter is what httprate's OnLimit does for a key, without its response headers, which are most of its cost:
// under one lock, take the sliding count, compare, and increment. Its clock readings (two) and its hashings (three) are
// its own.
func httprateCounter(names []string) Subject {
	l := httprate.NewRateLimiter(plenty, day)
	var mu sync.Mutex
	take := func(key string) bool {
		current := time.Now().UTC().Truncate(day)
		mu.Lock()
		defer mu.Unlock()
		_, used, err := l.Status(key)
		if err != nil || int(math.Round(used))+1 > plenty {
			return false
		}
		return l.Counter().IncrementBy(key, current, 1) == nil
	}
	for _, name := range names {
		take(name)
	}
	return Subject{
		Loop: func(from, n int) (admitted int) {
			for i := range n {
				if take(pick(names, from+i)) {
					admitted++
				}
			}
			return admitted
		},
		Check: func(calls int) error {
			total := 0.0
			for _, name := range names {
				_, used, err := l.Status(name)
				if err != nil {
					return err
				}
				total += used
			}
			return spent(int(total+0.5), calls+len(names))
		},
	}
}

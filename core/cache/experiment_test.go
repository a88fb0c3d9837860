package cache_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/cache"
)

// The experiment of the lost cache (Bronson and others, HotOS 2021; Huang and others, OSDI 2022), in virtual time: a
// backend of 300 calls a second behind a cache that answers 90 % of 1,500. The cache is wiped. Without protection the
// backend then gets five times what it can do, answers after its callers have left, and so never fills the cache again.
const (
	workers    = 30
	service    = 100 * time.Millisecond
	capacity   = 300 // a second
	load       = 1500
	patience   = time.Second
	population = 100_000
	room       = 4000
	warmUp     = 40 * time.Second
	after      = 60 * time.Second
)

// backend is a server with a queue. It works on calls whose caller has left, as servers do, and takes any number.
type backend struct {
	queue chan *job

	mu       sync.Mutex
	arrived  map[int]int // calls by second
	inFlight map[int]int // by key
	most     int         // of one key at once
	all      int         // in flight
	peak     int         // of these
	epoch    time.Time
}

type job struct {
	key  int
	done chan struct{}
}

func newBackend() *backend {
	b := &backend{queue: make(chan *job, 1<<18), arrived: map[int]int{}, inFlight: map[int]int{}, epoch: time.Now()}
	for range workers {
		go func() {
			for j := range b.queue {
				time.Sleep(service)
				b.mu.Lock()
				b.inFlight[j.key]--
				b.all--
				b.mu.Unlock()
				close(j.done)
			}
		}()
	}
	return b
}

// stop gives up what is in the queue and lets the workers end.
func (b *backend) stop() {
	for len(b.queue) > 0 {
		<-b.queue
	}
	close(b.queue)
	time.Sleep(service)
}

func (b *backend) call(ctx context.Context, key int) (int, error) {
	j := &job{key, make(chan struct{})}
	b.mu.Lock()
	b.arrived[int(time.Since(b.epoch)/time.Second)]++
	b.inFlight[key]++
	b.most = max(b.most, b.inFlight[key])
	b.all++
	b.peak = max(b.peak, b.all)
	b.mu.Unlock()
	b.queue <- j
	select {
	case <-j.done:
		return key, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// traffic asks for keys by Zipf's law, at random times, whether answers come or not, and counts by second how many were
// answered from the cache. One caller in ten is impatient.
func traffic(rng *rand.Rand, d time.Duration, get func(ctx context.Context, key int) (hit bool)) (hits, calls []int) {
	hits, calls = make([]int, int(d/time.Second)+1), make([]int, int(d/time.Second)+1)
	keys := rand.NewZipf(rng, 1.25, 1, population-1)
	var mu sync.Mutex
	var all sync.WaitGroup
	for begin := time.Now(); time.Since(begin) < d; {
		time.Sleep(time.Duration(rng.ExpFloat64() * float64(time.Second) / load))
		key, second, wait := int(keys.Uint64()), int(time.Since(begin)/time.Second), patience
		if rng.IntN(10) == 0 {
			wait = service / 2
		}
		all.Go(func() {
			ctx, stop := context.WithTimeout(context.Background(), wait)
			defer stop()
			hit := get(ctx, key)
			mu.Lock()
			defer mu.Unlock()
			calls[second]++
			if hit {
				hits[second]++
			}
		})
	}
	all.Wait()
	return hits, calls
}

// rate is the share of hits in the seconds from to to.
func rate(hits, calls []int, from, to int) float64 {
	h, n := 0, 0
	for i := from; i < to; i++ {
		h, n = h+hits[i], n+calls[i]
	}
	return float64(h) / float64(n)
}

// TestA4_WipedCache: with the cache of this package and a bulkhead in its load, the backend never gets more than it can
// do, there is one call a key, no fill is cancelled because a caller has left, and the cache is full again in time.
func TestA4_WipedCache(t *testing.T) {
	for range 5 {
		seed := rand.Uint64()
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 4))
			b := newBackend()
			defer b.stop()
			slots, err := bulkhead.New("backend", bulkhead.Config{Limit: workers}, bulkhead.Hooks{})
			if err != nil {
				t.Fatal(err)
			}
			c, err := cache.New("rows", cache.Config{Size: room, TTL: time.Hour, Linger: 2 * time.Second}, cache.Hooks[int, int]{
				Load: func(ctx context.Context, key int) (int, error) {
					return bulkhead.Do(ctx, slots, func(ctx context.Context) (int, error) { return b.call(ctx, key) })
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			var left atomic.Int64
			get := func(ctx context.Context, key int) bool {
				before := time.Now()
				v, err := c.Get(ctx, key, nil)
				if errors.Is(err, context.DeadlineExceeded) {
					left.Add(1)
				}
				if err == nil && v != key || err != nil && !errors.Is(err, core.ErrFull) && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%d: %d, %v", key, v, err)
				}
				return err == nil && time.Since(before) == 0
			}
			hits, calls := traffic(rng, warmUp, get)
			warm := rate(hits, calls, 30, 40)
			c.Purge()
			hits, calls = traffic(rng, after, get)

			recovered := 0
			for recovered < 60 && rate(hits, calls, recovered, recovered+1) < 0.85 {
				recovered++
			}
			busiest := 0
			for _, n := range b.arrived {
				busiest = max(busiest, n)
			}
			s := c.Snapshot()
			t.Logf("seed %d: %.1f %% hits before, 85 %% again after %d s, %.1f %% in the end; %d calls in the busiest second, %d at once, %d of a key; %d callers left, %d of %d loads cancelled",
				seed, 100*warm, recovered+1, 100*rate(hits, calls, 50, 60), busiest, b.peak, b.most, left.Load(), s.Abandoned, s.Loads)
			if warm < 0.88 || warm > 0.93 {
				t.Errorf("the cache answers %.3f when warm: not the experiment that was meant", warm)
			}
			if recovered >= 60 || rate(hits, calls, 50, 60) < 0.85 {
				t.Error("not recovered after 60 s")
			}
			if b.peak > workers || busiest > capacity+workers || b.most > 1 || s.Abandoned > 0 || left.Load() == 0 {
				t.Error("too many calls, more than one of a key, or a fill was cancelled")
			}
			if err := c.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestA4_Control: a map with a lock, as often found. After a minute every answer of the backend still comes after its
// caller has left, so that nothing is cached any more.
func TestA4_Control(t *testing.T) {
	for range 5 {
		seed := rand.Uint64()
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 4))
			b := newBackend()
			defer b.stop()
			var mu sync.Mutex
			rows := map[int]int{}
			get := func(ctx context.Context, key int) bool {
				mu.Lock()
				_, hit := rows[key]
				mu.Unlock()
				if hit {
					return true
				}
				v, err := b.call(ctx, key)
				if err == nil {
					mu.Lock()
					rows[key] = v
					mu.Unlock()
				}
				return false
			}
			for key := range room { // as full as the other is when it is warm
				rows[key] = key
			}
			hits, calls := traffic(rng, 10*time.Second, get)
			warm := rate(hits, calls, 0, 10)
			clear(rows)
			hits, calls = traffic(rng, after, get)
			last := rate(hits, calls, 50, 60)
			t.Logf("seed %d: %.1f %% hits before, %.1f %% in the end; %d of a key at once, %d calls still in the queue",
				seed, 100*warm, 100*last, b.most, len(b.queue))
			if warm < 0.88 || last >= 0.85 || b.most < 2 || len(b.queue) < capacity {
				t.Error("the unprotected arm is well: the experiment is void")
			}
		})
	}
}

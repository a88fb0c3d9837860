package ratelimit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// admitted is a call that was admitted, by the time at which it was decided.
type admitted struct {
	at   core.Time
	cost int64
}

// checkWindows fails if in any window more was admitted than burst + rate*t + 1. Linear: for calls in order the account
// falls by the rate and rises by the cost, and may not rise above its lowest point so far by more than the burst.
func checkWindows(t *testing.T, name string, calls []admitted, c Config) {
	t.Helper()
	slices.SortFunc(calls, func(a, b admitted) int { return int(a.at - b.at) })
	rate := float64(c.Limit) / float64(c.Period)
	var sum int64
	lowest := 0.0
	for i, a := range calls {
		flow := rate * float64(a.at-calls[0].at)
		if account := float64(sum) - flow; i == 0 || account < lowest {
			lowest = account
		}
		sum += a.cost
		if over := float64(sum) - flow - lowest - float64(c.Burst); over > 1 {
			t.Errorf("%s: %.3f tokens over burst + rate*t after %d calls", name, over, i)
			return
		}
	}
}

// hammer has n goroutines make calls for a while and returns those that were admitted, by key.
func hammer(g core.Guard, n, calls int, next func(rng *rand.Rand) core.Call) map[core.Key][]admitted {
	var mu sync.Mutex
	all := map[core.Key][]admitted{}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 11))
			mine := map[core.Key][]admitted{}
			for range calls / n {
				c := next(rng)
				c.Now = core.Now()
				_, d := g.Acquire(context.Background(), c)
				if d.Reason == 0 {
					mine[c.Key] = append(mine[c.Key], admitted{d.Now, c.Tokens()})
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for k, list := range mine {
				all[k] = append(all[k], list...)
			}
		})
	}
	wg.Wait()
	return all
}

func calls(t *testing.T, n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// TestNeverOverTheLimit: one to 64 goroutines, real time, real contention.
func TestNeverOverTheLimit(t *testing.T) {
	for _, n := range []int{1, 2, 8, 64} {
		for _, c := range []Config{
			{Limit: 1_000_000, Period: time.Second, Burst: 1},
			{Limit: 50_000, Period: time.Second, Burst: 100},
			{Limit: 3, Period: time.Millisecond, Burst: 7},
			{Limit: 100_000_000, Period: time.Second, Burst: 10},
		} {
			t.Run(fmt.Sprint(n, "/", c.Limit), func(t *testing.T) {
				l := limiter(t, c)
				all := hammer(l, n, calls(t, 100_000), func(rng *rand.Rand) core.Call {
					return core.Call{Cost: 1 + rng.Uint32N(uint32(min(c.Burst, 3)))}
				})
				for _, list := range all {
					checkWindows(t, "all", list, c)
				}
				admitted, rejected := 0, l.Snapshot().Rejected
				for _, list := range all {
					admitted += len(list)
				}
				if s := l.Snapshot(); s.Admitted != uint64(admitted) || rejected == 0 && c.Limit < 1e6 {
					t.Errorf("%d admitted, %+v", admitted, s.Status)
				}
			})
		}
	}
}

// TestNeverOverTheLimitUnderAFlood: a few keys that matter, among so many new ones that cells change hands and overflow
// all the time. The few are charged now in a cell of their own and now in the shared one.
func TestNeverOverTheLimitUnderAFlood(t *testing.T) {
	for _, n := range []int{1, 8, 64} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			c := Config{Limit: 150, Period: time.Second, Burst: 5, MaxKeys: 1}
			l := keyedLimiter(t, c)
			var fresh atomic.Uint64
			all := hammer(l, n, calls(t, 200_000), func(rng *rand.Rand) core.Call {
				if rng.IntN(3) == 0 {
					return core.Call{Key: keyOf(1 + rng.IntN(3))}
				}
				return core.Call{Key: core.KeyOfWords(fresh.Add(1), 1<<40)}
			})
			for k, list := range all {
				checkWindows(t, fmt.Sprint(k.Words()), list, c)
			}
			if s := l.Snapshot(); s.Overflowed == 0 || s.Keys > 200 {
				t.Errorf("%+v: not the flood it should be", s.Status)
			}
		})
	}
}

// TestNeverOverTheLimitWhileTuning: every window is within the largest burst and the fastest rate that was in force, and
// nobody is locked out for longer than the largest burst takes at the slowest.
func TestNeverOverTheLimitWhileTuning(t *testing.T) {
	for _, keyed := range []bool{false, true} {
		t.Run(fmt.Sprint("keyed ", keyed), func(t *testing.T) {
			// Bursts only grow: what a smaller one forgives counts twice in a window.
			slow, fast := Config{Limit: 10_000, Period: time.Second, Burst: 20}, Config{Limit: 1_000_000, Period: time.Second, Burst: 20}
			var g interface {
				core.Guard
				Tune(Config) error
			} = limiter(t, slow)
			if keyed {
				g = keyedLimiter(t, slow)
			}
			stop := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					if err := g.Tune([]Config{fast, slow}[i%2]); err != nil {
						t.Error(err)
					}
					d := g.Peek(core.Call{Key: keyOf(1)})
					if left := d.Now.Add(d.RetryAfter).Sub(core.Now()); i%2 == 1 && left > 3*time.Millisecond {
						t.Errorf("locked out for %v after a Tune to the slow rate", left)
					}
				}
			})
			all := hammer(g, 16, calls(t, 200_000), func(rng *rand.Rand) core.Call {
				return core.Call{Key: keyOf(1 + rng.IntN(2))}
			})
			close(stop)
			wg.Wait()
			if !keyed { // one bucket whatever the key
				all = map[core.Key][]admitted{{}: slices.Concat(all[keyOf(1)], all[keyOf(2)])}
			}
			for k, list := range all {
				checkWindows(t, fmt.Sprint(k.Words()), list, fast)
			}
		})
	}
}

// TestStress mixes everything that the limiter can do; the race detector and the counts are the test.
func TestStress(t *testing.T) {
	l := keyedLimiter(t, Config{Limit: 1_000_000, Burst: 10, MaxWait: time.Millisecond, MaxKeys: 10})
	var made atomic.Uint64
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 13))
			for i := range calls(t, 10_000) {
				switch rng.IntN(40) {
				case 0:
					_ = l.Tune(Config{
						Limit: 1 + rng.Int64N(1_000_000), Burst: 1 + rng.Int64N(20), MaxKeys: 1 + rng.IntN(20),
						MaxWait: time.Duration(rng.IntN(3)) * time.Millisecond,
					})
				case 1:
					_ = l.Override(core.Mode(rng.IntN(3)), time.Duration(rng.IntN(200))*time.Microsecond)
				case 2:
					l.Restore()
				case 3:
					l.Snapshot()
				case 4:
					l.Peek(core.Call{Key: keyOf(i % 50)})
				default:
					ctx, cancel := context.WithTimeout(bg, time.Duration(rng.IntN(1000))*time.Microsecond)
					l.Acquire(ctx, core.Call{Key: keyOf(rng.IntN(1000) >> rng.IntN(10)), Cost: rng.Uint32N(4)})
					cancel()
					made.Add(1)
				}
			}
		})
	}
	wg.Wait()
	s := l.Snapshot()
	if s.Admitted+s.Rejected != made.Load() || s.Waiting != 0 || len(l.lines.byKey) != 0 {
		t.Errorf("%d calls: %+v, %d waiting in %d lines", made.Load(), s.Status, s.Waiting, len(l.lines.byKey))
	}
}

package bulkhead

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

func iterations(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// TestNeverMoreThanLimit: with waiting calls, cancellations and costs, the slots in use never exceed the limit, every
// call ends, and the counts are exact.
func TestNeverMoreThanLimit(t *testing.T) {
	const limit, workers = 5, 32
	b := bulkhead(t, Config{Limit: limit, Queue: 20, MaxWait: time.Minute})
	var inUse, most atomic.Int64
	var admitted, rejected atomic.Uint64
	var wg sync.WaitGroup
	for g := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 19))
			for i := range iterations(3000) {
				ctx, cancel := context.WithCancel(bg)
				if rng.IntN(4) == 0 {
					go cancel()
				}
				cost := 1 + rng.Int64N(3)
				var p core.Permit
				if d := acquire(ctx, b, core.Call{Cost: uint32(cost)}, &p); d.Reason == 0 {
					admitted.Add(1)
					now := inUse.Add(cost)
					for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
					}
					if i%8 == 0 {
						runtime.Gosched()
					}
					inUse.Add(-cost)
				} else {
					rejected.Add(1)
				}
				p.Done(0, core.Success)
				cancel()
			}
		})
	}
	wg.Wait()
	if most.Load() > limit || most.Load() < limit-1 {
		t.Errorf("at most %d slots were in use of %d", most.Load(), limit)
	}
	if s := b.Snapshot(); s.Admitted != admitted.Load() || s.Rejected != rejected.Load() {
		t.Errorf("%d admitted and %d rejected, counted %+v", admitted.Load(), rejected.Load(), s.Status)
	}
	atRest(t, b)
}

// TestNoLostWakeUp: two callers and one slot. If a wake-up were lost, one of them would wait for its whole hour.
func TestNoLostWakeUp(t *testing.T) {
	for _, keyed := range []bool{false, true} {
		var g core.Guard = bulkhead(t, Config{Limit: 1, Queue: 4, MaxWait: time.Hour})
		if keyed {
			g = keyedBulkhead(t, Config{Limit: 1, Queue: 4, MaxWait: time.Hour, MaxKeys: 1})
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			var wg sync.WaitGroup
			for w := range 3 {
				wg.Go(func() {
					for i := range iterations(30_000) {
						var p core.Permit
						key := keyOf(i / 50)
						if d := acquire(bg, g, core.Call{Key: key}, &p); d.Reason != 0 {
							t.Errorf("worker %d: %v", w, d.Reason)
						}
						p.Done(0, core.Success)
					}
				})
			}
			wg.Wait()
		}()
		select {
		case <-done:
		case <-time.After(5 * time.Minute):
			t.Fatal("somebody waits for ever")
		}
	}
}

// TestStress mixes everything that the bulkhead can do; the race detector and the counts are the test.
func TestStress(t *testing.T) {
	b := keyedBulkhead(t, Config{Limit: 2, Queue: 2, MaxWait: time.Millisecond, MaxKeys: 4})
	var made atomic.Uint64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for g := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 23))
			for range iterations(6000) {
				switch rng.IntN(40) {
				case 0:
					_ = b.Tune(Config{
						Limit: 1 + rng.IntN(4), Queue: rng.IntN(4), MaxKeys: 1 + rng.IntN(8),
						MaxWait: time.Duration(1+rng.IntN(3)) * time.Millisecond,
					})
				case 1:
					_ = b.Override(core.Mode(rng.IntN(3)), time.Duration(rng.IntN(200))*time.Microsecond)
				case 2:
					b.Restore()
				case 3:
					b.Peek(core.Call{Key: keyOf(rng.IntN(100))})
				default:
					ctx, cancel := context.WithTimeout(bg, time.Duration(rng.IntN(1000))*time.Microsecond)
					var p core.Permit
					acquire(ctx, b, core.Call{Key: keyOf(rng.IntN(1000) >> rng.IntN(10)), Cost: rng.Uint32N(3)}, &p)
					made.Add(1)
					runtime.Gosched()
					p.Done(0, core.Success)
					cancel()
				}
			}
		})
	}
	var watcher sync.WaitGroup
	watcher.Go(func() { // counters never go back, whatever changes hands
		var last core.Status
		for {
			select {
			case <-stop:
				return
			default:
			}
			s := b.Status()
			if s.Admitted < last.Admitted || s.Rejected < last.Rejected {
				t.Errorf("counters went from %+v to %+v", last, s)
				return
			}
			last = s
			runtime.Gosched()
		}
	})
	wg.Wait()
	close(stop)
	watcher.Wait()
	if s := b.Snapshot(); s.Admitted+s.Rejected != made.Load() {
		t.Errorf("%d calls, counted %+v", made.Load(), s.Status)
	}
	atRest(t, &b.Bulkhead)
}

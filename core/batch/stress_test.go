package batch

import (
	"context"
	"errors"
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

// TestEachItemOnce: among many callers, who leave, in all modes and through Tunes, every item runs at most once, that
// of a caller with an answer exactly once, and the answer is its own.
func TestEachItemOnce(t *testing.T) {
	const workers = 24
	var ran sync.Map
	var atOnce, peak atomic.Int64
	run := func(_ context.Context, reqs []int) ([]int, error) {
		if n := atOnce.Add(1); n > peak.Load() {
			peak.Store(n)
		}
		defer atOnce.Add(-1)
		for _, r := range reqs {
			if _, again := ran.LoadOrStore(r, true); again {
				t.Errorf("item %d runs twice", r)
			}
		}
		runtime.Gosched()
		switch reqs[0] % 50 {
		case 0:
			panic("ouch")
		case 1:
			runtime.Goexit()
		case 2:
			return nil, errDown
		}
		return times10(reqs), nil
	}
	b, err := New("test", Config{MaxItems: 4, Delay: 100 * time.Microsecond, Queue: 8, MaxWait: time.Second}, Hooks[int, int]{Run: run})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var failed atomic.Int64
	for g := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 59))
			for i := range iterations(1500) {
				if rng.IntN(100) == 0 {
					_ = b.Tune(Config{
						MaxItems: 1 + rng.IntN(8), Concurrency: 1 + rng.IntN(4), Queue: 4 + rng.IntN(8), MaxWait: time.Second,
						Delay: time.Duration(10+rng.IntN(100)) * time.Microsecond,
					})
				}
				ctx, cancel := context.WithCancel(bg)
				if rng.IntN(5) == 0 {
					go cancel()
				}
				item := g*1_000_000 + i
				resp, err := b.Do(ctx, item)
				_, did := ran.Load(item)
				switch {
				case err == nil && (resp != 10*item || !did):
					t.Errorf("item %d: %d, ran %v", item, resp, did)
				case errors.Is(err, core.ErrRejected) && did:
					t.Errorf("item %d was rejected and ran", item)
				case err != nil:
					failed.Add(1)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if err := b.Close(bg); err != nil {
		t.Error(err)
	}
	check(t, b)
	s := b.Snapshot()
	if s.Held+s.Running+s.Waiting != 0 || peak.Load() > 4 || failed.Load() == 0 {
		t.Errorf("%+v, %d at once, %d failed", s, peak.Load(), failed.Load())
	}
	runs := 0
	ran.Range(func(any, any) bool { runs++; return true })
	if s.Items != uint64(runs) || s.Batches < s.Items/8 || s.Admitted < s.Items {
		t.Errorf("%d items ran, counted %+v", runs, s)
	}
}

// TestAllocs: a batch allocates, an item hardly does.
func TestAllocs(t *testing.T) {
	b := newBatcher(t, Config{MaxItems: 100, Concurrency: 1000}, &server{})
	atOnce := func(f func()) func() {
		return func() {
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(f)
			}
			wg.Wait()
		}
	}
	run := atOnce(func() { _, _ = b.Do(bg, 1) })
	base := testing.AllocsPerRun(20, atOnce(func() {}))
	if n := testing.AllocsPerRun(20, run) - base; n > 60 && !raceEnabled {
		t.Errorf("%v allocations for a hundred items", n)
	} else {
		t.Logf("%v allocations for a hundred items", n)
	}
	_ = b.Close(bg)
}

package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/graph-gophers/dataloader/v7"
	"github.com/vikstrous/dataloadgen"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core/batch"
)

// callers is how many call at once, and how many items a batch has: it is full as soon as each has put one in.
const callers = 64

// linger is what an item waits for others at the end of a loop, when there are not enough any more.
const linger = time.Millisecond

func batchRows() []Row {
	return []Row{{
		Name: "Batch", About: "64 callers, batches of 64, a call that does nothing",
		Contestants: []Contestant{{Ours, oursBatch}, {"dataloader", dataLoader}, {"dataloadgen", dataLoadGen}},
	}}
}

// crowd makes a Loop of one call: n of them by 64 goroutines.
func crowd(do func(item int) (ok bool)) func(from, n int) (admitted int) {
	return func(from, n int) int {
		var all sync.WaitGroup
		var admitted atomic.Int64
		for g := range callers {
			all.Go(func() {
				mine := 0
				for i := g; i < n; i += callers {
					if do(from + i) {
						mine++
					}
				}
				admitted.Add(int64(mine))
			})
		}
		all.Wait()
		return int(admitted.Load())
	}
}

func oursBatch() Subject {
	ctx := context.Background()
	b := mw.Must(batch.New("bench", batch.Config{MaxItems: callers, Delay: linger, Concurrency: 1000}, batch.Hooks[int, int]{
		Run: func(_ context.Context, items []int) ([]int, error) { return items, nil },
	}))
	return Subject{
		Loop: crowd(func(item int) bool {
			got, err := b.Do(ctx, item)
			return err == nil && got == item
		}),
		Check: func(calls int) error {
			if s := b.Snapshot(); s.Held != 0 || s.Admitted != uint64(calls) {
				return errHeld
			}
			return nil
		},
		Close: func() { _ = b.Close(ctx) },
	}
}

func dataLoader() Subject {
	ctx := context.Background()
	l := dataloader.NewBatchedLoader(func(_ context.Context, items []int) []*dataloader.Result[int] {
		results := make([]*dataloader.Result[int], len(items))
		for i, item := range items {
			results[i] = &dataloader.Result[int]{Data: item}
		}
		return results
	}, dataloader.WithCache(&dataloader.NoCache[int, int]{}), dataloader.WithBatchCapacity[int, int](callers),
		dataloader.WithWait[int, int](linger))
	return Subject{Loop: crowd(func(item int) bool {
		got, err := l.Load(ctx, item)()
		return err == nil && got == item
	})}
}

func dataLoadGen() Subject {
	ctx := context.Background()
	l := dataloadgen.NewLoader(func(_ context.Context, items []int) ([]int, []error) { return items, nil },
		dataloadgen.WithoutCache(), dataloadgen.WithBatchCapacity(callers), dataloadgen.WithWait(linger))
	return Subject{Loop: crowd(func(item int) bool {
		got, err := l.Load(ctx, item)
		return err == nil && got == item
	})}
}

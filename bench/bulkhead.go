package main

import (
	"context"
	"errors"

	fsbulkhead "github.com/failsafe-go/failsafe-go/bulkhead"
	"golang.org/x/sync/semaphore"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/bulkhead"
)

// slots is the size of every bulkhead: more than the processors of the benchmark, so that none is ever full.
const slots = 64

func bulkheadRows() []Row {
	return []Row{{
		Name: "Bulkhead", About: "take a slot and give it back, never full",
		Contestants: []Contestant{
			{Ours, oursBulkhead}, {"semaphore", semaphoreTry}, {"semaphore-ctx", semaphoreAcquire},
			{"failsafe", failsafeBulkhead},
		},
	}}
}

// errHeld tells that slots have not come back.
var errHeld = errors.New("slots are still taken")

func newBulkhead() *bulkhead.Bulkhead {
	return mw.Must(bulkhead.New("bench", bulkhead.Config{Limit: slots}, bulkhead.Hooks{}))
}

func oursBulkhead() Subject {
	b, ctx := newBulkhead(), context.Background()
	return Subject{
		Loop: func(_, n int) (admitted int) {
			for range n {
				p, d := b.Acquire(ctx, core.Call{})
				if d.Admitted() {
					admitted++
				}
				p.Done(0, core.Success)
			}
			return admitted
		},
		Check: func(calls int) error {
			if s := b.Snapshot(); s.Running != 0 || s.Admitted != uint64(calls) {
				return errHeld
			}
			return nil
		},
	}
}

func semaphoreTry() Subject {
	s := semaphore.NewWeighted(slots)
	return Subject{
		Loop: func(_, n int) (admitted int) {
			for range n {
				if s.TryAcquire(1) {
					admitted++
					s.Release(1)
				}
			}
			return admitted
		},
		Check: func(int) error { return allFree(s) },
	}
}

func semaphoreAcquire() Subject {
	s, ctx := semaphore.NewWeighted(slots), context.Background()
	return Subject{
		Loop: func(_, n int) (admitted int) {
			for range n {
				if s.Acquire(ctx, 1) == nil {
					admitted++
					s.Release(1)
				}
			}
			return admitted
		},
		Check: func(int) error { return allFree(s) },
	}
}

func allFree(s *semaphore.Weighted) error {
	if !s.TryAcquire(slots) {
		return errHeld
	}
	s.Release(slots)
	return nil
}

func failsafeBulkhead() Subject {
	b := fsbulkhead.New[int](slots)
	return Subject{
		Loop: func(_, n int) (admitted int) {
			for range n {
				if b.TryAcquirePermit() {
					admitted++
					b.ReleasePermit()
				}
			}
			return admitted
		},
		Check: func(int) error {
			for range slots {
				if !b.TryAcquirePermit() {
					return errHeld
				}
			}
			for range slots {
				b.ReleasePermit()
			}
			return nil
		},
	}
}

package keyed

import (
	"sync/atomic"

	"github.com/mw-go/mw/core"
)

// Ref is the cell of a guard that keeps its state behind a pointer, because it is large or because permits hold on to
// it: nil once it has been retired. A state is never used for two keys, so whoever still holds an old one finds
// it marked.
type Ref[C any] struct {
	atomic.Pointer[C]

	Past uint64 // for the guard: what states retired here leave behind; guarded by the shard's lock
}

// Look returns the state of k, nil if it has none. Lock-free. The state may be retired by the time it is used.
func Look[C any](m *Map[Ref[C]], k core.Key) *C {
	if e := m.Find(k); e != nil {
		if c := e.Cell.Load(); c != nil && m.Owns(e, k) {
			return c
		}
	}
	return nil
}

// Need returns the state of k that alive accepts, after giving k one if it has none. Lock-free if k has one.
func Need[C any](m *Map[Ref[C]], k core.Key, now core.Time, alive func(*C) bool) *C {
	c := Look(m, k)
	for c == nil || !alive(c) {
		e := m.Get(k, now.Or())
		if c = e.Cell.Load(); !m.Owns(e, k) { // asked after the state was read: see the package's contract
			c = nil
		}
	}
	return c
}

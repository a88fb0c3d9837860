// Package series keeps what metrics need for each combination of labels: found without a lock or an allocation, and never
// more of them than a bound.
package series

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Table finds the cell of a key and makes it when the key first comes. When the table is full, new keys share one more
// cell. The map is copied for each new key and never changed, so looking up takes no lock; there are at most Max copies
// in the life of a table. Make one with New. Safe for concurrent use.
type Table[K comparable, V any] struct {
	max      int
	make     func(K) V
	overflow func() V

	cells atomic.Pointer[map[K]V]
	rest  atomic.Pointer[V] // the overflow cell, once it is needed

	mu sync.Mutex // held to make a cell
}

// New returns an empty table for at most most keys. make makes the cell of a key, overflow that of all keys beyond; each is
// called once a cell, under a lock, and must not call the table.
func New[K comparable, V any](most int, make func(K) V, overflow func() V) *Table[K, V] {
	t := &Table[K, V]{max: most, make: make, overflow: overflow}
	t.cells.Store(&map[K]V{})
	return t
}

// Get returns the cell of k. own, if not nil, is asked for the form of k to keep when k is new: a key made of strings that
// belong to a request would keep the request's buffers.
func (t *Table[K, V]) Get(k K, own func(K) K) V {
	cells := *t.cells.Load()
	if v, ok := cells[k]; ok {
		return v
	}
	if len(cells) >= t.max {
		if v := t.rest.Load(); v != nil {
			return *v
		}
	}
	return t.add(k, own)
}

func (t *Table[K, V]) add(k K, own func(K) K) V {
	t.mu.Lock()
	defer t.mu.Unlock()
	cells := *t.cells.Load()
	if v, ok := cells[k]; ok {
		return v
	}
	if len(cells) >= t.max {
		if t.rest.Load() == nil {
			v := t.overflow()
			t.rest.Store(&v)
		}
		return *t.rest.Load()
	}
	if own != nil {
		k = own(k)
	}
	v := t.make(k)
	grown := maps.Clone(cells)
	grown[k] = v
	t.cells.Store(&grown)
	return v
}

// Each calls f with every cell: those of keys, in no order, and the one that further keys share, if there is one.
func (t *Table[K, V]) Each(f func(V)) {
	for _, v := range *t.cells.Load() {
		f(v)
	}
	if v := t.rest.Load(); v != nil {
		f(*v)
	}
}

// Len returns how many keys have a cell of their own.
func (t *Table[K, V]) Len() int { return len(*t.cells.Load()) }

package keyed

import (
	"sync/atomic"

	"github.com/mw-go/mw/core"
)

// table is what readers see. Slots change in place, the headers only by a new table.
type table[V any] struct {
	slots  []atomic.Uint64 // 0 empty, 1 deleted, else tag<<32 | entry+2
	chunks []*[chunkLen]Entry[V]
}

const (
	empty   = 0
	deleted = 1
)

func (t *table[V]) find(k core.Key, h uint64) *Entry[V] {
	if t == nil {
		return nil
	}
	mask := uint64(len(t.slots) - 1)
	tag := h >> 32
	for i, n := h>>4, uint64(0); n <= mask; i, n = i+1, n+1 {
		s := t.slots[i&mask].Load()
		if s>>32 == tag { // no entry has the number that empty and deleted would stand for
			if e := t.entry(int(uint32(s)) - 2); e != nil && e.Is(k) {
				return e
			}
		}
		if s == empty {
			return nil
		}
	}
	return nil
}

// entry returns entry i, or nil if it is newer than this table: a slot may be read before the table that holds its
// chunk.
func (t *table[V]) entry(i int) *Entry[V] {
	at := uint(i) // below zero is beyond the end
	if at/chunkLen >= uint(len(t.chunks)) {
		return nil
	}
	return &t.chunks[at/chunkLen][at%chunkLen]
}

// publish makes entry i findable under h, in a larger index if less than a quarter of this one is empty.
func (m *Map[V]) publish(s *shard[V], h uint64, i int) {
	t := s.table.Load()
	if 4*(s.used+s.gone) > 3*len(t.slots) {
		t = m.rebuild(s, t, i)
	}
	t.insert(h, i)
}

// unpublish removes entry i from the index. Its slot stays marked, because later slots of the same probe sequence would
// be lost otherwise.
func (m *Map[V]) unpublish(s *shard[V], e *Entry[V], i int) {
	t := s.table.Load()
	mask := uint64(len(t.slots) - 1)
	for at := m.hash(e.key()) >> 4; ; at++ {
		if slot := &t.slots[at&mask]; slot.Load() != deleted && int(uint32(slot.Load()))-2 == i {
			slot.Store(deleted)
			s.gone++
			return
		}
	}
}

// rebuild makes a new index of every entry but the one about to be published. Readers go on in the old one: what they
// miss there they look up again under the lock.
func (m *Map[V]) rebuild(s *shard[V], old *table[V], except int) *table[V] {
	size := 8
	for size < 2*s.used {
		size *= 2
	}
	t := &table[V]{slots: make([]atomic.Uint64, size), chunks: old.chunks}
	for i := range s.used {
		if i != except {
			t.insert(m.hash(t.entry(i).key()), i)
		}
	}
	s.gone = 0
	s.table.Store(t)
	return t
}

func (t *table[V]) insert(h uint64, i int) {
	mask := uint64(len(t.slots) - 1)
	for at := h >> 4; ; at++ {
		if s := &t.slots[at&mask]; s.Load() == empty {
			s.Store(h>>32<<32 | uint64(i+2))
			return
		}
	}
}

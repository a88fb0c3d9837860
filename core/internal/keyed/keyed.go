// Package keyed is the bounded map from keys to cells that every keyed guard stands on. Finding a cell takes no lock
// and allocates nothing; only the first call of a key locks, and then one shard of sixteen.
//
// Cells that are idle carry no information and give way to new keys. Cells that are not are never pushed out, however
// many new keys arrive: when a shard is full of them, further new keys share the one overflow cell, and that is counted.
// (A new key does not look at every cell for an idle one, so it may overflow once although a rare idle cell is left.)
//
//	shard ── table ── slots: hash tag + number of the entry, open addressing
//	             └─── chunks of 64 entries: key (16 bytes) and cell, never moved
//
// # How a cell is taken out of service
//
// The map hands out entries without a lock, so a caller may hold one whose key is being replaced. The contract that
// makes this safe: retire (given to New) marks the cell by a compare-and-swap that makes every later use of the cell
// fail, and a user of the cell first reads it, then asks Entry.Is, then acts by a compare-and-swap on what it read. If
// either fails it starts over with Map.Get.
package keyed

import (
	"math"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mw-go/mw/core"
)

const (
	shards   = 16
	chunkLen = 64
	sweep    = 32   // entries looked at for an idle cell by one insertion
	hunt     = 1024 // by one that would overflow otherwise, unless the last whole round found none
)

// Entry is a cell with its key.
type Entry[V any] struct {
	hi, lo atomic.Uint64
	Cell   V
}

// Is reports whether the entry holds k. For the shared entries of a Map (the zero key's and the overflow entry) ask the
// Map.
func (e *Entry[V]) Is(k core.Key) bool {
	hi, lo := k.Words()
	return e.hi.Load() == hi && e.lo.Load() == lo
}

// Rules are the guard's side of a Map; both run under a shard's lock.
type Rules[V any] struct {
	// Start puts a cell into service for a new key: one never used, or one that Retire has taken out. It is the last
	// step before the key can be found, and may make the cell visible to callers who held it for an earlier key.
	Start func(cell *V, k core.Key, now core.Time)
	// Retire takes an idle cell out of service for good and reports true, or reports false and leaves it in service.
	Retire func(cell *V, now core.Time) bool
}

// Map is the map. Make one with New. Safe for concurrent use.
type Map[V any] struct {
	rules    Rules[V]
	bound    atomic.Int64 // entries a shard
	zero     Entry[V]
	overflow Entry[V]
	spilled  atomic.Uint64
	mix      core.Key
	shards   [shards]shard[V]
}

type shard[V any] struct {
	table atomic.Pointer[table[V]]
	mu    sync.Mutex // guards what follows, and every change of table and of the slots in it
	used  int        // entries ever handed out, all in the index but for the one being replaced
	gone  int        // slots that held a key since the table was made and are marked deleted
	hand  int        // where the sweep goes on
	vain  int        // entries looked at since the sweep found an idle cell
	_     [56]byte
}

// New returns an empty map for about bound keys: bound is split over the shards, with room for their unevenness, so that
// no key overflows before bound keys are active, save with a probability of less than one in ten thousand. bound is at least 1.
func New[V any](bound int, rules Rules[V]) *Map[V] {
	m := &Map[V]{rules: rules, mix: core.KeyOf("keyed")}
	m.SetBound(bound)
	rules.Start(&m.zero.Cell, core.Key{}, core.Now())
	rules.Start(&m.overflow.Cell, core.Key{}, core.Now())
	return m
}

// SetBound changes the bound. Keys that have a cell keep it; below what is in use, idle cells still change hands.
func (m *Map[V]) SetBound(bound int) {
	each := (bound + shards - 1) / shards
	m.bound.Store(int64(each) + int64(math.Ceil(5*math.Sqrt(float64(each)))) + 1)
}

// hash spreads a key over 64 bits under a seed, so that nobody outside can choose keys that collide.
func (m *Map[V]) hash(k core.Key) uint64 {
	hi, lo := k.Words()
	s1, s2 := m.mix.Words()
	h, l := bits.Mul64(hi^s1, lo^s2)
	h2, l2 := bits.Mul64(h^l^s2, 0x9e3779b97f4a7c15^lo)
	return h2 ^ l2
}

// Find returns the entry of k, or nil if it has none. Lock-free. The caller must check Owns after reading the cell.
func (m *Map[V]) Find(k core.Key) *Entry[V] {
	if k.IsZero() {
		return &m.zero
	}
	h := m.hash(k)
	return m.shards[h%shards].table.Load().find(k, h)
}

// Owns reports whether e serves k: it is k's entry, or one of the shared ones.
func (m *Map[V]) Owns(e *Entry[V], k core.Key) bool {
	return e.Is(k) || e == &m.overflow || e == &m.zero
}

// Overflow returns the entry that new keys share when their shard is full of active ones.
func (m *Map[V]) Overflow() *Entry[V] { return &m.overflow }

// Spilled returns how many times Get answered with the overflow entry.
func (m *Map[V]) Spilled() uint64 { return m.spilled.Load() }

// Get returns the entry of k: the one it has, a new one, an idle one that changes hands, or the overflow entry.
func (m *Map[V]) Get(k core.Key, now core.Time) *Entry[V] {
	if e := m.GetOr(k, now, nil); e != nil {
		return e
	}
	return &m.overflow
}

// GetOr is Get for a guard that must not miss what a key did in the overflow cell before it got one of its own: instead
// of returning that entry it calls spill with the cell, under the lock under which Start would run for k, and returns nil.
func (m *Map[V]) GetOr(k core.Key, now core.Time, spill func(overflow *V)) *Entry[V] {
	if k.IsZero() {
		return &m.zero
	}
	h := m.hash(k)
	s := &m.shards[h%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.table.Load().find(k, h); e != nil {
		return e
	}
	i, ok := m.place(s, now)
	if !ok {
		m.spilled.Add(1)
		if spill != nil {
			spill(&m.overflow.Cell)
		}
		return nil
	}
	e := s.table.Load().entry(i)
	hi, lo := k.Words()
	e.hi.Store(hi)
	e.lo.Store(lo)
	m.rules.Start(&e.Cell, k, now)
	m.publish(s, h, i)
	return e
}

// place finds an entry for a new key: an idle one, else a fresh one.
func (m *Map[V]) place(s *shard[V], now core.Time) (i int, ok bool) {
	t := s.table.Load()
	full, looks := int64(s.used) >= m.bound.Load(), sweep
	if full && s.vain < s.used {
		looks = hunt
	}
	for range min(looks, s.used) {
		s.hand++
		if s.hand >= s.used {
			s.hand = 0
		}
		if e := t.entry(s.hand); m.rules.Retire(&e.Cell, now) {
			m.unpublish(s, e, s.hand)
			s.vain = 0
			return s.hand, true
		}
		s.vain++
	}
	if full {
		return 0, false
	}
	if t == nil {
		t = &table[V]{slots: make([]atomic.Uint64, 8)}
	}
	if s.used%chunkLen == 0 {
		chunks := append(slices.Clip(t.chunks), new([chunkLen]Entry[V]))
		s.table.Store(&table[V]{slots: t.slots, chunks: chunks})
	}
	s.used++
	return s.used - 1, true
}

// key returns the entry's key; for the holder of the shard's lock.
func (e *Entry[V]) key() core.Key { return core.KeyOfWords(e.hi.Load(), e.lo.Load()) }

// Len returns how many entries are in use, idle ones included.
func (m *Map[V]) Len() (n int) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += s.used
		s.mu.Unlock()
	}
	return n
}

// Range calls f for every cell, the shared ones first (with zero keys), each shard under its lock: f must be short and
// must not call the Map.
func (m *Map[V]) Range(f func(k core.Key, cell *V)) {
	f(core.Key{}, &m.zero.Cell)
	f(core.Key{}, &m.overflow.Cell)
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		t := s.table.Load()
		for j := range s.used {
			e := t.entry(j)
			f(e.key(), &e.Cell)
		}
		s.mu.Unlock()
	}
}

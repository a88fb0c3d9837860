package httpcache

import (
	"sync"
	"sync/atomic"
)

// Shelf is a map that is bounded by the bytes of what it holds. What gives way is chosen by SIEVE (Zhang and others,
// NSDI 2024): items stand in order of arrival, a hit only marks its item, and a hand that moves from old to new takes
// the first that is unmarked. Safe for concurrent use; a Get takes a read lock.
type Shelf[V any] struct {
	mu      sync.RWMutex
	items   map[string]*item[V]
	root    item[V] // of the ring: root.newer is the oldest, root.older the newest
	hand    *item[V]
	bytes   int64
	max     int64
	evicted uint64
}

type item[V any] struct {
	key          string
	value        V
	bytes        int64
	marked       atomic.Bool
	older, newer *item[V]
}

// NewShelf returns an empty shelf for max bytes.
func NewShelf[V any](max int64) *Shelf[V] {
	s := &Shelf[V]{items: map[string]*item[V]{}, max: max}
	s.root.older, s.root.newer = &s.root, &s.root
	s.hand = &s.root
	return s
}

// Get returns the value of a key.
func (s *Shelf[V]) Get(key string) (v V, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	it := s.items[key]
	if it == nil {
		return v, false
	}
	if !it.marked.Load() { // else it is a write for nothing
		it.marked.Store(true)
	}
	return it.value, true
}

// Update replaces the value of a key by what f makes of it; bytes are those of the new value, and keep false removes
// it. A value that is larger than the shelf is not kept. f runs under the lock and must not use the shelf.
func (s *Shelf[V]) Update(key string, f func(old V, ok bool) (v V, bytes int64, keep bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.items[key]
	var old V
	if it != nil {
		old = it.value
	}
	v, bytes, keep := f(old, it != nil)
	if !keep || bytes > s.max {
		s.remove(it)
		return
	}
	if it == nil {
		it = &item[V]{key: key}
		s.items[key] = it
		it.older, it.newer = s.root.older, &s.root
		it.older.newer, s.root.older = it, it
	}
	s.bytes += bytes - it.bytes
	it.value, it.bytes = v, bytes
	s.shrink(it)
}

// Delete removes a key and reports whether it was there.
func (s *Shelf[V]) Delete(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.items[key]
	s.remove(it)
	return it != nil
}

// Clear removes everything.
func (s *Shelf[V]) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.items)
	s.root.older, s.root.newer, s.hand, s.bytes = &s.root, &s.root, &s.root, 0
}

// SetMax changes the bound, and evicts what is above it.
func (s *Shelf[V]) SetMax(max int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.max = max
	s.shrink(nil)
}

// Size returns what is on the shelf, and how many items have given way so far.
func (s *Shelf[V]) Size() (items int, bytes int64, evicted uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.items), s.bytes, s.evicted
}

// shrink evicts until the bound holds; spared stays.
func (s *Shelf[V]) shrink(spared *item[V]) {
	for s.bytes > s.max {
		it := s.hand
		switch {
		case it == &s.root || it == spared:
			s.hand = it.newer
		case it.marked.Load():
			it.marked.Store(false)
			s.hand = it.newer
		default:
			s.remove(it)
			s.evicted++
		}
	}
}

func (s *Shelf[V]) remove(it *item[V]) {
	if it == nil {
		return
	}
	if s.hand == it {
		s.hand = it.newer
	}
	it.older.newer, it.newer.older = it.newer, it.older
	delete(s.items, it.key)
	s.bytes -= it.bytes
}

package cache

import (
	"sync/atomic"

	"github.com/mw-go/mw/core"
)

// shelf holds the entries of a shard, at most limit of them, in the order of their arrival, and chooses by SIEVE which
// one has to go (Zhang and others, NSDI 2024): a hand moves from the oldest entry to the newest and takes the first that
// nobody has asked for since it last passed; those that were asked for stay where they are. Hits move nothing, so they
// need no lock, and an entry asked for once does not push out one in demand.
//
// It knows no clock. Changes are serialised by the shard's lock.
type shelf[K comparable, V any] struct {
	index          atomic.Pointer[table[K, V]]
	newest, oldest *entry[K, V]
	hand           *entry[K, V] // the next to be judged; nil: the oldest
	length, limit  int
}

// maxWalk is how many entries in demand one eviction passes over before it takes the next whatever it is: the lock is held
// meanwhile. By then a thousand hits have been spent on it, so that it hardly ever happens.
const maxWalk = 1024

func (s *shelf[K, V]) clear() {
	s.index.Store(newTable[K, V](minSlots))
	s.newest, s.oldest, s.hand, s.length = nil, nil, nil, 0
}

// put adds e or puts it in the place of the entry of its key, and returns how many had to give way.
func (s *shelf[K, V]) put(e *entry[K, V], r *rules, now core.Time) (evicted int) {
	if old := s.index.Load().find(e.hash, e.key); old != nil {
		s.replace(old, e)
		return 0
	}
	for s.length >= s.limit {
		s.remove(s.victim(r, now))
		evicted++
	}
	s.length++
	t := s.index.Load()
	if 2*s.length > len(t.slots) {
		t = s.grow(t)
	}
	e.older, s.newest = s.newest, e
	if e.older != nil {
		e.older.newer = e
	} else {
		s.oldest = e
	}
	t.insert(e)
	return evicted
}

// grow makes a larger index. Readers go on in the old one: what they miss there they look up again under the lock.
func (s *shelf[K, V]) grow(old *table[K, V]) *table[K, V] {
	t := newTable[K, V](2 * len(old.slots))
	for e := s.newest; e != nil; e = e.older {
		t.insert(e)
	}
	s.index.Store(t)
	return t
}

// replace puts fresh in the place of old, with the demand there was for old.
func (s *shelf[K, V]) replace(old, fresh *entry[K, V]) {
	if old.seen.Load() {
		fresh.seen.Store(true)
	}
	fresh.newer, fresh.older = old.newer, old.older
	s.link(old, fresh, fresh)
	if s.hand == old {
		s.hand = fresh
	}
	s.index.Load().replace(old, fresh)
}

// remove takes e off the shelf.
func (s *shelf[K, V]) remove(e *entry[K, V]) {
	if s.hand == e {
		s.hand = e.newer
	}
	s.link(e, e.older, e.newer)
	s.length--
	s.index.Load().remove(e)
}

// link makes e's newer neighbour point to older and its older neighbour to newer, and cuts e's own links.
func (s *shelf[K, V]) link(e, older, newer *entry[K, V]) {
	if e.newer != nil {
		e.newer.older = older
	} else {
		s.newest = older
	}
	if e.older != nil {
		e.older.newer = newer
	} else {
		s.oldest = newer
	}
	e.newer, e.older = nil, nil
}

// victim moves the hand to the entry that has to go. One that is of no use any more goes however many have asked for it.
func (s *shelf[K, V]) victim(r *rules, now core.Time) *entry[K, V] {
	e := s.hand
	for range maxWalk {
		if e == nil {
			e = s.oldest
		}
		if !e.seen.Load() || e.at(r, now, 0) == dead {
			break
		}
		e.seen.Store(false)
		e = e.newer
	}
	if e == nil {
		e = s.oldest
	}
	s.hand = e
	return e
}

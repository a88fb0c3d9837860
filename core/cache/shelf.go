package cache

import (
	"sync/atomic"

	"github.com/mw-go/mw/core"
)

// shelf holds the entries of a shard, at most limit of them, in the order of their arrival, and chooses by SIEVE which
// one has to go (Zhang and others, NSDI 2024): a hand moves from the oldest entry to the newest and takes the first
// that nobody has asked for since it last passed; those that were asked for stay where they are. Hits move nothing, so
// they need no lock, and an entry asked for once does not push out one in demand.
//
// It knows no clock. Changes are serialised by the shard's lock.
type shelf[K comparable, V any] struct {
	index         atomic.Pointer[table[K, V]]
	places        []place[K, V] // a ring; place 0 holds nothing and stands between the newest and the oldest
	free          uint32        // the first of the places that are free, linked by newer; 0: there is none
	hand          uint32        // the next to be judged; 0: the oldest
	length, limit int
}

// place is where an entry stands. The order is kept outside the entries, which are then small, and need not be written
// to.
type place[K comparable, V any] struct {
	entry        *entry[K, V]
	newer, older uint32
}

// maxWalk is how many entries in demand one eviction passes over before it takes the next whatever it is: the lock is
// held meanwhile. By then a thousand hits have been spent on it, so that it hardly ever happens.
const maxWalk = 1024

func (s *shelf[K, V]) clear() {
	s.index.Store(newTable[K, V](minSlots))
	s.places = make([]place[K, V], 1, minSlots/2+1)
	s.free, s.hand, s.length = 0, 0, 0
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
	e.place = s.vacant()
	s.places[e.place].entry = e
	s.link(s.places[0].older, e.place)
	s.link(e.place, 0)
	t.insert(e)
	return evicted
}

// vacant returns a free place.
func (s *shelf[K, V]) vacant() (at uint32) {
	if at = s.free; at != 0 {
		s.free = s.places[at].newer
		return at
	}
	s.places = append(s.places, place[K, V]{})
	return uint32(len(s.places) - 1)
}

// link makes two places neighbours.
func (s *shelf[K, V]) link(older, newer uint32) {
	s.places[older].newer, s.places[newer].older = newer, older
}

// grow makes a larger index. Readers go on in the old one: what they miss there they look up again under the lock.
func (s *shelf[K, V]) grow(old *table[K, V]) *table[K, V] {
	t := newTable[K, V](2 * len(old.slots))
	for i := range old.slots {
		if e := old.slots[i].Load(); e != nil {
			t.insert(e)
		}
	}
	s.index.Store(t)
	return t
}

// replace puts fresh in the place of old, with the demand there was for old.
func (s *shelf[K, V]) replace(old, fresh *entry[K, V]) {
	if old.seen.Load() {
		fresh.seen.Store(true)
	}
	fresh.place = old.place
	s.places[fresh.place].entry = fresh
	s.index.Load().replace(old, fresh)
}

// remove takes e off the shelf.
func (s *shelf[K, V]) remove(e *entry[K, V]) {
	p := &s.places[e.place]
	if s.hand == e.place {
		s.hand = p.newer
	}
	s.link(p.older, p.newer)
	*p = place[K, V]{newer: s.free}
	s.free = e.place
	s.length--
	s.index.Load().remove(e)
}

// victim moves the hand to the entry that has to go, and returns it. One that is of no use any more goes however many
// have asked for it.
func (s *shelf[K, V]) victim(r *rules, now core.Time) *entry[K, V] {
	for n := 0; ; n++ {
		if s.hand == 0 {
			s.hand = s.places[0].newer
		}
		p := &s.places[s.hand]
		if n >= maxWalk || !p.entry.seen.Load() || p.entry.life().fate(r, now, 0) == dead {
			return p.entry
		}
		p.entry.seen.Store(false)
		s.hand = p.newer
	}
}

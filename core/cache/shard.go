package cache

import (
	"sync"

	"github.com/mw-go/mw/core"
)

// shard is a part of the cache with a lock of its own. Hits do not take it.
type shard[K comparable, V any] struct {
	shelf[K, V] // read through its index without the lock

	mu      sync.Mutex                 // guards what follows, and every change of the shelf
	flights map[K]*flight[K, V]        // those that may still fill the cache
	adrift  map[*flight[K, V]]struct{} // those that run on and may not
	tickets map[K]*ticket              // loads in shadow mode that may still fill the cache
	turns   map[K]*turn                // who changes a key in the second level
	closed  bool
	count   counts
	_       [64]byte
}

// ticket is what a load in shadow mode has in place of a flight. Only its identity counts.
type ticket struct{ _ byte }

// counts are lifetime counts of what happens under the lock.
type counts struct {
	misses, joined, stales, refreshes uint64
	loads, failures, panics, rescued  uint64
	abandoned, superseded, evicted    uint64
}

func (n *counts) add(m *counts) {
	n.misses += m.misses
	n.joined += m.joined
	n.stales += m.stales
	n.refreshes += m.refreshes
	n.loads += m.loads
	n.failures += m.failures
	n.panics += m.panics
	n.rescued += m.rescued
	n.abandoned += m.abandoned
	n.superseded += m.superseded
	n.evicted += m.evicted
}

// land counts the end of a load.
func (n *counts) land(end ending) {
	if end != fetched {
		n.loads++
	}
	switch end {
	case exited, panicked:
		n.panics++
		n.failures++
	case failed:
		n.failures++
	}
}

func (sh *shard[K, V]) start(limit int) {
	sh.limit = limit
	sh.flights, sh.adrift = map[K]*flight[K, V]{}, map[*flight[K, V]]struct{}{}
	sh.tickets, sh.turns = map[K]*ticket{}, map[K]*turn{}
	sh.clear()
}

// find returns the entry of key, or nil. It takes no lock, and may miss an entry that is being moved.
func (sh *shard[K, V]) find(hash uint32, key K) *entry[K, V] { return sh.index.Load().find(hash, key) }

// unlist takes a flight that has landed off every list, and reports whether it was still listed under its key. mu is
// held.
func (sh *shard[K, V]) unlist(f *flight[K, V]) (listed bool) {
	if listed = sh.flights[f.key] == f; listed {
		delete(sh.flights, f.key)
	} else {
		delete(sh.adrift, f)
	}
	return listed
}

// abandon takes a flight that runs on off the list of its key. mu is held.
func (sh *shard[K, V]) abandon(f *flight[K, V]) {
	sh.count.abandoned++
	sh.setAdrift(f)
}

func (sh *shard[K, V]) setAdrift(f *flight[K, V]) {
	if sh.flights[f.key] == f {
		delete(sh.flights, f.key)
		sh.adrift[f] = struct{}{}
	}
}

// supersede makes sure that no load of key that has begun will be stored. mu is held.
func (sh *shard[K, V]) supersede(key K) {
	delete(sh.tickets, key)
	if f := sh.flights[key]; f != nil {
		sh.count.superseded++
		sh.setAdrift(f)
	}
}

// drop takes the entry of key off the shelf. mu is held.
func (sh *shard[K, V]) drop(hash uint32, key K) {
	sh.supersede(key)
	if e := sh.find(hash, key); e != nil {
		sh.remove(e)
	}
}

// store puts e on the shelf. mu is held.
func (sh *shard[K, V]) store(e *entry[K, V], r *rules, now core.Time) {
	sh.count.evicted += uint64(sh.put(e, r, now))
}

// purge empties the shelf. mu is held.
func (sh *shard[K, V]) purge() {
	for key := range sh.flights {
		sh.supersede(key)
	}
	clear(sh.tickets)
	sh.clear()
}

package cache

import (
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
)

// entry is a value or a remembered error under its key. All but seen is immutable: a new value is a new entry, so that
// readers need no lock. With a string for a key and a word for a value it fills one line of the processor's cache.
type entry[K comparable, V any] struct {
	hash  uint32
	place uint32      // on the shelf
	took  uint32      // of its life
	seen  atomic.Bool // asked for since the hand of the sieve last passed
	key   K
	born  core.Time     // of its life
	own   time.Duration // of its life
	value V
	fault *fault // nil for a value
}

// fault holds a remembered error, which few entries have.
type fault struct{ err error }

func newEntry[K comparable, V any](hash uint32, key K, l life, v V, err error) *entry[K, V] {
	e := &entry[K, V]{hash: hash, key: key, born: l.born, own: l.own, took: l.took, value: v}
	if err != nil {
		e.fault = &fault{err}
	}
	return e
}

func (e *entry[K, V]) life() life { return life{born: e.born, own: e.own, took: e.took} }

// surely reports what its life does.
func (e *entry[K, V]) surely(r *rules, now core.Time) bool {
	return e.own <= 0 && e.took != isError && now-e.born < r.sure-core.Time(e.took)*r.ahead
}

// err is what an entry answers beside its value.
func (e *entry[K, V]) err() error {
	if e.fault != nil {
		return e.fault.err
	}
	return nil
}

// fateAt is the fate of an entry that may be missing.
func (e *entry[K, V]) fateAt(r *rules, now core.Time, draw float64) fate {
	if e == nil {
		return dead
	}
	return e.life().fate(r, now, draw)
}

// touch marks e as asked for. It writes once, so that cores that read the same entry do not take its line from each
// other.
func (e *entry[K, V]) touch() {
	if !e.seen.Load() {
		e.seen.Store(true)
	}
}

// table is the index of a shard: open addressing with linear probing. One at a time may change it, under the shard's
// lock, while any number read it without. A reader may then miss an entry that is being moved, and looks again under
// the lock; it never gets the entry of another key, nor one that was gone when it began.
type table[K comparable, V any] struct {
	slots []atomic.Pointer[entry[K, V]] // a power of two, at least half of them empty
}

const minSlots = 8

func newTable[K comparable, V any](slots int) *table[K, V] {
	return &table[K, V]{slots: make([]atomic.Pointer[entry[K, V]], slots)}
}

func (t *table[K, V]) mask() uint32 { return uint32(len(t.slots) - 1) }

// find returns the entry of key, or nil. Lock-free.
func (t *table[K, V]) find(hash uint32, key K) *entry[K, V] {
	mask := t.mask()
	for i, n := hash, uint32(0); n <= mask; i, n = i+1, n+1 {
		e := t.slots[i&mask].Load()
		if e == nil {
			return nil
		}
		if e.hash == hash && e.key == key {
			return e
		}
	}
	return nil
}

// slot returns where e is, or the empty slot where it belongs.
func (t *table[K, V]) slot(e *entry[K, V]) uint32 {
	mask := t.mask()
	i := e.hash & mask
	for at := t.slots[i].Load(); at != nil && at != e; at = t.slots[i].Load() {
		i = (i + 1) & mask
	}
	return i
}

// insert puts e into the first empty slot of its probe sequence; its key is not in the table.
func (t *table[K, V]) insert(e *entry[K, V]) { t.slots[t.slot(e)].Store(e) }

// replace puts fresh in the place of old, which has the same key.
func (t *table[K, V]) replace(old, fresh *entry[K, V]) { t.slots[t.slot(old)].Store(fresh) }

// remove takes e out and moves the entries behind it up, so that no probe sequence has a gap and no slot has to be
// marked as deleted.
func (t *table[K, V]) remove(e *entry[K, V]) {
	mask := t.mask()
	gap := t.slot(e)
	for i := (gap + 1) & mask; ; i = (i + 1) & mask {
		next := t.slots[i].Load()
		if next == nil {
			t.slots[gap].Store(nil)
			return
		}
		home := next.hash & mask
		if (i-home)&mask >= (i-gap)&mask { // the gap is on its way from home
			t.slots[gap].Store(next)
			gap = i
		}
	}
}

package httpmw

import (
	"bytes"
	"container/list"
	"context"
	"sync"
	"time"
)

// IdempotencyStore keeps what IdempotencyKey knows of keys. A store that several processes share makes keys hold for all of
// them. Entries are opaque; each operation is atomic for its key. Keys are 64 hexadecimal digits. All methods must be
// safe for concurrent use, and return when ctx is done; they must not keep or change what they are given.
type IdempotencyStore interface {
	// Claim puts entry under key for the time of the lease and returns nil if nothing is there, and otherwise what is
	// there: in Redis 7, SET key entry NX GET PX lease.
	Claim(ctx context.Context, key string, entry []byte, lease time.Duration) (found []byte, err error)
	// Settle replaces what Claim has put there by entry, for the time ttl. It does nothing if something else is there by
	// now; if nothing is, because the lease is over, it may do either.
	Settle(ctx context.Context, key string, claimed, entry []byte, ttl time.Duration) error
	// Release removes what Claim has put there. It does nothing if something else is there by now.
	Release(ctx context.Context, key string, claimed []byte) error
}

// idempotencyMemory is the store of one process. Settled entries stand in the order in which they were settled, which is
// that in which they end, for all have one TTL; they are dropped from the old end, when they are over or the memory is. A
// cache would not do: what is in progress must never be evicted, and it is bytes that are bounded.
type idempotencyMemory struct {
	limit int64

	mu      sync.Mutex // of what is below
	entries map[string]*memoryEntry
	settled list.List // of *memoryEntry
	bytes   int64     // of the settled
}

type memoryEntry struct {
	key   string
	data  []byte
	until time.Time
	place *list.Element // nil while in progress
}

// entryOverhead is what an entry costs beside its data: the key, the map, the list.
const entryOverhead = 320

func (e *memoryEntry) size() int64 { return int64(len(e.data)) + entryOverhead }

func newIdempotencyMemory(limit int64) *idempotencyMemory {
	return &idempotencyMemory{limit: limit, entries: map[string]*memoryEntry{}}
}

func (s *idempotencyMemory) Claim(_ context.Context, key string, entry []byte, lease time.Duration) ([]byte, error) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	if e := s.entries[key]; e != nil {
		if now.Before(e.until) {
			return e.data, nil
		}
		s.drop(e) // its lease is over
	}
	s.entries[key] = &memoryEntry{key: key, data: entry, until: now.Add(lease)}
	return nil, nil
}

func (s *idempotencyMemory) Settle(_ context.Context, key string, claimed, entry []byte, ttl time.Duration) error {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key]
	if e == nil || e.place != nil || !bytes.Equal(e.data, claimed) {
		return nil
	}
	e.data, e.until = entry, now.Add(ttl)
	e.place = s.settled.PushBack(e)
	s.bytes += e.size()
	s.expire(now)
	for s.bytes > s.limit {
		s.drop(s.settled.Front().Value.(*memoryEntry))
	}
	return nil
}

func (s *idempotencyMemory) Release(_ context.Context, key string, claimed []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[key]; e != nil && e.place == nil && bytes.Equal(e.data, claimed) {
		s.drop(e)
	}
	return nil
}

// expire drops what is over: each entry once, so that an operation costs the same on average however many there are.
func (s *idempotencyMemory) expire(now time.Time) {
	for first := s.settled.Front(); first != nil; first = s.settled.Front() {
		e := first.Value.(*memoryEntry)
		if now.Before(e.until) {
			return
		}
		s.drop(e)
	}
}

func (s *idempotencyMemory) drop(e *memoryEntry) {
	delete(s.entries, e.key)
	if e.place != nil {
		s.settled.Remove(e.place)
		s.bytes -= e.size()
	}
}

package keyed

import (
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/mw-go/mw/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cell is a guard's cell as the contract of the package wants it: a word that never has the same value twice, and dead
// while it belongs to no key.
type cell struct {
	word atomic.Uint64 // busy<<63 | count; dead between two keys
	key  core.Key      // whom it was started for; for the holder of the shard's lock
}

const (
	dead = ^uint64(0)
	busy = 1 << 63
)

// rules retire cells that are not busy and go on counting where the cell before stopped.
func rules() Rules[cell] {
	var era atomic.Uint64
	return Rules[cell]{
		Start: func(c *cell, k core.Key, _ core.Time) {
			c.key = k
			c.word.Store(era.Add(1) << 24)
		},
		Retire: func(c *cell, _ core.Time) bool {
			w := c.word.Load()
			return w != dead && w&busy == 0 && c.word.CompareAndSwap(w, dead)
		},
	}
}

func key(i int) core.Key { return core.KeyOfWords(uint64(i)+1, 0) }

func setBusy(c *cell, on bool) {
	for {
		w := c.word.Load()
		next := w &^ busy
		if on {
			next = w | busy
		}
		if w == dead || c.word.CompareAndSwap(w, next) {
			return
		}
	}
}

// check verifies what must hold of a map at rest.
func check[V any](t testing.TB, m *Map[V]) {
	t.Helper()
	for i := range m.shards {
		s := &m.shards[i]
		tab := s.table.Load()
		if tab == nil {
			if s.used != 0 {
				t.Fatalf("shard %d has %d entries and no table", i, s.used)
			}
			continue
		}
		if len(tab.slots)&(len(tab.slots)-1) != 0 {
			t.Fatalf("shard %d: %d slots", i, len(tab.slots))
		}
		if want := (s.used + chunkLen - 1) / chunkLen; len(tab.chunks) != want {
			t.Fatalf("shard %d: %d chunks for %d entries", i, len(tab.chunks), s.used)
		}
		free, live, gone := 0, 0, 0
		seen := map[int]bool{}
		for j := range tab.slots {
			switch slot := tab.slots[j].Load(); slot {
			case empty:
				free++
			case deleted:
				gone++
			default:
				live++
				e := int(uint32(slot)) - 2
				if seen[e] {
					t.Fatalf("shard %d: entry %d is indexed twice", i, e)
				}
				seen[e] = true
			}
		}
		if live != s.used || gone != s.gone || free == 0 {
			t.Fatalf("shard %d: %d slots live of %d entries, %d deleted of %d, %d empty", i, live, s.used, gone, s.gone, free)
		}
		keys := map[core.Key]bool{}
		for j := range s.used {
			k := tab.entry(j).key()
			if keys[k] {
				t.Fatalf("shard %d: key twice", i)
			}
			keys[k] = true
			if h := m.hash(k); h%shards != uint64(i) || tab.find(k, h) != tab.entry(j) {
				t.Fatalf("shard %d: entry %d cannot be found by its key", i, j)
			}
		}
	}
}

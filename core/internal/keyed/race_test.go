package keyed

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mw-go/mw/core"
)

// slot is a cell whose word names the key it was last started for, so that a charge that lands on another key's cell is
// seen by whoever looks next.
type slot struct{ word atomic.Uint64 } // era<<40 | owner<<20 | charges; dead between two keys

const field = 1<<20 - 1

// TestNoChargeLandsOnAnotherKey: many goroutines charge cells by the contract while cells change hands all the time,
// tables grow and are rebuilt. Every charge is also counted by its key. What the cells of a key held when they were
// retired and what is left at the end must be exactly that, and no cell ever holds the charges of two keys.
func TestNoChargeLandsOnAnotherKey(t *testing.T) {
	const keys, workers = 300, 8
	rounds := 30_000
	if testing.Short() {
		rounds = 3000
	}
	var retired, charged [keys + 1]atomic.Uint64
	var era, shared atomic.Uint64
	var idle atomic.Bool
	idle.Store(true)
	m := New(keys/4, Rules[slot]{
		Start: func(c *slot, k core.Key, _ core.Time) {
			hi, _ := k.Words()
			c.word.Store(era.Add(1)<<40 | hi<<20)
		},
		Retire: func(c *slot, _ core.Time) bool {
			w := c.word.Load()
			if w == dead || !idle.Load() || !c.word.CompareAndSwap(w, dead) {
				return false
			}
			retired[w>>20&field].Add(w & field)
			return true
		},
	})
	charge := func(k core.Key, slow bool) {
		owner, _ := k.Words()
		e := m.Find(k)
		for {
			if slow { // the cell may change hands between finding and reading it
				runtime.Gosched()
			}
			if e != nil {
				w := e.Cell.word.Load()
				if w != dead && m.Owns(e, k) {
					if e.Cell.word.CompareAndSwap(w, w+1) {
						if e == m.Overflow() {
							shared.Add(1)
						} else if w>>20&field != owner {
							t.Errorf("key %d charged the cell of key %d", owner, w>>20&field)
						}
						charged[owner].Add(1)
						return
					}
					continue
				}
			}
			e = m.Get(k, 0)
		}
	}
	var wg sync.WaitGroup
	for g := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 9))
			for i := range rounds {
				n := 1 + rng.IntN(keys)
				if i%3 > 0 {
					n = 1 + n%8 // some are asked for all the time
				}
				charge(core.KeyOfWords(uint64(n), 0), i%8 == 0)
				switch {
				case g == 0 && i%1000 == 0:
					m.SetBound(1 + rng.IntN(2*keys))
				case g == 1 && i%500 == 0:
					idle.Store(i%1000 == 0)
				case g == 2 && i%700 == 0:
					m.Range(func(core.Key, *slot) {})
				}
			}
		})
	}
	wg.Wait()
	check(t, m)
	total, over := uint64(0), m.Overflow().Cell.word.Load()&field
	m.Range(func(k core.Key, c *slot) {
		hi, _ := k.Words()
		if w := c.word.Load(); hi != 0 {
			if w>>20&field != hi {
				t.Errorf("key %d has a cell that was started for key %d", hi, w>>20&field)
			}
			retired[hi].Add(w & field)
		}
	})
	for k := range charged {
		if retired[k].Load() > charged[k].Load() {
			t.Errorf("key %d: %d charges in its cells, %d made", k, retired[k].Load(), charged[k].Load())
		}
		total += charged[k].Load() - retired[k].Load()
	}
	if total != over || over != shared.Load() {
		t.Errorf("%d charges missing in the keys' cells, %d in the overflow cell of %d made", total, over, shared.Load())
	}
}

// TestReadersWhileTablesGrow: a key whose cell is busy is found by lock-free readers at every moment, or at least never
// mistaken, while a hundred thousand other keys come.
func TestReadersWhileTablesGrow(t *testing.T) {
	m := New(100_000, rules())
	const fixed = 64
	var cells [fixed]*cell
	for i := range fixed {
		e := m.Get(key(i), 0)
		setBusy(&e.Cell, true)
		cells[i] = &e.Cell
	}
	n := 60_000
	if testing.Short() {
		n = 6000
	}
	var wg sync.WaitGroup
	var done atomic.Bool
	for range 3 {
		wg.Go(func() {
			for i := 0; !done.Load(); i++ {
				k := key(i % fixed)
				e := m.Find(k)
				if e == nil { // in the middle of a rebuild: the lock tells
					e = m.Get(k, 0)
				}
				if &e.Cell != cells[i%fixed] || !m.Owns(e, k) {
					t.Error("a busy key has lost its cell")
					return
				}
			}
		})
	}
	var writers sync.WaitGroup
	for g := range 2 {
		writers.Go(func() {
			for i := range n {
				e := m.Get(key(1000+g*n+i), 0)
				setBusy(&e.Cell, i%4 > 0)
			}
		})
	}
	writers.Wait()
	done.Store(true)
	wg.Wait()
	check(t, m)
}

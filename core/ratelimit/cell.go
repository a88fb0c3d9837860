package ratelimit

import (
	"sync/atomic"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/keyed"
)

// cell is the state of one key: its TAT, or dead when the key has lost the cell. TATs only grow, so no cell ever has the
// same one twice: whoever still holds it for an earlier key finds that out by compare-and-swap.
type cell struct{ tat atomic.Int64 }

const dead = -1 << 63

// alive returns tat, or its neighbour if it happens to be the mark of a dead cell.
func alive(tat int64) int64 {
	if tat == dead {
		return dead + 1
	}
	return tat
}

// charge takes cost from the key's bucket, or reports how much is short, both in units; debt is what the key owes then.
func (l *Limiter) charge(s *settings, k core.Key, now core.Time, v, cost int64) (short, debt int64) {
	if l.cells == nil {
		return l.own.charge(&s.Derived, v, cost)
	}
	e := l.cells.Find(k)
	for {
		if e != nil {
			raw := e.Cell.tat.Load()
			if raw != dead && l.cells.Owns(e, k) {
				var next int64
				next, short, debt = s.Derived.admit(raw, v, cost)
				if short > 0 || e.Cell.tat.CompareAndSwap(raw, alive(next)) {
					return short, debt
				}
				continue
			}
		}
		if e, short, debt = l.place(s, k, now, v, cost); e == nil {
			return short, debt
		}
	}
}

// place returns the cell of a key that has lost its own or never had one, or nil when it has charged the overflow cell.
func (l *Limiter) place(s *settings, k core.Key, now core.Time, v, cost int64) (e *keyed.Entry[cell], short, debt int64) {
	e = l.cells.GetOr(k, now, func(overflow *cell) { short, debt = overflow.charge(&s.Derived, v, cost) })
	return e, short, debt
}

// charge is Limiter.charge for a cell that never changes hands.
func (c *cell) charge(k *clock, v, cost int64) (short, debt int64) {
	for {
		raw := c.tat.Load()
		next, short, debt := k.admit(raw, v, cost)
		if short > 0 || c.tat.CompareAndSwap(raw, alive(next)) {
			return short, debt
		}
	}
}

// look returns the stored TAT of a key without giving it a cell.
func (l *Limiter) look(k core.Key, s *settings, v int64) int64 {
	if l.cells == nil {
		return l.own.tat.Load()
	}
	if e := l.cells.Find(k); e != nil {
		if raw := e.Cell.tat.Load(); raw != dead && l.cells.Owns(e, k) {
			return raw
		}
	}
	return s.Derived.refresh(l.cells.Overflow().Cell.tat.Load(), v)
}

// openCell starts a cell for a new key with the debt of the overflow cell, where the key may have been charged until
// now: so no key is ever granted more than its limit, and a flood cannot launder a debt. Charges of this key to the
// overflow cell are made under the lock that this runs under, so none is missed.
func (l *Limiter) openCell(c *cell, _ core.Key, now core.Time) {
	k := &l.live.Load().Derived
	if l.cells == nil { // the map makes its own cells: they owe nothing from the beginning
		c.tat.Store(alive(k.origin))
		return
	}
	v, _ := k.virtual(now)
	c.tat.Store(alive(k.refresh(l.cells.Overflow().Cell.tat.Load(), v)))
}

// closeCell takes an idle cell from its key.
func (l *Limiter) closeCell(c *cell, now core.Time) bool {
	k := &l.live.Load().Derived
	v, _ := k.virtual(now)
	raw := c.tat.Load()
	return raw != dead && k.idle(raw, v) && c.tat.CompareAndSwap(raw, dead)
}

func (c *cell) refresh(k *clock, v int64) {
	for {
		raw := c.tat.Load()
		if raw == dead || c.tat.CompareAndSwap(raw, alive(k.refresh(raw, v))) {
			return
		}
	}
}

func (l *Limiter) each(visit func(*cell)) {
	visit(&l.own)
	if l.cells != nil {
		l.cells.Range(func(_ core.Key, c *cell) { visit(c) })
	}
}

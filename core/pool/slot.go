package pool

import (
	"math/rand/v2"
	"sync/atomic"

	"github.com/mw-go/mw/core"
)

// slot is the place of one resource. It has one owner at a time, who alone may touch what is not atomic: the holder of
// a lease, whoever has popped it from the idle stack, or the free list. The stack hands it from one owner to the next.
type slot[T any] struct {
	pool *Pool[T]
	// era is the number of leases that have ended here. A lease is good as long as its own number is the era.
	era    atomic.Uint64
	next   atomic.Uint32 // the slot below on the idle stack; 0 none
	number uint32        // from 1
	ages   ages
	value  atomic.Pointer[T]    // nil without a resource; a lease may look while another goroutine ends it
	lent   atomic.Pointer[lent] // who has it, if that is tracked
}

// pop takes the resource that came back last; nil if none is idle.
func (p *Pool[T]) pop() *slot[T] {
	for {
		old := p.idle.Load()
		top := stack(old).top()
		if top == 0 {
			return nil
		}
		sl := (*p.slots.Load())[top-1]
		if p.idle.CompareAndSwap(old, uint64(stack(old).pop(sl.next.Load()))) {
			return sl
		}
	}
}

// push lays a resource on the idle stack. Who has no lock then looks at the gate.
func (p *Pool[T]) push(sl *slot[T]) {
	for {
		old := p.idle.Load()
		sl.next.Store(stack(old).top())
		if p.idle.CompareAndSwap(old, uint64(stack(old).push(sl.number))) {
			return
		}
	}
}

// popAll takes every idle resource, the one that came back last first. mu is held, so that a caller who finds nothing
// idle meanwhile waits for what is put back.
func (p *Pool[T]) popAll() (all []*slot[T]) {
	for {
		old := p.idle.Load()
		if !p.idle.CompareAndSwap(old, uint64(stack(old).emptied())) {
			continue
		}
		for top := stack(old).top(); top != 0; {
			sl := (*p.slots.Load())[top-1]
			all = append(all, sl)
			top = sl.next.Load()
		}
		return all
	}
}

// settle gives a new resource a slot and lays it on the idle stack. mu is held.
func (p *Pool[T]) settle(v T, c *Config) {
	var sl *slot[T]
	if last := len(p.free) - 1; last >= 0 {
		sl, p.free = p.free[last], p.free[:last]
	} else {
		old := *p.slots.Load()
		sl = &slot[T]{pool: p, number: uint32(len(old) + 1)}
		grown := append(old, sl) // who reads the old slice does not look beyond its end
		p.slots.Store(&grown)
	}
	now := core.Now()
	sl.value.Store(&v)
	sl.ages = ages{born: now, since: now, spread: spreadOf(c.Jitter, rand.Float64())}
	p.push(sl)
}

// clear takes the resource out of a slot that the caller owns. mu is held.
func (p *Pool[T]) clear(sl *slot[T]) T {
	v := sl.value.Swap(nil)
	p.free = append(p.free, sl)
	return *v
}

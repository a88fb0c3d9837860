package pool

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/mw-go/mw/core"
)

// Lease is the right to use one resource, from Acquire to Release or Discard, whichever comes first; every later one
// does nothing, also on a copy, and also when the resource has another holder by then. The zero Lease holds nothing.
// Its methods may be called at the same time, but using the resource after it was given back is a mistake of the
// caller.
type Lease[T any] struct {
	slot *slot[T]
	era  uint64
}

// Value returns the resource; the zero T after Release or Discard and for the zero Lease.
func (l Lease[T]) Value() (v T) {
	if l.slot == nil {
		return v
	}
	held := l.slot.value.Load()
	if l.slot.era.Load() != l.era { // asked second: what was held then is ours if the lease still is
		return v
	}
	return *held
}

// Release gives the resource back: to the first who waits, or to lie idle. One past its MaxLifetime is closed instead.
func (l Lease[T]) Release() {
	if !l.end() {
		return
	}
	sl, p := l.slot, l.slot.pool
	now := core.Now()
	if sl.ages.old(&p.live.Load().Derived, now) {
		p.drop(sl, &p.count.expired)
		return
	}
	sl.ages.since = now
	p.back(sl)
}

// Discard closes the resource instead of giving it back: for one that is broken, or in a state nobody knows.
func (l Lease[T]) Discard() {
	if l.end() {
		l.slot.pool.drop(l.slot, &l.slot.pool.count.discarded)
	}
}

// end ends the lease; false if it has ended before.
func (l Lease[T]) end() bool {
	if l.slot == nil || !l.slot.era.CompareAndSwap(l.era, l.era+1) {
		return false
	}
	if l.slot.lent.Load() != nil {
		l.slot.lent.Store(nil)
	}
	return true
}

// lent notes who acquired a resource, and when. Immutable.
type lent struct {
	at    core.Time
	stack [16]uintptr
	depth int
}

// note is called by acquire, which Acquire calls.
func note() *lent {
	n := &lent{at: core.Now()}
	n.depth = runtime.Callers(4, n.stack[:])
	return n
}

// Leak is a resource that is out for longer than LeakAfter.
type Leak struct {
	Held  time.Duration // since it was acquired
	Stack []uintptr     // of the goroutine that acquired it, for runtime.CallersFrames; at most 16 deep
}

// String returns how long it is out and who acquired it, a line a frame.
func (l Leak) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "out for %v, acquired by", l.Held)
	frames := runtime.CallersFrames(l.Stack)
	for more := len(l.Stack) > 0; more; {
		var f runtime.Frame
		f, more = frames.Next()
		fmt.Fprintf(&b, "\n\t%s %s:%d", f.Function, f.File, f.Line)
	}
	return b.String()
}

// Leaks returns the resources that are out for LeakAfter or longer, if it was set when they were acquired. It takes no
// lock.
func (p *Pool[T]) Leaks() (leaks []Leak) {
	after, now := p.live.Load().Config.LeakAfter, core.Now()
	if after == core.None {
		return nil
	}
	for _, sl := range *p.slots.Load() {
		if n := sl.lent.Load(); n != nil && now.Sub(n.at) >= after {
			leaks = append(leaks, Leak{Held: now.Sub(n.at), Stack: n.stack[:n.depth]})
		}
	}
	return leaks
}

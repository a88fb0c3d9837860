package core

import "sync/atomic"

// Permit is the right to make one call, given by Guard.Acquire. It has one owner, who calls Done once; a second Done is
// ignored. The zero Permit is a no-op, so a Permit may be settled without asking whether the call was admitted.
//
// Progress may run at the same time as Done (a stream's receiver and its finisher do); nothing else may. A Permit must
// not be copied: go vet finds copies, and wrappers use bare returns.
type Permit struct {
	_     noCopy
	by    Settler
	start Time
	word  uint32 // atomic: the machine's tag and three flags
}

// Permit and Decision together, and Call with its receiver and context, stay within the nine integer registers in which
// Go passes arguments and results; that is why the flags share a word with the machine's tag.
const (
	flagTracked    uint32 = 1 << 31 // Progress means something; flags change by atomic operations
	flagProgressed uint32 = 1 << 30
	flagDone       uint32 = 1 << 29
	tagMask               = flagDone - 1
)

// TagBits is how many bits of a permit's tag belong to the machine that issued it.
const TagBits = 29

// Settler is the side of a guard that takes permits back. A guard implements it, usually on its cell, and callers use
// Permit instead. The tag is the one given to NewPermit. Implementations are safe for concurrent use.
type Settler interface {
	// Restart tells that the call begins now and not at start.
	Restart(tag uint32, start, now Time)
	// Progress tells of the first response of a stream. Called at most once, for tracked permits only.
	Progress(tag uint32, start, now Time)
	// Settle takes the permit back. Called exactly once. progressed tells whether Progress was or is being called.
	// now may be 0: read the clock if it is needed.
	Settle(tag uint32, start, now Time, progressed bool, o Outcome)
}

// NewPermit makes a permit that s takes back. Only the low TagBits bits of tag are kept. start is when the call began,
// 0 if the machine does not need it. For machines and guards of your own.
func NewPermit(s Settler, tag uint32, start Time) Permit {
	return Permit{by: s, start: start, word: tag & tagMask}
}

// NewTrackedPermit is NewPermit for a machine that wants to hear Progress. Settling costs one more atomic operation.
func NewTrackedPermit(s Settler, tag uint32, start Time) Permit {
	return Permit{by: s, start: start, word: tag&tagMask | flagTracked}
}

// Restart says that the call begins now: a guard asked later made it wait, and that wait is not the backend's. After
// Progress or Done it does nothing. It must not run at the same time as any other method. now may be 0.
func (p *Permit) Restart(now Time) {
	if p.by == nil || p.start == 0 || p.word&(flagProgressed|flagDone) != 0 {
		return
	}
	now = now.Or()
	p.by.Restart(p.word&tagMask, p.start, now)
	p.start = now
}

// Tracked reports whether the machine wants to hear Progress.
func (p *Permit) Tracked() bool { return atomic.LoadUint32(&p.word)&flagTracked != 0 }

// Progress says that the first response of a stream has arrived. It settles a breaker's probe and ends "overdue"; it
// feeds no window: Done does. Later calls are ignored. now may be 0.
func (p *Permit) Progress(now Time) {
	for {
		w := atomic.LoadUint32(&p.word)
		if w&flagTracked == 0 || w&(flagProgressed|flagDone) != 0 {
			return
		}
		if atomic.CompareAndSwapUint32(&p.word, w, w|flagProgressed) {
			p.by.Progress(w&tagMask, p.start, now)
			return
		}
	}
}

// Done gives the permit back and says how the call went. Capacity always returns; the verdict counts unless the machine
// has moved on since. Deferred by adapters, so that panic and Goexit settle as well. now may be 0: the machine reads the
// clock if it needs it.
func (p *Permit) Done(now Time, o Outcome) {
	w := atomic.LoadUint32(&p.word)
	if w&flagTracked != 0 {
		p.doneTracked(now, o)
		return
	}
	s := p.by
	if s == nil {
		return
	}
	p.by = nil
	s.Settle(w, p.start, now, false, o)
}

func (p *Permit) doneTracked(now Time, o Outcome) {
	for {
		w := atomic.LoadUint32(&p.word)
		if w&flagDone != 0 {
			return
		}
		if atomic.CompareAndSwapUint32(&p.word, w, w|flagDone) {
			p.by.Settle(w&tagMask, p.start, now, w&flagProgressed != 0, o)
			return
		}
	}
}

// noCopy makes go vet report copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

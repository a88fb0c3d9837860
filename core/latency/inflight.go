package latency

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/stripe"
	"github.com/mw-go/mw/core/internal/window"
)

// Spans is how many windows the calls in flight are told apart by age: a threshold of Overdue may be that long.
const Spans = 50

// starts is how many slices of starting times are told apart. A call that is older is one of the elders.
const starts = (Spans + 1) * window.Slices

// calls counts the calls in flight by the slice in which they began. A call ends in another goroutine and so perhaps in
// another lane: single counts may be below zero, only sums mean something.
type calls struct {
	frame  atomic.Pointer[frame] // nil until the first time is seen
	lanes  []startLane
	elders atomic.Int64
}

type startLane []atomic.Int32

// frame says which slices the counts are of.
type frame struct {
	grid  window.Layout
	since core.Time     // calls that began before it are among the elders, as they were in an earlier frame
	at    atomic.Uint32 // the running slice
}

func newCalls(stripes int) *calls {
	f := &calls{lanes: make([]startLane, stripes)}
	for i := range f.lanes {
		f.lanes[i] = make(startLane, starts)
	}
	return f
}

// add counts n calls more that began at start.
func (f *calls) add(stripe uintptr, start core.Time, n int32) {
	fr := f.frame.Load()
	i := fr.grid.Index(start)
	if start < fr.since || fr.at.Load()-i >= starts { // i is not ahead: who begins a call has turned to its slice
		f.elders.Add(int64(n))
		return
	}
	f.lanes[stripe][i%starts].Add(n)
}

// advance makes room for the slices up to to. What is still in flight there is older than any threshold. A call that ends
// at the same moment may be taken from the count of its slice, which then is that of a new slice: both go the same way
// in the end, and the sum is right.
func (f *calls) advance(to uint32) {
	fr := f.frame.Load()
	gap := to - fr.at.Load()
	if int32(gap) <= 0 {
		return
	}
	for i := range min(gap, starts) {
		f.elders.Add(int64(f.take(to - i)))
	}
	fr.at.Store(to)
}

// take returns how many calls of slice i there are, and leaves none.
func (f *calls) take(i uint32) (n int32) {
	for _, l := range f.lanes {
		if at := &l[i%starts]; at.Load() != 0 {
			n += at.Swap(0)
		}
	}
	return n
}

// regrid puts the calls where they belong on another grid. Whoever counts by the old one at this moment counts in some
// slice: off by one until that is as old as any, and right again then, as in advance.
func (f *calls) regrid(grid window.Layout, at uint32) {
	old, fresh := f.frame.Load(), &frame{grid: grid, since: math.MinInt64}
	fresh.at.Store(at)
	if old == nil {
		f.frame.Store(fresh)
		return
	}
	var n [starts]int32
	last := old.at.Load()
	ages := min(starts, last+1)
	if fresh.since = old.since; last >= starts {
		fresh.since = max(fresh.since, old.grid.End(last-starts))
	}
	for age := range ages {
		n[age] = f.take(last - age)
	}
	f.frame.Store(fresh)
	for age := range ages {
		if n[age] != 0 {
			f.add(0, min(old.grid.Middle(last-age), grid.End(at)-1), n[age])
		}
	}
}

// overdue returns how many calls began in slices that ended before t.
func (f *calls) overdue(t core.Time) int64 {
	n, fr := f.elders.Load(), f.frame.Load()
	at := fr.at.Load()
	for _, l := range f.lanes {
		for i := fr.grid.Index(t) - 1; i <= at && at-i < starts; i-- {
			n += int64(l[i%starts].Load())
		}
	}
	return max(n, 0)
}

// inFlight returns how many calls there are.
func (f *calls) inFlight() int64 {
	n := f.elders.Load()
	for _, l := range f.lanes {
		for i := range l {
			n += int64(l[i].Load())
		}
	}
	return max(n, 0)
}

// Begin tells that a call has begun. Every Begin needs one End with the same time, which is not 0. Without
// Config.InFlight it does nothing.
func (w *Window) Begin(start core.Time) {
	if int64(start) >= w.until.Load() {
		w.turn(start)
	}
	if w.calls != nil {
		w.calls.add(stripe.Of(w.cells.stripes), start, 1)
	}
}

// End tells that the call that began at start is over, and with record that it took from start to now.
func (w *Window) End(start, now core.Time, record bool) {
	now = now.Or()
	if int64(now) >= w.until.Load() {
		w.turn(now)
	}
	s := stripe.Of(w.cells.stripes)
	if w.calls != nil {
		w.calls.add(s, start, -1)
	}
	if record {
		w.count(s, now, now.Sub(start))
	}
}

// Overdue returns how many calls have been in flight for longer than t as of now, to within a slice: a call counts once
// the slice in which it began has been over for t. t beyond Spans windows counts as that long.
func (w *Window) Overdue(now core.Time, t time.Duration) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.catchUp(now.Or())
	if w.calls == nil {
		return 0
	}
	t = min(max(t, 0), Spans*w.config.Window)
	return w.calls.overdue(now.Or().Add(-t))
}

// InFlight returns how many calls have begun and not ended.
func (w *Window) InFlight() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calls == nil {
		return 0
	}
	return w.calls.inFlight()
}

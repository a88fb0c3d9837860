package latency

import (
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/window"
	"github.com/mw-go/mw/core/simd"
)

// Marks is how many thresholds a Window counts exactly.
const Marks = 2

// tally is what one slice holds: a count a bucket, and behind them one for each mark. All counts saturate at 2^32-1.
type tally []uint32

// ring is the sliding window as a plain value: ten slices and their running sum. Time is an argument, and time that runs
// backwards stands still. The running slice is the one that results go into.
type ring struct {
	scale  scale
	grid   window.Layout
	at     uint32 // the running slice
	slices [window.Slices]tally
	sum    tally  // of all slices
	total  uint64 // durations in the slices; from 2^32 on sum may have saturated
}

func newRing(k scale, now core.Time, length time.Duration) *ring {
	r := &ring{scale: k, grid: window.NewLayout(now, length), sum: make(tally, k.buckets()+Marks)}
	for i := range r.slices {
		r.slices[i] = make(tally, len(r.sum))
	}
	return r
}

func (r *ring) running() tally { return r.slices[r.at%window.Slices] }

// buckets is the part of a tally that has the durations.
func (r *ring) buckets(t tally) []uint32 { return t[:len(t)-Marks] }

// advance makes the slice of now the running one and forgets those that fall out of the window, whatever the gap.
func (r *ring) advance(now core.Time) {
	to := r.grid.Index(now)
	gap := int32(to - r.at)
	if gap <= 0 {
		return
	}
	r.at = to
	if gap >= window.Slices {
		for _, s := range r.slices {
			clear(s)
		}
		clear(r.sum)
		r.total = 0
		return
	}
	for i := range uint32(gap) {
		r.expire(r.slices[(to-i)%window.Slices])
	}
}

// expire empties a slice that has fallen out of the window.
func (r *ring) expire(s tally) {
	n := simd.Sum(r.buckets(s))
	if n == 0 {
		return
	}
	saturated := r.total > 1<<32-1
	r.total -= n
	if !saturated {
		simd.SubUint32(r.sum, s)
		clear(s)
		return
	}
	clear(s)
	clear(r.sum)
	for _, s := range r.slices {
		simd.AddUint32(r.sum, s)
	}
}

// add puts counts into the running slice.
func (r *ring) add(counts tally) {
	s := r.running()
	before := simd.Sum(r.buckets(s))
	simd.AddUint32(s, counts)
	r.total += simd.Sum(r.buckets(s)) - before
	simd.AddUint32(r.sum, counts)
}

// remark counts again what is above the marks, from the buckets, for slices that were recorded under other marks.
func (r *ring) remark(marks [Marks]time.Duration) {
	clear(r.sum[len(r.sum)-Marks:])
	for _, s := range r.slices {
		for m, t := range marks {
			at := len(s) - Marks + m
			s[at] = 0
			if t > 0 {
				s[at] = uint32(r.scale.above(s, t) + 0.5)
			}
			r.sum[at] += min(s[at], ^r.sum[at])
		}
	}
}

// resize returns the ring in a window of another length, the running slice put into the running one and each other
// where its middle falls. What no longer fits is dropped, oldest first. The new grid begins early enough to tell apart the calls in flight.
func (r *ring) resize(now core.Time, length time.Duration) *ring {
	r.advance(now)
	next := newRing(r.scale, now.Add(-(Spans+1)*length), length)
	next.at = next.grid.Index(now)
	for age := range uint32(window.Slices) {
		old := r.at - age
		to := next.at
		if age > 0 {
			to = min(next.grid.Index(r.grid.Middle(old)), to)
		}
		if s := r.slices[old%window.Slices]; old <= r.at && next.at-to < window.Slices {
			fresh := next.slices[to%window.Slices]
			before := simd.Sum(next.buckets(fresh))
			simd.AddUint32(fresh, s)
			next.total += simd.Sum(next.buckets(fresh)) - before
			simd.AddUint32(next.sum, s)
		}
	}
	return next
}

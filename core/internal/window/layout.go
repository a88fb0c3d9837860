// Package window counts good and bad results over a sliding window of time. Ring is the plain form for pure machines,
// Counter the striped form for concurrent ones; both share Layout and agree on every sequence of one goroutine.
package window

import (
	"math"
	"math/bits"
	"time"

	"github.com/mw-go/mw/core"
)

// Slices is how many slices a window has. The window covers the running slice and the nine before it, so between 90 %
// and 100 % of its length.
const Slices = 10

// Layout cuts time into slices. The zero Layout is not valid; see NewLayout.
type Layout struct {
	start      core.Time
	length     time.Duration // of one slice
	reciprocal uint64        // 2^64/length, rounded up
}

// NewLayout returns the layout of a window of the given length whose first slice begins at start. length is at least
// Slices nanoseconds.
func NewLayout(start core.Time, length time.Duration) Layout {
	slice := length / Slices
	return Layout{start: start, length: slice, reciprocal: ^uint64(0)/uint64(slice) + 1}
}

// Index returns the number of the slice that now falls into. Times before the start belong to slice 0. The number wraps
// after 2^32 slices, 13 years of 100 ms each; a window left alone for more than half of that may show old counts again. A multiplication stands for the division: it puts a slice's end early by less than a thousandth of a
// slice in the first hundred days.
func (l Layout) Index(now core.Time) uint32 {
	if now < l.start {
		return 0
	}
	elapsed := uint64(now) - uint64(l.start) // exact for any two times, as the signed difference is not
	hi, _ := bits.Mul64(elapsed, l.reciprocal)
	return uint32(hi)
}

// Middle returns a time in the middle of slice i.
func (l Layout) Middle(i uint32) core.Time {
	return l.start + core.Time(l.length)*core.Time(i) + core.Time(l.length/2)
}

// End returns the first time that belongs to a later slice than i.
func (l Layout) End(i uint32) core.Time {
	if first := uint64(i) + 1; first < l.reciprocal {
		elapsed, rest := bits.Div64(first, 0, l.reciprocal)
		if rest > 0 {
			elapsed++
		}
		if end := l.start + core.Time(elapsed); elapsed <= math.MaxInt64 && end >= l.start {
			return end
		}
	}
	return math.MaxInt64
}

// Sum is what a window holds.
type Sum struct{ Good, Bad int64 }

// Total returns how many results the window holds.
func (s Sum) Total() int64 { return s.Good + s.Bad }

// current reports whether a slot written in slice at is part of the window when slice i is running. A slot from the
// future (its writer's clock was read later than ours) is.
func current(at, i uint32) bool { return int32(i-at) < Slices }

// Spans reports whether the layout is that of a window of the given length.
func (l Layout) Spans(length time.Duration) bool { return l.length == length/Slices }

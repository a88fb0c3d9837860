package window

import (
	"sync/atomic"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/stripe"
)

// Counter is a window that many goroutines record into without a lock. Each stripe is written by few of them; a read
// adds the stripes up. Make one with NewCounter.
type Counter struct {
	layout  Layout
	stripes []cells
}

// cells is one stripe: for each slice one word for good and one for bad results, the slice's number in the upper half
// and the count in the lower, so that expiry and counting are one compare-and-swap. 160 bytes, padded to whole lines.
type cells struct {
	good, bad [Slices]atomic.Uint64
	_         [32]byte
}

// NewCounter returns an empty window with the given number of stripes, a power of two.
func NewCounter(l Layout, stripes int) *Counter {
	return &Counter{layout: l, stripes: make([]cells, stripes)}
}

// Layout returns the window's layout.
func (c *Counter) Layout() Layout { return c.layout }

// Add records a result at time now. The rules are those of Ring.Add, for each stripe.
func (c *Counter) Add(now core.Time, bad bool) {
	s := &c.stripes[stripe.Of(len(c.stripes))]
	i := c.layout.Index(now)
	w := &s.good[i%Slices]
	if bad {
		w = &s.bad[i%Slices]
	}
	for {
		old := w.Load()
		next := old + 1
		if at := uint32(old >> 32); at != i {
			if int32(i-at) < 0 {
				return
			}
			next = uint64(i)<<32 | 1
		} else if uint32(next) == 0 {
			return
		}
		if w.CompareAndSwap(old, next) {
			return
		}
	}
}

// Sum returns the counts of the window as of now. Results being recorded at the same time may or may not be in it.
func (c *Counter) Sum(now core.Time) (sum Sum) {
	i := c.layout.Index(now)
	for k := range c.stripes {
		s := &c.stripes[k]
		sum.Good += total(&s.good, i)
		sum.Bad += total(&s.bad, i)
	}
	return sum
}

func total(words *[Slices]atomic.Uint64, i uint32) (n int64) {
	for k := range words {
		if w := words[k].Load(); current(uint32(w>>32), i) {
			n += int64(uint32(w))
		}
	}
	return n
}

// Resize returns a new window with the counts of this one in another layout, by the rules of Ring.Resize. Results
// recorded into the old window at the same time may be lost.
func (c *Counter) Resize(to Layout, now core.Time) *Counter {
	var r Ring
	i := c.layout.Index(now)
	for k := range c.stripes {
		r.good.merge(&c.stripes[k].good, i)
		r.bad.merge(&c.stripes[k].bad, i)
	}
	r = r.Resize(c.layout, to, now)
	n := NewCounter(to, len(c.stripes))
	for k := range Slices {
		n.stripes[0].good[k].Store(r.good[k].word())
		n.stripes[0].bad[k].Store(r.bad[k].word())
	}
	return n
}

// merge adds what a stripe holds of the window at slice i.
func (t *track) merge(words *[Slices]atomic.Uint64, i uint32) {
	for k := range words {
		w := words[k].Load()
		if at, n := uint32(w>>32), uint32(w); n != 0 && current(at, i) {
			t.add(at, n)
		}
	}
}

// word is the slot as a Counter keeps it.
func (s slot) word() uint64 { return uint64(s.at)<<32 | uint64(s.n) }

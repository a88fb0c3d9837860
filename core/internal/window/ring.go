package window

import "github.com/mw-go/mw/core"

// Ring is a window as a plain value. The zero Ring is empty.
type Ring struct{ good, bad track }

// track counts the results of one kind.
type track [Slices]slot

type slot struct{ at, n uint32 }

// Add records a result at time now. A result older than what its slot already holds is dropped; counts saturate at
// 2^32-1 a slice.
func (r *Ring) Add(l Layout, now core.Time, bad bool) {
	t := &r.good
	if bad {
		t = &r.bad
	}
	t.add(l.Index(now), 1)
}

// Sum returns the counts of the window as of now.
func (r *Ring) Sum(l Layout, now core.Time) Sum {
	i := l.Index(now)
	return Sum{Good: r.good.sum(i), Bad: r.bad.sum(i)}
}

// Resize returns the ring's counts as of now in another layout, each slice put where its middle falls. What no longer
// fits is dropped, oldest first.
func (r *Ring) Resize(from, to Layout, now core.Time) Ring {
	return Ring{good: r.good.resize(from, to, now), bad: r.bad.resize(from, to, now)}
}

// add adds n results to slice i.
func (t *track) add(i, n uint32) {
	s := &t[i%Slices]
	switch age := int32(i - s.at); {
	case age < 0:
		return
	case age > 0:
		*s = slot{at: i}
	}
	s.n += min(n, ^s.n)
}

func (t *track) sum(i uint32) (n int64) {
	for _, s := range t {
		if current(s.at, i) {
			n += int64(s.n)
		}
	}
	return n
}

func (t *track) resize(from, to Layout, now core.Time) (resized track) {
	i, j := from.Index(now), to.Index(now)
	for _, s := range t {
		if s.n == 0 || !current(s.at, i) {
			continue
		}
		if at := min(to.Index(from.Middle(s.at)), j); current(at, j) {
			resized.add(at, s.n)
		}
	}
	return resized
}

package latency

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/simd"
)

// Snapshot is what a Window held at one moment, or several of them merged: for a page, an export or a comparison. A
// value that shares nothing with the Window. The zero Snapshot is empty and merges with any.
type Snapshot struct {
	counts []uint64
	n      uint64
}

// Snapshot returns the window as of now. It allocates; it is not for the path of a call.
func (w *Window) Snapshot(now core.Time) Snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look(now)
	s := Snapshot{counts: make([]uint64, w.scale.buckets()), n: w.n}
	for i, c := range w.buckets() {
		s.counts[i] = uint64(c)
	}
	return s
}

// scale is the one the counts were made with.
func (s Snapshot) scale() scale { return Config{Buckets: len(s.counts)}.scale() }

// Count returns how many durations s holds.
func (s Snapshot) Count() uint64 { return s.n }

// ErrorBound is that of the Window; 0 for the zero Snapshot.
func (s Snapshot) ErrorBound() float64 {
	if s.counts == nil {
		return 0
	}
	return s.scale().bound()
}

// Quantile returns the q-quantile, within ErrorBound; q 0 is the shortest duration and 1 the longest. ok is false if s
// is empty or q not in 0..1. Unlike Window.Quantile it speaks however few durations there are.
func (s Snapshot) Quantile(q float64) (d time.Duration, ok bool) {
	if !proper(q) || s.n == 0 {
		return 0, false
	}
	left := rank(q, s.n)
	for i, c := range s.counts {
		if c >= left {
			return s.scale().value(i), true
		}
		left -= c
	}
	return 0, false
}

// Above returns how many durations are longer than t; those in the bucket of t count in proportion.
func (s Snapshot) Above(t time.Duration) (above float64) {
	for low, high := range s.bounds() {
		i := s.scale().of(low)
		switch share := float64(high-max(t, low)) / float64(high-low); {
		case low > t:
			above += float64(s.counts[i])
		case high > t:
			above += share * float64(s.counts[i])
		}
	}
	return above
}

// bounds yields the ends of every bucket that is not empty.
func (s Snapshot) bounds() iter.Seq2[time.Duration, time.Duration] {
	return func(yield func(low, high time.Duration) bool) {
		for i, c := range s.counts {
			if c != 0 && !yield(time.Duration(s.scale().low(i)), time.Duration(s.scale().low(i+1))) {
				return
			}
		}
	}
}

// Buckets yields, in ascending order, the upper end of every bucket that is not empty and how many durations are in it.
func (s Snapshot) Buckets() iter.Seq2[time.Duration, uint64] {
	return func(yield func(time.Duration, uint64) bool) {
		for low, high := range s.bounds() {
			if !yield(high, s.counts[s.scale().of(low)]) {
				return
			}
		}
	}
}

// Sum returns about how long all durations take together, within ErrorBound; it saturates at 292 years.
func (s Snapshot) Sum() time.Duration {
	sum := s.seconds() * float64(time.Second)
	if sum >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(sum)
}

func (s Snapshot) seconds() (sum float64) {
	for i, c := range s.counts {
		if c != 0 {
			sum += float64(c) * s.scale().value(i).Seconds()
		}
	}
	return sum
}

// errLayout is why two snapshots do not merge.
var errLayout = errors.New("latency: different layouts")

// Merge adds what o holds to s; counts saturate at 2^64-1. The error reports snapshots of different Config.Buckets; then
// s is unchanged.
func (s *Snapshot) Merge(o Snapshot) error {
	switch {
	case o.counts == nil:
		return nil
	case s.counts == nil:
		s.counts = make([]uint64, len(o.counts))
	case len(s.counts) != len(o.counts):
		return fmt.Errorf("%w: %d and %d buckets", errLayout, len(s.counts), len(o.counts))
	}
	simd.AddUint64(s.counts, o.counts)
	s.n += min(o.n, ^s.n)
	return nil
}

// Quantiles fills dst with the quantiles qs, in one pass if they ascend, and returns how many durations the window holds;
// it fills what both have place for. A quantile that is not in 0..1, or any in an empty window, is -1. Unlike Quantile it
// speaks however few durations there are.
func (w *Window) Quantiles(now core.Time, dst []time.Duration, qs []float64) (n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look(now)
	const chunk = 8
	var ranks [chunk]uint64
	var at [chunk]int
	for k := min(len(dst), len(qs)); k > 0; k = min(len(dst), len(qs)) {
		k = min(k, chunk)
		for j, q := range qs[:k] {
			ranks[j] = 1
			if proper(q) && w.n > 0 {
				ranks[j] = rank(q, w.n)
			}
		}
		w.find(at[:k], ranks[:k])
		for j, q := range qs[:k] {
			dst[j] = -1
			if proper(q) && w.n > 0 {
				dst[j] = w.scale.value(at[j])
			}
		}
		dst, qs = dst[k:], qs[k:]
	}
	return w.n
}

// find is RankIndexes for ranks in any order.
func (w *Window) find(at []int, ranks []uint64) {
	for j := range ranks {
		if j > 0 && ranks[j] < ranks[j-1] {
			for j, r := range ranks {
				at[j], _ = simd.RankIndex(w.buckets(), r)
			}
			return
		}
	}
	simd.RankIndexes(at, w.buckets(), ranks)
}

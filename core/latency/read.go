package latency

import (
	"time"
	"unsafe"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/window"
	"github.com/mw-go/mw/core/simd"
)

// Quantile returns the q-quantile of the window as of now, within ErrorBound. ok is false while fewer than five
// durations lie beyond it (p99 needs 500, p90 needs 50), and if q is not in 0..1.
func (w *Window) Quantile(now core.Time, q float64) (d time.Duration, ok bool) {
	if !proper(q) {
		return 0, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look(now)
	if !speaks(q, w.n) {
		return 0, false
	}
	i, _ := simd.RankIndex(w.buckets(), rank(q, w.n))
	return w.scale.value(i), true
}

// Count returns how many durations the window holds as of now.
func (w *Window) Count(now core.Time) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look(now)
	return w.n
}

// Above returns how many durations of the window are longer than t, and how many there are. Those in the bucket of t
// count in proportion; where that is not good enough, see Mark.
func (w *Window) Above(now core.Time, t time.Duration) (above float64, n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look(now)
	return w.scale.above(w.view, t), w.n
}

// Mark sets the thresholds that are counted exactly; zero or less counts nothing. Durations recorded before are counted
// by their buckets, and a few that are recorded at this moment may be by the old thresholds. Setting what is set already
// costs nothing.
func (w *Window) Mark(marks [Marks]time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := false
	for m, t := range marks {
		if t <= 0 {
			t = off
		}
		changed = w.marks[m].Swap(int64(t)) != int64(t) || changed
	}
	if !changed {
		return
	}
	if w.ring != nil {
		w.collect()
		w.ring.remark(marks)
	}
	w.notice.Store(w.threshold())
}

// Marked returns how many durations of the window are longer than each mark, and how many there are.
func (w *Window) Marked(now core.Time) (above [Marks]uint64, n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look(now)
	for m := range above {
		above[m] = uint64(w.view[len(w.view)-Marks+m])
	}
	return above, w.n
}

// Newest is Above and Marked of the running slice and the one before it alone: how things are now.
func (w *Window) Newest(now core.Time, t time.Duration) (above float64, marked [Marks]uint64, n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.catchUp(now.Or())
	copy(w.spare, w.ring.running())
	if w.ring.at > 0 {
		simd.AddUint32(w.spare, w.ring.slices[(w.ring.at-1)%window.Slices])
	}
	for s := range w.cells.stripes {
		simd.AddShared(w.spare, w.cells.lane(s))
	}
	for m := range marked {
		marked[m] = uint64(w.spare[len(w.spare)-Marks+m])
	}
	return w.scale.above(w.spare, t), marked, simd.Sum(w.spare[:len(w.spare)-Marks])
}

// ErrorBound is how far a reported duration between Least and Longest may be from the true one, as a part of it: 0.0625
// with 208 buckets.
func (w *Window) ErrorBound() float64 { return w.scale.bound() }

// SliceEnd returns when the slice that is running at now ends: the next time at which something falls out of the window.
func (w *Window) SliceEnd(now core.Time) core.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.catchUp(now.Or())
	return core.Time(w.until.Load())
}

// nanoseconds is ds as the kernels take it: a Duration is an int64 of nanoseconds.
func nanoseconds(ds []time.Duration) []int64 {
	return unsafe.Slice((*int64)(unsafe.SliceData(ds)), len(ds))
}

package latency

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/stripe"
	"github.com/mw-go/mw/core/simd"
)

// Window keeps the durations of the recent past. Make one with New. Safe for concurrent use: Record, Begin and End take
// no lock and allocate nothing, but for the one call that begins a new slice; everything that reads takes the Window's
// lock: for 30 ns if nothing is new, else for 80 ns with one stripe and 200 ns with eight.
//
// Times are handed in (0: the clock is read); one that is before the running slice counts as in it.
type Window struct {
	until  atomic.Int64  // the end of the running slice
	notice atomic.Uint64 // durations from here on need more than counting: see note
	cells  lanes
	scale  scale
	calls  *calls // in flight; nil unless Config.InFlight
	marks  [Marks]atomic.Int64

	mu     sync.Mutex // guards what follows
	config Config
	ring   *ring // without what is in the lanes; nil until the first time is seen
	view   tally // ring.sum and the lanes, as of the last look
	n      uint64
	spare  tally // scratch
	stats  Stats
}

// lanes are the stripes of the running slice, each a tally that many cores add to.
type lanes struct {
	counts  []atomic.Uint32
	stripes int
	width   int
}

// lane returns stripe i.
func (l *lanes) lane(i int) []atomic.Uint32 { return l.counts[i*l.width : (i+1)*l.width] }

const (
	off     = time.Duration(math.MaxInt64) // the threshold of a mark that counts nothing
	unread  = 0                            // notice while nothing has been recorded since the last look
	drainAt = 1 << 31                      // when a count is taken out of its lane before the end of the slice, so that it cannot wrap
)

// New returns an empty Window. The error reports every bad field of c.
func New(c Config) (*Window, error) { return NewStriped(c, stripe.Count()) }

// NewStriped is New with the given number of stripes, held to 1..64 and rounded up to a power of two: 1 for a Window among
// thousands, such as one a key, which is then small and slower when several cores record at once. Memory: (13+stripes)*4
// bytes a bucket, and 2 KB more a stripe with InFlight.
func NewStriped(c Config, stripes int) (*Window, error) {
	c, err := prepare(c)
	if err != nil {
		return nil, err
	}
	stripes = 1 << bits.Len(uint(min(max(stripes, 1), 64)-1))
	w := &Window{config: c, scale: c.scale()}
	w.until.Store(math.MinInt64)
	for m := range w.marks {
		w.marks[m].Store(int64(off))
	}
	n := w.scale.buckets() + Marks
	w.cells = lanes{counts: make([]atomic.Uint32, stripes*n), stripes: stripes, width: n}
	if c.InFlight {
		w.calls = newCalls(stripes)
	}
	w.view, w.spare = make(tally, n), make(tally, n)
	return w, nil
}

// Record adds the duration d of something that ended now. A negative d counts as the shortest, one beyond Longest as
// the longest.
func (w *Window) Record(now core.Time, d time.Duration) {
	if now == 0 {
		now = core.Now()
	}
	if int64(now) >= w.until.Load() {
		w.turn(now)
	}
	w.count(stripe.Of(w.cells.stripes), now, d)
}

// count adds d to a lane.
func (w *Window) count(lane uintptr, now core.Time, d time.Duration) {
	at := &w.cells.counts[int(lane)*w.cells.width+int(w.scale.of(d))]
	if at.Add(1) == drainAt {
		w.drain(now)
	}
	if uint64(d) >= w.notice.Load() { // after the count: whoever makes it unread reads the counts after that
		w.note(lane, now, d)
	}
}

// note does what most durations do not need: it counts d above the marks, and tells the next look that there is
// something new.
func (w *Window) note(lane uintptr, now core.Time, d time.Duration) {
	for m := range w.marks {
		mark := &w.cells.counts[int(lane+1)*w.cells.width-Marks+m]
		if int64(d) > w.marks[m].Load() && mark.Add(1) == drainAt {
			w.drain(now)
		}
	}
	w.changed()
}

// changed tells the next look that there is something new.
func (w *Window) changed() {
	if w.notice.Load() == unread {
		w.notice.CompareAndSwap(unread, w.threshold())
	}
}

// threshold is what notice is once it is known that there is something new: beyond the least mark.
func (w *Window) threshold() uint64 {
	return uint64(min(w.marks[0].Load(), w.marks[1].Load())) + 1
}

// RecordBatch adds many durations of things that ended now, by the batch kernel: less than a nanosecond and a half each,
// under the Window's lock.
func (w *Window) RecordBatch(now core.Time, ds []time.Duration) {
	now = now.Or()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.catchUp(now)
	clear(w.spare)
	simd.Record(w.spare[:w.scale.buckets()], nanoseconds(ds), int(w.scale))
	for m := range w.marks {
		mark := w.marks[m].Load()
		if mark == int64(off) {
			continue
		}
		for _, d := range ds {
			if int64(d) > mark {
				w.spare[len(w.spare)-Marks+m]++
			}
		}
	}
	w.ring.add(w.spare)
	w.stats.Samples += uint64(len(ds))
	w.changed()
}

// turn begins a new slice.
func (w *Window) turn(now core.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.catchUp(now)
}

// catchUp brings the ring to the slice of now. mu is held.
func (w *Window) catchUp(now core.Time) {
	if int64(now) < w.until.Load() {
		return
	}
	if w.ring == nil { // a first time, whatever it is, is where the slices begin
		w.begin(newRing(w.scale, now, w.config.Window))
	}
	w.collect()
	w.ring.advance(now)
	if w.calls != nil {
		w.calls.advance(w.ring.at)
	}
	w.changed()
	w.until.Store(int64(w.ring.grid.End(w.ring.at)))
}

// begin makes r the ring.
func (w *Window) begin(r *ring) {
	w.ring = r
	if w.calls != nil {
		w.calls.regrid(r.grid, r.at)
	}
}

// collect takes what has been recorded in the lanes into the running slice. A duration recorded at the same moment by
// somebody who read the clock a little earlier stays for the slice after it: nothing is lost or counted twice.
func (w *Window) collect() {
	clear(w.spare)
	for s := range w.cells.stripes {
		l := w.cells.lane(s)
		for i := range l {
			if l[i].Load() != 0 {
				w.spare[i] += min(l[i].Swap(0), ^w.spare[i])
			}
		}
	}
	w.stats.Samples += simd.Sum(w.spare[:w.scale.buckets()])
	w.ring.add(w.spare)
}

// drain is collect in the middle of a slice.
func (w *Window) drain(now core.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.catchUp(now)
	w.collect()
	w.changed()
}

// look brings view and n up to now. mu is held.
func (w *Window) look(now core.Time) {
	w.catchUp(now.Or())
	w.stats.Looks++
	if w.notice.Load() == unread {
		return
	}
	w.notice.Store(unread) // before the counts are read: see count
	copy(w.view, w.ring.sum)
	for s := range w.cells.stripes {
		simd.AddShared(w.view, w.cells.lane(s))
	}
	w.n = simd.Sum(w.buckets())
}

// buckets is the part of the view that has the durations.
func (w *Window) buckets() []uint32 { return w.view[:len(w.view)-Marks] }

// Config returns the effective settings, defaults filled in.
func (w *Window) Config() Config {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.config
}

// Tune changes the length of the window; each slice is put where its middle falls, and what no longer fits is dropped.
// On error nothing changes: a field out of range, or another layout (Buckets, InFlight) than it was made with. now may be 0:
// the clock is read.
func (w *Window) Tune(now core.Time, c Config) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, err := w.config.retuned(c)
	if err != nil {
		return err
	}
	length := w.config.Window
	w.config = c
	if c.Window == length || w.ring == nil {
		return nil
	}
	now = now.Or()
	w.catchUp(now)
	w.collect()
	w.begin(w.ring.resize(now, c.Window))
	w.changed()
	w.until.Store(int64(w.ring.grid.End(w.ring.at)))
	return nil
}

// Stats tells how much has gone through the kernels.
type Stats struct {
	Samples uint64 // durations that kernels have counted (of a batch) or merged into the window (single ones)
	Looks   uint64 // readings of the window, which kernels merge if something is new, and search
	Kernel  string // avx2 or go
}

// Stats returns the numbers so far. Durations of the running slice are not in them yet.
func (w *Window) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.stats
	s.Kernel = simd.Level()
	return s
}

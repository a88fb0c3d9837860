package latency

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/stripe"
	"github.com/mw-go/mw/core/simd"
)

// Window keeps the durations of the recent past. Make one with New. Safe for concurrent use: Record, Begin and End take
// no lock and allocate nothing, but for the one call that begins a new slice; everything that reads takes the Window's
// lock for some tens of nanoseconds.
//
// Times are handed in (0: the clock is read); one that is before the running slice counts as in it.
type Window struct {
	until atomic.Int64        // the end of the running slice
	fresh atomic.Uint32       // 1: recorded since the last look
	marks [Marks]atomic.Int64 // thresholds; off is never
	lanes []lane              // the running slice
	calls *calls              // in flight; nil unless Config.InFlight
	scale scale

	mu     sync.Mutex // guards what follows
	config Config
	ring   *ring // without what is in the lanes; nil until the first time is seen
	view   tally // ring.sum and the lanes, as of the last look
	n      uint64
	spare  tally // scratch
	stats  Stats
}

// lane is one stripe of the running slice: a count a bucket and one for each mark.
type lane []atomic.Uint32

// off is the threshold of a mark that counts nothing.
const off = time.Duration(math.MaxInt64)

// drainAt is when a count is taken out of its lane before the end of the slice, so that it cannot wrap.
const drainAt = 1 << 31

// New returns an empty Window. The error reports every bad field of c.
func New(c Config) (*Window, error) { return NewStriped(c, stripe.Count()) }

// NewStriped is New with the given number of stripes, a power of two: 1 for a Window among thousands, such as one a key,
// which is then small and slower when several cores record at once. Memory: (11+stripes)*4 bytes a bucket, 2 KB more a stripe
// with InFlight.
func NewStriped(c Config, stripes int) (*Window, error) {
	c, err := prepare(c)
	if err != nil {
		return nil, err
	}
	w := &Window{config: c, scale: c.scale(), lanes: make([]lane, stripes)}
	w.until.Store(math.MinInt64)
	for m := range w.marks {
		w.marks[m].Store(int64(off))
	}
	n := w.scale.buckets() + Marks
	for i := range w.lanes {
		w.lanes[i] = make(lane, n)
	}
	if c.InFlight {
		w.calls = newCalls(stripes)
	}
	w.view, w.spare = make(tally, n), make(tally, n)
	return w, nil
}

// Record adds the duration d of something that ended now. A negative d counts as the shortest, one beyond Longest as
// the longest.
func (w *Window) Record(now core.Time, d time.Duration) {
	now = now.Or()
	if int64(now) >= w.until.Load() {
		w.turn(now)
	}
	w.record(w.lanes[stripe.Of(len(w.lanes))], now, d)
}

func (w *Window) record(l lane, now core.Time, d time.Duration) {
	if l[w.scale.of(d)].Add(1) == drainAt {
		w.drain(now)
	}
	for m := range w.marks {
		if int64(d) > w.marks[m].Load() {
			if l[len(l)-Marks+m].Add(1) == drainAt {
				w.drain(now)
			}
		}
	}
	if w.fresh.Load() == 0 { // after the counts: whoever clears it reads them after that
		w.fresh.Store(1)
	}
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
	w.fresh.Store(1)
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
	w.fresh.Store(1)
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
	for _, l := range w.lanes {
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
	w.fresh.Store(1)
}

// look brings view and n up to now. mu is held.
func (w *Window) look(now core.Time) {
	w.catchUp(now.Or())
	w.stats.Looks++
	if w.fresh.Load() == 0 {
		return
	}
	w.fresh.Store(0) // before the counts are read: see record
	copy(w.view, w.ring.sum)
	for _, l := range w.lanes {
		simd.AddShared(w.view, l)
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
// On error nothing changes: a field out of range, or another layout (Buckets, InFlight) than it was made with.
func (w *Window) Tune(c Config) error {
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
	now := core.Now()
	w.catchUp(now)
	w.collect()
	w.begin(w.ring.resize(now, c.Window))
	w.fresh.Store(1)
	w.until.Store(int64(w.ring.grid.End(w.ring.at)))
	return nil
}

// Stats tells how much has gone through the kernels.
type Stats struct {
	Samples uint64 // durations counted, merged and expired by kernels
	Looks   uint64 // readings that were merged and searched by kernels
	Kernel  string // avx512, avx2 or go
}

// Stats returns the numbers so far. Durations of the running slice are not in them yet.
func (w *Window) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.stats
	s.Kernel = simd.Level()
	return s
}

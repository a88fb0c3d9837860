package latency

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/window"
)

// model is the reference: every duration with its slice, kept in a list and counted by going through it.
type model struct {
	scale  scale
	grid   window.Layout
	at     uint32
	marks  [Marks]time.Duration
	began  bool
	values []sample
	calls  []core.Time // calls in flight
}

type sample struct {
	slice uint32
	d     time.Duration
}

func (m *model) turn(now core.Time, length time.Duration) {
	if !m.began {
		m.grid, m.began = window.NewLayout(now, length), true
	}
	if to := m.grid.Index(now); int32(to-m.at) > 0 && now >= m.grid.End(m.at) {
		m.at = to
	}
}

func (m *model) record(now core.Time, length time.Duration, d time.Duration) {
	m.turn(now, length)
	m.values = append(m.values, sample{m.at, d})
}

func (m *model) held() (ds []time.Duration) {
	for _, v := range m.values {
		if m.at-v.slice < window.Slices {
			ds = append(ds, v.d)
		}
	}
	return ds
}

func (m *model) above(mark time.Duration) (n uint64) {
	for _, d := range m.held() {
		if mark > 0 && d > mark {
			n++
		}
	}
	return n
}

func (m *model) overdue(now core.Time, t time.Duration) (n int64) {
	limit := m.grid.Index(now.Add(-t))
	for _, start := range m.calls {
		if m.grid.Index(start) < limit {
			n++
		}
	}
	return n
}

// The window under one goroutine is the reference, on random sequences with gaps and with time that jumps back.
func TestWindowEqualsReference(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 3))
		c := Config{
			Window: time.Duration(1+r.IntN(50)) * 100 * time.Millisecond, Buckets: layouts[r.IntN(3)], InFlight: r.IntN(2) == 0,
		}
		w := mustStriped(t, c, 1<<r.IntN(4))
		m := &model{scale: c.scale()}
		m.marks = [Marks]time.Duration{anyDuration(r), anyDuration(r)}
		w.Mark(m.marks)
		now := epochs[r.IntN(len(epochs))]
		if now == math.MinInt64 {
			now++
		}
		for step := range 400 {
			switch r.IntN(20) {
			case 0:
				now = now.Add(time.Duration(r.Int64N(int64(3 * c.Window))))
			case 1:
				now = now.Add(-time.Duration(r.Int64N(int64(c.Window))))
			case 2:
				if r.IntN(10) == 0 {
					now = now.Add(time.Duration(r.Int64N(int64(100 * c.Window))))
				}
			default:
				now = now.Add(time.Duration(r.Int64N(int64(c.Window / 30))))
			}
			if now == 0 {
				now++
			}
			stepBoth(t, r, w, m, c, now)
			compare(t, w, m, now, r)
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed, step)
			}
		}
	}
}

func stepBoth(t *testing.T, r *rand.Rand, w *Window, m *model, c Config, now core.Time) {
	switch d := anyDuration(r); r.IntN(6) {
	case 0:
		ds := make([]time.Duration, r.IntN(40))
		for i := range ds {
			ds[i] = anyDuration(r)
		}
		m.turn(now, c.Window)
		w.RecordBatch(now, ds)
		for _, d := range ds {
			m.record(now, c.Window, d)
		}
	case 1:
		if c.InFlight {
			w.Begin(now)
			m.turn(now, c.Window)
			m.calls = append(m.calls, now)
		}
	case 2:
		if i := len(m.calls); i > 0 {
			i = r.IntN(i)
			w.End(m.calls[i], now, true)
			m.record(now, c.Window, now.Sub(m.calls[i]))
			m.calls = slices.Delete(m.calls, i, i+1)
		}
	default:
		w.Record(now, d)
		m.record(now, c.Window, d)
	}
}

func compare(t *testing.T, w *Window, m *model, now core.Time, r *rand.Rand) {
	m.turn(now, w.Config().Window)
	held := m.held()
	if got := w.Count(now); got != uint64(len(held)) {
		t.Errorf("the window holds %d durations, want %d", got, len(held))
		return
	}
	marked, _ := w.Marked(now)
	if want := [Marks]uint64{m.above(m.marks[0]), m.above(m.marks[1])}; marked != want {
		t.Errorf("above the marks %v: %v, want %v", m.marks, marked, want)
	}
	if w.Config().InFlight {
		limit := time.Duration(r.Int64N(int64(Spans * w.Config().Window)))
		if got, want := w.Overdue(now, limit), m.overdue(now, limit); got != want {
			t.Errorf("%d calls are overdue after %v, want %d of %d", got, limit, want, len(m.calls))
		}
		if got := w.InFlight(); got != int64(len(m.calls)) {
			t.Errorf("%d calls in flight, want %d", got, len(m.calls))
		}
	}
	checkWindow(t, w)
	if len(held) == 0 {
		return
	}
	slices.Sort(held)
	q := r.Float64()
	want := w.scale.value(int(w.scale.of(held[rank(q, uint64(len(held)))-1])))
	if got, _ := w.Snapshot(now).Quantile(q); got != want {
		t.Errorf("snapshot: p%.1f is %v, want %v", 100*q, got, want)
	}
	if got, ok := w.Quantile(now, q); ok != speaks(q, uint64(len(held))) || ok && got != want {
		t.Errorf("p%.1f is %v, %v, want %v", 100*q, got, ok, want)
	}
	var dst [1]time.Duration
	if w.Quantiles(now, dst[:], []float64{q}); dst[0] != want {
		t.Errorf("Quantiles: p%.1f is %v, want %v", 100*q, dst[0], want)
	}
}

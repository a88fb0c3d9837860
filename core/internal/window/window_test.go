package window

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var starts = []core.Time{0, 1, -1, 1e18, -8e17, math.MinInt64, math.MaxInt64 - core.Time(1000*time.Hour)}

// log is the reference: every result with its slice, counted by going through them all. It is right while time does not
// run backwards.
type log struct {
	layout Layout
	slices []uint32
	bad    []bool
}

func (l *log) add(now core.Time, bad bool) {
	l.slices, l.bad = append(l.slices, l.layout.Index(now)), append(l.bad, bad)
}

func (l *log) sum(now core.Time) (s Sum) {
	for k, at := range l.slices {
		switch {
		case l.layout.Index(now)-at >= Slices:
		case l.bad[k]:
			s.Bad++
		default:
			s.Good++
		}
	}
	return s
}

func TestRingAndCounterCountAsTheReference(t *testing.T) {
	for _, start := range starts {
		for seed := range uint64(20) {
			r := rand.New(rand.NewPCG(seed, 5))
			l := NewLayout(start, time.Duration(1+r.IntN(20))*time.Second)
			ref, ring, counter := &log{layout: l}, Ring{}, NewCounter(l, 4)
			now := start
			for range 500 {
				now = now.Add(time.Duration(r.Int64N(int64(3 * l.length / 2))))
				if r.IntN(50) == 0 {
					now = now.Add(time.Duration(r.Int64N(int64(20 * l.length))))
				}
				for range r.IntN(4) {
					bad := r.IntN(2) == 0
					ref.add(now, bad)
					ring.Add(l, now, bad)
					counter.Add(now, bad)
				}
				want := ref.sum(now)
				if got := ring.Sum(l, now); got != want {
					t.Fatalf("start %d, seed %d: Ring %+v, want %+v", start, seed, got, want)
				}
				if got := counter.Sum(now); got != want {
					t.Fatalf("start %d, seed %d: Counter %+v, want %+v", start, seed, got, want)
				}
			}
		}
	}
}

// Ring and a Counter of one stripe agree on every sequence, also when time jumps back, and when the layout changes.
func TestRingEqualsCounter(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 6))
		start := starts[r.IntN(len(starts))]
		l := NewLayout(start, time.Second)
		ring, counter, now := Ring{}, NewCounter(l, 1), start
		for i := range 300 {
			switch r.IntN(8) {
			case 0:
				now = now.Add(-time.Duration(r.Int64N(int64(3 * time.Second))))
			case 1:
				now = now.Add(time.Duration(r.Int64N(int64(3 * time.Second))))
			case 2:
				if r.IntN(10) == 0 {
					to := NewLayout(now.Add(-5*time.Second), time.Duration(1+r.IntN(30))*time.Second)
					ring, counter = ring.Resize(l, to, now), counter.Resize(to, now)
					l = to
				}
			default:
				now = now.Add(time.Duration(r.Int64N(int64(l.length))))
			}
			bad := r.IntN(3) == 0
			ring.Add(l, now, bad)
			counter.Add(now, bad)
			at := now.Add(time.Duration(r.Int64N(int64(4*time.Second)) - int64(2*time.Second)))
			if a, b := ring.Sum(l, at), counter.Sum(at); a != b {
				t.Fatalf("seed %d, step %d: Ring %+v, Counter %+v", seed, i, a, b)
			}
		}
		if counter.Layout() != l {
			t.Fatal("another layout")
		}
	}
}

func TestReadsExpire(t *testing.T) {
	l := NewLayout(100, 10*time.Second)
	ring, counter := Ring{}, NewCounter(l, 2)
	ring.Add(l, 100, true)
	counter.Add(100, true)
	for _, tt := range []struct {
		after time.Duration
		want  int64
	}{{0, 1}, {10*time.Second - 1000, 1}, {10 * time.Second, 0}, {time.Hour, 0}, {5 * 365 * 24 * time.Hour, 0}} {
		now := core.Time(100).Add(tt.after)
		if a, b := ring.Sum(l, now).Bad, counter.Sum(now).Bad; a != tt.want || b != tt.want {
			t.Errorf("after %v: Ring %d, Counter %d, want %d", tt.after, a, b, tt.want)
		}
	}
}

func TestCountsSaturate(t *testing.T) {
	l := NewLayout(0, time.Second)
	ring, counter := Ring{}, NewCounter(l, 1)
	ring.good[3] = slot{at: 3, n: math.MaxUint32 - 1}
	counter.stripes[0].good[3].Store(ring.good[3].word())
	now := l.Middle(3)
	for range 5 {
		ring.Add(l, now, false)
		counter.Add(now, false)
	}
	want := Sum{Good: math.MaxUint32}
	if a, b := ring.Sum(l, now), counter.Sum(now); a != want || b != want {
		t.Errorf("Ring %+v, Counter %+v, want %+v", a, b, want)
	}
	to := NewLayout(0, time.Hour) // two full slices in one
	ring.good[4] = slot{at: 4, n: 7}
	resized := ring.Resize(l, to, now)
	if got := resized.Sum(to, now); got != want {
		t.Errorf("resized: %+v, want %+v", got, want)
	}
}

// Index is a division; the multiplication in its place is off by less than promised.
func TestIndexIsTheDivision(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 7))
	for range 100_000 {
		slice := time.Duration(1 + r.Int64N(int64(6*time.Minute)))
		if r.IntN(2) == 0 {
			slice = []time.Duration{100 * time.Millisecond, time.Second, 6 * time.Minute, 333_333_333}[r.IntN(4)]
		}
		start := core.Time(r.Uint64()) / 4
		l := NewLayout(start, slice*Slices)
		elapsed := r.Int64N(int64(100 * 24 * time.Hour))
		got, want := uint64(l.Index(start.Add(time.Duration(elapsed)))), uint64(elapsed)/uint64(slice)
		if got == uint64(uint32(want)) {
			continue
		}
		early := elapsed + int64(slice)/1000 + 1
		if got != uint64(uint32(want+1)) || uint64(early)/uint64(slice) != want+1 {
			t.Fatalf("slice %v, elapsed %d: index %d, want %d", slice, elapsed, got, want)
		}
	}
}

func TestIndexAtTheEndsOfTime(t *testing.T) {
	l := NewLayout(math.MinInt64+1, time.Hour)
	if l.Index(math.MinInt64) != 0 {
		t.Error("before the start is not slice 0")
	}
	hours := uint64(math.MaxUint64) / uint64(6*time.Minute)
	if got := l.Index(math.MaxInt64); got != uint32(hours) && got != uint32(hours)+1 {
		t.Errorf("at the end of time: slice %d, want %d", got, uint32(hours))
	}
}

func TestResizeKeepsWhatFits(t *testing.T) {
	l := NewLayout(0, 10*time.Second)
	var ring Ring
	for s := range core.Time(10) {
		ring.Add(l, s*1e9+1, s%2 == 0)
	}
	now := core.Time(9.5e9)
	for _, tt := range []struct {
		length time.Duration
		want   int64
	}{{10 * time.Second, 10}, {20 * time.Second, 10}, {time.Hour, 10}, {5 * time.Second, 5}, {time.Second, 1}} {
		to := NewLayout(now.Add(-tt.length), tt.length)
		resized := ring.Resize(l, to, now)
		if got := resized.Sum(to, now).Total(); got < tt.want-1 || got > tt.want {
			t.Errorf("in %v: %d results, want %d or one less", tt.length, got, tt.want)
		}
		if got := resized.Sum(to, now.Add(tt.length+tt.length/Slices)).Total(); got != 0 {
			t.Errorf("in %v: %d results do not expire", tt.length, got)
		}
	}
	if old := ring.Resize(l, NewLayout(0, time.Second), 1e12); old != (Ring{}) {
		t.Errorf("what is out of the window is kept: %+v", old)
	}
}

func TestSpans(t *testing.T) {
	l := NewLayout(5, 10*time.Second)
	if !l.Spans(10*time.Second) || l.Spans(11*time.Second) || l.Spans(time.Second) {
		t.Error("Spans")
	}
}

// Nothing recorded in one window is lost or counted twice.
func TestCounterConcurrently(t *testing.T) {
	l := NewLayout(0, time.Second)
	c := NewCounter(l, 4)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 10_000 {
				c.Add(core.Time(i%10)*core.Time(l.length)+1, g%2 == 0)
				if i%1000 == 0 {
					c.Sum(core.Time(i))
				}
			}
		})
	}
	wg.Wait()
	if got, want := c.Sum(l.Middle(9)), (Sum{40_000, 40_000}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestAllocs(t *testing.T) {
	l := NewLayout(0, time.Second)
	c, ring := NewCounter(l, 2), Ring{}
	if n := testing.AllocsPerRun(100, func() { c.Add(5, true); c.Sum(5); ring.Add(l, 5, true); ring.Sum(l, 5) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

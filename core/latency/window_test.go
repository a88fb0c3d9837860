package latency

import (
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

func TestBadConfig(t *testing.T) {
	for _, tt := range []struct {
		c    Config
		want string
	}{
		{Config{Window: time.Millisecond}, "window: 1ms is not allowed; allowed: 100ms..5m"},
		{Config{Window: -1}, "window: -1ns is not allowed"},
		{Config{Window: time.Hour}, "window: 1h is not allowed"},
		{Config{Buckets: 100}, "buckets: 100 is not allowed; allowed: 208|416|832"},
	} {
		if _, err := New(tt.c); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("New(%+v): %v, want %q", tt.c, err, tt.want)
		}
	}
	w, err := New(Config{})
	if err != nil || w.Config() != (Config{Window: 10 * time.Second, Buckets: 208}) {
		t.Errorf("the zero Config: %+v, %v", w.Config(), err)
	}
}

func TestTuneKeepsTheLayout(t *testing.T) {
	w := mustNew(t, Config{})
	for _, tt := range []struct {
		c    Config
		want string
	}{
		{Config{Buckets: 416}, "buckets: 416"}, {Config{InFlight: true}, "in_flight: true"}, {Config{Window: 1}, "window: 1ns"},
	} {
		if err := w.Tune(0, tt.c); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Tune(%+v): %v, want %q", tt.c, err, tt.want)
		}
	}
	if w.Config().Window != 10*time.Second {
		t.Error("a refused Tune changed something")
	}
}

func TestEmptyWindow(t *testing.T) {
	w := mustNew(t, Config{InFlight: true})
	for _, q := range []float64{0, 0.5, 1, math.NaN(), -1, 2, math.Inf(1)} {
		if d, ok := w.Quantile(0, q); ok || d != 0 {
			t.Errorf("p%v of nothing is %v", q, d)
		}
		if _, ok := w.Snapshot(0).Quantile(q); ok {
			t.Errorf("p%v of an empty snapshot", q)
		}
	}
	if above, n := w.Above(0, time.Second); above != 0 || n != 0 || w.Overdue(0, 0) != 0 || w.InFlight() != 0 || w.Count(0) != 0 {
		t.Error("an empty window holds something")
	}
	if w.ErrorBound() != 0.0625 || (Snapshot{}).ErrorBound() != 0 || (Snapshot{}).Above(0) != 0 {
		t.Error("bounds of nothing")
	}
	w.RecordBatch(0, nil)
	if w.Count(0) != 0 {
		t.Error("an empty batch recorded something")
	}
}

// What is recorded expires though nobody records any more, after at most a window and not before nine tenths of it.
func TestReadsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := mustNew(t, Config{Window: time.Second, InFlight: true})
		w.Record(0, time.Millisecond)
		w.Begin(core.Now())
		time.Sleep(900*time.Millisecond - 1)
		if w.Count(0) != 1 {
			t.Error("gone too early")
		}
		time.Sleep(101 * time.Millisecond)
		if w.Count(0) != 0 || w.Snapshot(0).Count() != 0 {
			t.Error("not expired")
		}
		time.Sleep(1000 * time.Hour)
		if w.Count(0) != 0 || w.Overdue(0, time.Minute) != 1 {
			t.Error("after a long gap")
		}
	})
}

// A clock that steps back records into the running slice; one that steps far ahead forgets.
func TestClockSteps(t *testing.T) {
	w := mustNew(t, Config{Window: time.Second})
	w.Record(1e9, 5*time.Millisecond)
	w.Record(-1e18, 5*time.Millisecond)
	w.Record(math.MinInt64, 5*time.Millisecond)
	if n := w.Count(1); n != 3 {
		t.Errorf("%d after steps back, want 3", n)
	}
	w.Record(math.MaxInt64, 5*time.Millisecond)
	if n := w.Count(1); n != 1 {
		t.Errorf("%d after a step to the end of time, want 1", n)
	}
	checkWindow(t, w)
}

func TestTuneKeepsWhatFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := mustNew(t, Config{Window: 10 * time.Second, InFlight: true})
		for range 10 {
			w.Record(0, 3*time.Millisecond)
			w.Begin(core.Now())
			time.Sleep(time.Second)
		}
		for _, tt := range []struct {
			window time.Duration
			most   uint64
		}{{20 * time.Second, 10}, {10 * time.Second, 10}, {5 * time.Second, 6}, {2 * time.Second, 4}} {
			if err := w.Tune(0, Config{Window: tt.window, InFlight: true}); err != nil {
				t.Fatal(err)
			}
			checkWindow(t, w)
			if n := w.Count(0); n > tt.most || n+1 < tt.most && tt.most == 10 || n == 0 {
				t.Errorf("%d durations in %v", n, tt.window)
			}
			if n := w.InFlight(); n != 10 {
				t.Errorf("%d calls in flight after Tune to %v, want 10", n, tt.window)
			}
		}
		// Six are; in slices of 2s for a while, two of them have become younger by up to that.
		if n := w.Overdue(0, 4500*time.Millisecond); n < 4 || n > 6 {
			t.Errorf("%d of 10 calls are overdue after 4.5s, want 4 to 6", n)
		}
		time.Sleep(10 * time.Second)
		if n := w.Overdue(0, 10*time.Second); n < 9 {
			t.Errorf("%d of 10 calls are overdue after 10s", n)
		}
	})
}

// A window that is tuned before it has filled, or in the middle of a long slice, keeps every duration, once.
func TestTuneOfAYoungWindow(t *testing.T) {
	tune := func(w *Window, window time.Duration, want uint64) {
		t.Helper()
		if err := w.Tune(0, Config{Window: window}); err != nil {
			t.Fatal(err)
		}
		if n := w.Count(0); n != want {
			t.Errorf("%d durations after Tune to %v, want %d", n, window, want)
		}
		checkWindow(t, w)
	}
	synctest.Test(t, func(t *testing.T) {
		w := mustNew(t, Config{Window: 10 * time.Second})
		for range 3 {
			w.Record(0, time.Millisecond)
			time.Sleep(900 * time.Millisecond) // within the first slice, then the second and the third
		}
		for _, window := range []time.Duration{8 * time.Second, time.Minute, 5 * time.Minute} {
			tune(w, window, 3)
		}
		time.Sleep(10 * time.Minute)
		w.Record(0, time.Millisecond)
		time.Sleep(25 * time.Second) // of 30, so the middle of the slice is over ten seconds ago
		tune(w, 10*time.Second, 1)
	})
}

func TestMarksFollowAChange(t *testing.T) {
	w := mustNew(t, Config{})
	for i := range 100 {
		w.Record(1, time.Duration(i+1)*time.Millisecond)
	}
	want := func(mark time.Duration, least, most uint64) {
		t.Helper()
		w.Mark([Marks]time.Duration{mark, -1})
		above, n := w.Marked(1)
		if n != 100 || above[0] < least || above[0] > most || above[1] != 0 {
			t.Errorf("%d and %d of %d are above %v, want %d to %d and none", above[0], above[1], n, mark, least, most)
		}
	}
	want(0, 0, 0)
	want(50*time.Millisecond, 46, 54) // by the buckets: recorded before
	want(50*time.Millisecond, 46, 54)
	for range 100 { // exactly: recorded since
		w.Record(1, 50*time.Millisecond)
		w.Record(1, 50*time.Millisecond+1)
	}
	above, _ := w.Marked(1)
	if above[0] < 146 || above[0] > 154 {
		t.Errorf("%d above the mark after 100 just above it and 100 at it", above[0])
	}
	w.Mark([Marks]time.Duration{})
	if above, _ := w.Marked(1); above != [Marks]uint64{} {
		t.Errorf("marks that are off count %v", above)
	}
}

// Nothing that is recorded by many goroutines while slices turn is lost or counted twice.
func TestNothingIsLostConcurrently(t *testing.T) {
	w := mustNew(t, Config{Window: 5 * time.Minute, InFlight: true})
	w.Mark([Marks]time.Duration{time.Millisecond, 0})
	const each, goroutines = 5000, 8
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			now := core.Time(1)
			for i := range each {
				now = now.Add(50 * time.Millisecond) // 250 s in all: through eight slices
				w.Begin(now)
				w.End(now, now.Add(2*time.Millisecond), true)
				if i%100 == g {
					w.Quantile(now, 0.5)
				}
			}
		})
	}
	wg.Wait()
	end := core.Time(1).Add(each * 50 * time.Millisecond)
	marked, n := w.Marked(end)
	if n != each*goroutines || marked[0] != n || w.InFlight() != 0 {
		t.Errorf("%d durations, %v marked, %d in flight; want %d, all, none", n, marked, w.InFlight(), each*goroutines)
	}
	checkWindow(t, w)
}

// Calls that begin and end while the window is tuned are neither lost nor left behind.
func TestCallsInFlightSurviveTunesUnderLoad(t *testing.T) {
	w := mustNew(t, Config{Window: time.Second, InFlight: true})
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				now := core.Now()
				w.Begin(now)
				w.End(now, core.Now(), true)
			}
		})
	}
	for i := range 300 {
		if err := w.Tune(0, Config{Window: time.Duration(1+i%7) * time.Second, InFlight: true}); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	if n := w.InFlight(); n != 0 {
		t.Errorf("%d calls are in flight after all have ended", n)
	}
	checkWindow(t, w)
}

// A count cannot wrap within a slice: it is taken out of its lane half way.
func TestCountsDoNotWrap(t *testing.T) {
	w := mustStriped(t, Config{}, 1)
	w.Record(1, time.Second)
	w.cells.counts[w.scale.of(time.Second)].Store(drainAt - 1)
	for range 10 {
		w.Record(1, time.Second)
	}
	if n := w.Count(1); n != drainAt+9 {
		t.Errorf("%d, want %d", n, uint64(drainAt+9))
	}
	for range 3 {
		w.cells.counts[w.scale.of(time.Second)].Store(drainAt - 1)
		w.Record(1, time.Second)
	}
	if n := w.Count(1); n != 1<<32-1 {
		t.Errorf("%d, want the end of the range", n)
	}
	checkWindow(t, w)
	if n := w.Count(core.Time(time.Minute)); n != 0 {
		t.Errorf("%d do not expire", n)
	}
	checkWindow(t, w)
}

// A sum that has saturated over several slices is right again once it holds less.
func TestSaturatedSumRecovers(t *testing.T) {
	r := newRing(3, 0, 10*time.Second)
	big := make(tally, len(r.sum))
	for s := range core.Time(10) {
		r.advance(s * 1e9)
		big[7], big[len(big)-1] = 1<<31, 5
		r.add(big)
		check(t, r)
	}
	for s := core.Time(10); s < 20; s++ {
		r.advance(s * 1e9)
		check(t, r)
	}
	if r.total != 0 || r.sum[7] != 0 {
		t.Errorf("total %d, sum %d after all is over", r.total, r.sum[7])
	}
}

func TestAllocs(t *testing.T) {
	w := mustNew(t, Config{InFlight: true})
	w.Mark([Marks]time.Duration{time.Millisecond, time.Second})
	ds, out := make([]time.Duration, 64), make([]time.Duration, 3)
	qs := []float64{0.5, 0.9, 0.99}
	now := core.Time(1)
	for name, f := range map[string]func(){
		"Record": func() { w.Record(now, 1e6) }, "RecordBatch": func() { w.RecordBatch(now, ds) },
		"calls": func() { w.Begin(now); w.End(now, now, true) }, "Quantile": func() { w.Quantile(now, 0.5) },
		"Quantiles": func() { w.Quantiles(now, out, qs) }, "Above": func() { w.Above(now, 1e6) },
		"Marked": func() { w.Marked(now) }, "Overdue": func() { w.Overdue(now, 1e6) },
		"turn": func() { now = now.Add(time.Second); w.Record(now, 1e6) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestStatsCountWhatGoesThroughKernels(t *testing.T) {
	w := mustNew(t, Config{})
	w.Record(1, 1e6)
	w.RecordBatch(1, make([]time.Duration, 10))
	w.Quantile(1, 0.5)
	if s := w.Stats(); s.Samples != 10 || s.Looks != 1 || s.Kernel == "" {
		t.Errorf("%+v while the single one is in its lane", s)
	}
	w.Quantile(core.Time(time.Minute), 0.5)
	if s := w.Stats(); s.Samples != 11 || s.Looks != 2 {
		t.Errorf("%+v after the slice has ended", s)
	}
}

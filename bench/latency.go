package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/latency"
)

// held is how many durations the windows of the quantile rows hold.
const held = 100_000

func latencyRows() []Row {
	return []Row{
		{
			Name: "LatencyRecord", About: "record one duration, from many goroutines",
			Contestants: []Contestant{{Ours, oursRecord}, {"hdr", hdrRecord}, {"prometheus", prometheusObserve}},
		},
		{
			Name: "LatencyP99", About: "the 99th percentile of 100,000 durations, nothing new since the last",
			Contestants: []Contestant{{Ours, func() Subject { return oursQuantile(false) }}, {"hdr", func() Subject { return hdrQuantile(false) }}},
		},
		{
			Name: "LatencyP99Fresh", About: "the same after one more duration each time",
			Contestants: []Contestant{{Ours, func() Subject { return oursQuantile(true) }}, {"hdr", func() Subject { return hdrQuantile(true) }}},
		},
		{
			Name: "BreakerWatch", About: "ours, closed: Acquire and Done with a time handed in, with rules on slow calls and without",
			Contestants: []Contestant{{Ours, func() Subject {
				b := mw.Must(breaker.New("bench", breaker.Config{Latency: breaker.Latency{Watch: true}}, breaker.Hooks{}))
				return Subject{Loop: givenTimePair(b)}
			}}, {"plain", func() Subject { return Subject{Loop: givenTimePair(oursClosed())} }}},
		},
	}
}

// sampled are durations of a healthy dependency with a long tail.
var sampled = sync.OnceValue(func() (ds [4096]time.Duration) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range ds {
		ds[i] = time.Duration(math.Exp(0.6*r.NormFloat64()) * 5e6)
		if r.IntN(100) == 0 {
			ds[i] *= 30
		}
	}
	return ds
})

func newWindow() *latency.Window {
	return mw.Must(latency.New(latency.Config{Window: time.Minute}))
}

// holds checks that as many durations are there as were recorded.
func holds(got, want int) error {
	if got != want {
		return fmt.Errorf("%d durations, want %d", got, want)
	}
	return nil
}

func oursRecord() Subject {
	w, ds, now := newWindow(), sampled(), core.Now()
	return Subject{
		Loop: func(from, n int) int {
			for i := range n {
				w.Record(now, ds[(from+i)%len(ds)])
			}
			return n
		},
		Check: func(calls int) error { return holds(int(w.Count(now)), calls) },
	}
}

// lockedHdr is how HdrHistogram is shared by goroutines: it has no lock of its own.
type lockedHdr struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

// newHdr covers the range of ours at 2 significant digits.
func newHdr() *lockedHdr {
	return &lockedHdr{h: hdrhistogram.New(int64(latency.Least), int64(latency.Longest), 2)}
}

func (l *lockedHdr) record(d time.Duration) bool {
	l.mu.Lock()
	err := l.h.RecordValue(int64(d))
	l.mu.Unlock()
	return err == nil
}

func hdrRecord() Subject {
	l, ds := newHdr(), sampled()
	return Subject{
		Loop: func(from, n int) (done int) {
			for i := range n {
				if l.record(ds[(from+i)%len(ds)]) {
					done++
				}
			}
			return done
		},
		Check: func(calls int) error { return holds(int(l.h.TotalCount()), calls) },
	}
}

func prometheusObserve() Subject {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "bench", NativeHistogramBucketFactor: 1.1})
	ds := sampled()
	return Subject{
		Loop: func(from, n int) int {
			for i := range n {
				h.Observe(ds[(from+i)%len(ds)].Seconds())
			}
			return n
		},
		Check: func(calls int) error {
			var m dto.Metric
			if err := h.Write(&m); err != nil {
				return err
			}
			return holds(int(m.GetHistogram().GetSampleCount()), calls)
		},
	}
}

func oursQuantile(fresh bool) Subject {
	w, ds, now := newWindow(), sampled(), core.Now()
	for i := range held {
		w.Record(now.Add(time.Duration(i)*500*time.Microsecond), ds[i%len(ds)]) // through nearly all slices
	}
	now = now.Add(held * 500 * time.Microsecond)
	return Subject{Loop: func(from, n int) (done int) {
		for i := range n {
			if fresh {
				w.Record(now, ds[(from+i)%len(ds)])
			}
			if d, ok := w.Quantile(now, 0.99); ok && d > 0 {
				done++
			}
		}
		return done
	}}
}

func hdrQuantile(fresh bool) Subject {
	l, ds := newHdr(), sampled()
	for i := range held {
		l.record(ds[i%len(ds)])
	}
	return Subject{Loop: func(from, n int) (done int) {
		for i := range n {
			if fresh {
				l.record(ds[(from+i)%len(ds)])
			}
			l.mu.Lock()
			v := l.h.ValueAtQuantile(99)
			l.mu.Unlock()
			if v > 0 {
				done++
			}
		}
		return done
	}}
}

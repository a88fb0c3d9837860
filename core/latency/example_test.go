package latency_test

import (
	"fmt"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/latency"
)

func ExampleWindow() {
	w := mw.Must(latency.New(latency.Config{Window: 10 * time.Second}))
	for i := range 1000 {
		w.Record(0, time.Duration(i+1)*time.Millisecond) // 1ms to 1s
	}
	p90, ok := w.Quantile(0, 0.9)
	fmt.Println(ok, p90 > 850*time.Millisecond && p90 < 950*time.Millisecond)
	_, ok = w.Quantile(0, 0.999) // one duration lies beyond it: too few
	fmt.Println(ok)
	// Output:
	// true true
	// false
}

// A call that hangs shows before it ends.
func ExampleWindow_Overdue() {
	w := mw.Must(latency.New(latency.Config{Window: time.Second, InFlight: true}))
	start := core.Now()
	w.Begin(start) // hangs
	w.Begin(start) // takes 3ms
	w.End(start, start.Add(3*time.Millisecond), true)
	later := start.Add(5 * time.Second)
	fmt.Println(w.InFlight(), w.Overdue(later, 4*time.Second), w.Overdue(later, 6*time.Second))
	// Output: 1 1 0
}

// Snapshots of several windows merge, and go to metric systems within the same bound of error.
func ExampleSnapshot_Merge() {
	a, b := mw.Must(latency.New(latency.Config{})), mw.Must(latency.New(latency.Config{}))
	a.Record(0, time.Millisecond)
	b.RecordBatch(0, []time.Duration{10 * time.Millisecond, time.Second})
	var all latency.Snapshot
	fmt.Println(all.Merge(a.Snapshot(0)), all.Merge(b.Snapshot(0)))
	median, _ := all.Quantile(0.5)
	fmt.Println(all.Count(), median.Round(time.Millisecond), len(all.Native(8).Deltas))
	// Output:
	// <nil> <nil>
	// 3 10ms 3
}

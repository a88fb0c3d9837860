package latency

import (
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

func BenchmarkRecord(b *testing.B) {
	w, _ := New(Config{})
	now := core.Now()
	b.RunParallel(func(pb *testing.PB) {
		for d := time.Duration(1e6); pb.Next(); d += 1000 {
			w.Record(now, d)
		}
	})
}

func BenchmarkRecordBatch(b *testing.B) {
	w, _ := New(Config{})
	ds := make([]time.Duration, 4096)
	for i := range ds {
		ds[i] = time.Duration(i) * time.Microsecond
	}
	for now := core.Now(); b.Loop(); {
		w.RecordBatch(now, ds)
	}
}

func BenchmarkCall(b *testing.B) {
	w, _ := New(Config{InFlight: true})
	for now := core.Now(); b.Loop(); {
		w.Begin(now)
		w.End(now, now+1e6, true)
	}
}

// BenchmarkQuantile is a look that finds nothing new, and one that does.
func BenchmarkQuantile(b *testing.B) {
	for name, fresh := range map[string]bool{"unchanged": false, "changed": true} {
		b.Run(name, func(b *testing.B) {
			w, _ := New(Config{})
			now := core.Now()
			for d := range time.Duration(10_000) {
				w.Record(now, d*10_000)
			}
			for b.Loop() {
				if fresh {
					w.Record(now, 1e6)
				}
				w.Quantile(now, 0.99)
			}
		})
	}
}

func BenchmarkTurn(b *testing.B) {
	w, _ := New(Config{})
	for now := core.Now(); b.Loop(); {
		now += core.Time(time.Second)
		w.Record(now, 1e6)
	}
}

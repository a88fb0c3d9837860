package adaptive

import (
	"testing"

	"github.com/mw-go/mw/core"
)

func BenchmarkAcquire(b *testing.B) {
	for _, bm := range []struct {
		name  string
		timed bool
		call  func() core.Call
	}{
		{"sampled", false, func() core.Call { return core.Call{} }},
		{"all timed", true, func() core.Call { return core.Call{} }},
		{"given time", true, func() core.Call { return core.Call{Now: 1} }},
	} {
		b.Run(bm.name, func(b *testing.B) {
			l := limiter(b, Config{})
			if bm.timed {
				l.gate.due.Store(1 << 62) // no ticks, so thin stays 0
			}
			l.gate.seen.Store(1<<ranks - 1)
			c := bm.call()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if bm.timed && i%(full/2) == 0 {
					l.counters.drain() // else a full stripe would save most of the work
				}
				p, _ := l.Acquire(bg, c)
				p.Done(2*c.Now, core.Success)
			}
		})
	}
}

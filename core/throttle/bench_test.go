package throttle

import (
	"testing"

	"github.com/mw-go/mw/core"
)

func BenchmarkAcquire(b *testing.B) {
	for _, bm := range []struct {
		name string
		o    core.Outcome
	}{{"accepted", core.Success}, {"mostly rejected", core.Overload}} {
		b.Run(bm.name, func(b *testing.B) {
			th := throttler(b, Config{})
			b.ReportAllocs()
			for b.Loop() {
				p, _ := th.Acquire(bg, core.Call{})
				p.Done(0, bm.o)
			}
		})
	}
}

package latency

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// FuzzWindow plays op bytes on a window. Whatever the ops, the running sum is that of the slices, what is held is no more
// than what was recorded, quantiles ascend, and no call is lost.
func FuzzWindow(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26})
	f.Add([]byte("\x00\xff\xff\xff\xff\xff\xff\xff\x7f\x05\x00\x00\x00\x00\x00\x00\x00\x80\x01\x02\x03\x04\x05\x06\x07\x08\x09"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		w := mustStriped(t, Config{Window: time.Second, InFlight: true}, 2)
		now, recorded, calls := core.Time(1), uint64(0), []core.Time(nil)
		for ops = ops[:min(len(ops), 3000)]; len(ops) >= 9; ops = ops[9:] {
			arg := int64(binary.LittleEndian.Uint64(ops[1:]))
			switch ops[0] % 8 {
			case 0, 1:
				now = now.Add(time.Duration(arg % int64(3*time.Second)))
			case 2:
				now = now.Add(time.Duration(arg % int64(3*365*24*time.Hour))) // a slice's number is good for six years
			case 3:
				w.Begin(now.Or())
				calls = append(calls, now)
			case 4:
				if len(calls) > 0 {
					w.End(calls[0], now, true)
					calls = calls[1:]
					recorded++
				}
			case 5:
				w.Mark([Marks]time.Duration{time.Duration(arg), time.Duration(-arg)})
			default:
				w.Record(now, time.Duration(arg))
				recorded++
			}
			if now == 0 {
				now = 1
			}
			judge(t, w, now, recorded, int64(len(calls)))
		}
	})
}

func judge(t *testing.T, w *Window, now core.Time, recorded uint64, calls int64) {
	checkWindow(t, w)
	var d [3]time.Duration
	if n := w.Quantiles(now, d[:], []float64{0.1, 0.5, 0.9}); n > recorded {
		t.Fatalf("%d durations of %d", n, recorded)
	}
	if d[0] > d[1] || d[1] > d[2] {
		t.Fatalf("quantiles %v do not ascend", d)
	}
	if got := w.InFlight(); got != calls {
		t.Fatalf("%d calls in flight, want %d", got, calls)
	}
	if got := w.Overdue(now, 0); got > calls || got < 0 {
		t.Fatalf("%d of %d calls overdue", got, calls)
	}
	if marked, n := w.Marked(now); marked[0] > n || marked[1] > n {
		t.Fatalf("%v of %d are above the marks", marked, n)
	}
}

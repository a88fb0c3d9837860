package latency

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/simd"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustNew(t testing.TB, c Config) *Window { return mustStriped(t, c, 4) }

func mustStriped(t testing.TB, c Config, stripes int) *Window {
	t.Helper()
	w, err := NewStriped(c, stripes)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

var layouts = []int{208, 416, 832}

// starts of time that a window must cope with.
var epochs = []core.Time{1, -1, 1e18, -8e17, math.MinInt64, math.MaxInt64 - core.Time(1000*time.Hour)}

// anyDuration draws durations of all sizes, the impossible ones too.
func anyDuration(r *rand.Rand) time.Duration {
	switch r.IntN(12) {
	case 0:
		return time.Duration(r.Uint64())
	case 1:
		return []time.Duration{0, -1, math.MinInt64, math.MaxInt64, Least, Least - 1, Longest, Longest - 1}[r.IntN(8)]
	default:
		return time.Duration(math.Exp(r.Float64()*27) * 100)
	}
}

// check is the one validator of a ring: the running sum is the sum of the slices, and total is what they hold.
func check(t testing.TB, r *ring) {
	t.Helper()
	if r == nil {
		return
	}
	sum, total := make(tally, len(r.sum)), uint64(0)
	for _, s := range r.slices {
		simd.AddUint32(sum, s)
		total += simd.Sum(r.buckets(s))
	}
	if total != r.total {
		t.Fatalf("total is %d, the slices hold %d", r.total, total)
	}
	for i := range sum {
		if sum[i] != r.sum[i] {
			t.Fatalf("sum of bucket %d is %d, that of the slices is %d", i, r.sum[i], sum[i])
		}
	}
}

// checkWindow is check, and what holds between a window and its ring.
func checkWindow(t testing.TB, w *Window) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	check(t, w.ring)
}

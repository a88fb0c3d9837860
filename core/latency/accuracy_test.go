package latency

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// distributions are what durations look like, the friendly and the unfriendly.
var distributions = []struct {
	name string
	draw func(r *rand.Rand) float64 // nanoseconds
}{
	{"log-normal", func(r *rand.Rand) float64 { return math.Exp(0.6*r.NormFloat64()) * 1e7 }},
	{"pareto", func(r *rand.Rand) float64 { return 2e6 / math.Pow(1-r.Float64(), 1/1.1) }},
	{"bimodal", func(r *rand.Rand) float64 {
		if r.IntN(10) == 0 {
			return 2e9 + 1e8*r.Float64()
		}
		return 1e6 + 1e5*r.Float64()
	}},
	{"constant", func(*rand.Rand) float64 { return 123_456_789 }},
	{"bucket ends", func(r *rand.Rand) float64 { // the worst places: the first and last nanosecond of buckets
		k := scale(3)
		i := r.IntN(k.buckets())
		return float64(k.low(i+r.IntN(2)) - int64(r.IntN(2)))
	}},
	{"powers of two", func(r *rand.Rand) float64 { return float64(int64(1)<<(11+r.IntN(24)) - int64(r.IntN(2))) }},
}

func TestQuantilesAreWithinTheBound(t *testing.T) {
	qs := []float64{0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1}
	for _, dist := range distributions {
		for _, n := range layouts {
			r := rand.New(rand.NewPCG(uint64(n), 4))
			w := mustNew(t, Config{Buckets: n})
			exact := make([]time.Duration, 20_000)
			for i := range exact {
				exact[i] = min(max(time.Duration(dist.draw(r)), Least), Longest-1)
				w.Record(1, exact[i])
			}
			slices.Sort(exact)
			var got [10]time.Duration
			if w.Quantiles(1, got[:], qs) != uint64(len(exact)) {
				t.Fatal("durations are missing")
			}
			for i, q := range qs {
				want := exact[rank(q, uint64(len(exact)))-1]
				if off := math.Abs(float64(got[i]-want)) / float64(want); off > w.ErrorBound() {
					t.Errorf("%s, %d buckets, p%v: %v, exactly %v: off by %.4f, the bound is %.4f",
						dist.name, n, 100*q, got[i], want, off, w.ErrorBound())
				}
				if s, ok := w.Snapshot(1).Quantile(q); !ok || s != got[i] {
					t.Errorf("%s: the snapshot says %v, the window %v", dist.name, s, got[i])
				}
			}
		}
	}
}

// A bound that no reading could miss would prove nothing: the worst case comes near it.
func TestTheBoundIsTight(t *testing.T) {
	for _, n := range layouts {
		k := Config{Buckets: n}.scale()
		worst := 0.0
		for i := range n {
			for _, v := range []int64{k.low(i), k.low(i+1) - 1} {
				worst = max(worst, math.Abs(float64(k.value(i))-float64(v))/float64(v))
			}
		}
		if worst > k.bound() || worst < 0.9*k.bound() {
			t.Errorf("%d buckets: the worst error is %.4f, the bound %.4f", n, worst, k.bound())
		}
	}
}

func TestQuantilesInAnyOrder(t *testing.T) {
	w := mustNew(t, Config{})
	for i := range 1000 {
		w.Record(1, time.Duration(i+1)*time.Millisecond)
	}
	qs := []float64{0.9, 0.1, math.NaN(), 0.5, -1, 2, 0.99, 0, 1, 0.5, 0.3}
	got := make([]time.Duration, len(qs))
	w.Quantiles(1, got, qs)
	for i, q := range qs {
		want, ok := w.Snapshot(1).Quantile(q)
		if !ok {
			want = -1
		}
		if got[i] != want {
			t.Errorf("p%v: %v, want %v", 100*q, got[i], want)
		}
	}
	short := make([]time.Duration, 2)
	if n := w.Quantiles(1, short, qs); n != 1000 || short[1] != got[1] {
		t.Errorf("into a short slice: %v of %d", short, n)
	}
}

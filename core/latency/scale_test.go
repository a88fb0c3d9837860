package latency

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestBucketsTileTheRange(t *testing.T) {
	for _, n := range layouts {
		k := Config{Buckets: n}.scale()
		if k.buckets() != n {
			t.Fatalf("scale of %d buckets has %d", n, k.buckets())
		}
		if k.low(0) != int64(Least) || k.low(n) != int64(Longest) {
			t.Errorf("%d buckets from %d to %d, want %d to %d", n, k.low(0), k.low(n), Least, Longest)
		}
		for i := range n {
			low, high := k.low(i), k.low(i+1)
			if low >= high || k.of(time.Duration(low)) != uint32(i) || k.of(time.Duration(high-1)) != uint32(i) {
				t.Fatalf("bucket %d of %d: [%d, %d), which are in %d and %d", i, n, low, high,
					k.of(time.Duration(low)), k.of(time.Duration(high-1)))
			}
			for _, v := range []int64{low, high - 1} {
				if off := math.Abs(float64(k.value(i))-float64(v)) / float64(v); off > k.bound() {
					t.Errorf("bucket %d of %d stands for %v: off by %.4f at %d, the bound is %.4f", i, n, k.value(i), off, v, k.bound())
				}
			}
		}
	}
}

func TestDurationsOutsideTheRange(t *testing.T) {
	for _, n := range layouts {
		k := Config{Buckets: n}.scale()
		for _, tt := range []struct {
			d    time.Duration
			want int
		}{
			{math.MinInt64, 0}, {-1, 0}, {0, 0}, {1, 0}, {Least - 1, 0}, {Least, 0},
			{Longest - 1, n - 1}, {Longest, n - 1}, {math.MaxInt64, n - 1},
		} {
			if got := k.of(tt.d); got != uint32(tt.want) {
				t.Errorf("%v is in bucket %d of %d, want %d", tt.d, got, n, tt.want)
			}
		}
	}
}

func TestAboveInterpolates(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range layouts {
		k := Config{Buckets: n}.scale()
		counts := make([]uint32, n)
		for range 5000 {
			counts[k.of(time.Duration(math.Exp(r.NormFloat64())*1e7))]++
		}
		before := 5000.0
		for t0 := Least; t0 < Longest; t0 += t0 / 50 {
			got := k.above(counts, t0)
			if got > before+1e-9 || got < 0 {
				t.Fatalf("above %v: %v, above a little less: %v", t0, got, before)
			}
			before = got
		}
		if k.above(counts, Longest) != 0 || k.above(counts, -1) != 5000 || k.above(counts, math.MaxInt64) != 0 {
			t.Error("above the ends of the range")
		}
	}
}

func TestRank(t *testing.T) {
	for _, tt := range []struct {
		q    float64
		n    uint64
		want uint64
	}{{0, 10, 1}, {1, 10, 10}, {0.5, 10, 5}, {0.5, 11, 6}, {0.99, 100, 99}, {0.9, 1, 1}, {0.001, 5, 1}} {
		if got := rank(tt.q, tt.n); got != tt.want {
			t.Errorf("rank(%v, %d) is %d, want %d", tt.q, tt.n, got, tt.want)
		}
	}
}

// Five values must lie beyond a quantile before it speaks; the products of floats are not allowed to matter.
func TestSpeaks(t *testing.T) {
	for _, tt := range []struct {
		q float64
		n uint64
	}{{0.9, 50}, {0.99, 500}, {0.95, 100}, {0.5, 10}, {0.999, 5000}, {0.7, 17}} {
		if !speaks(tt.q, tt.n) || speaks(tt.q, tt.n-1) {
			t.Errorf("p%v speaks at %d: %v, at one less: %v", 100*tt.q, tt.n, speaks(tt.q, tt.n), speaks(tt.q, tt.n-1))
		}
	}
}

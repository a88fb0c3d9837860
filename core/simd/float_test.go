package simd

import (
	"math"
	"math/rand/v2"
	"testing"
)

// sumInOrder follows the order in the documentation of SumFloat32, as plainly as can be.
func sumInOrder(x []float32) float32 {
	lanes := make([]float32, 32)
	for i, v := range x {
		lanes[i%32] += v
	}
	for len(lanes) > 1 {
		half := len(lanes) / 2
		for i := range half {
			lanes[i] += lanes[half+i]
		}
		lanes = lanes[:half]
	}
	return lanes[0]
}

func TestSumFloat32KeepsItsOrder(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		for n := range 300 {
			checkFloats(t, randomFloats(n))
		}
		for _, n := range []int{2047, 2048, 2049, 2079, 2080, 2081, 5000, 100_001} {
			checkFloats(t, randomFloats(n))
		}
	})
}

func randomFloats(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rand.NormFloat64() * math.Exp(10*rand.Float64()))
	}
	return x
}

func checkFloats(t *testing.T, x []float32) {
	t.Helper()
	got, want := SumFloat32(x), sumInOrder(x)
	if math.Float32bits(got) != math.Float32bits(want) && !(got != got && want != want) {
		t.Errorf("sum of %d: %v, in the documented order %v", len(x), got, want)
	}
}

func TestSumFloat32Specials(t *testing.T) {
	inf, nan, negZero := float32(math.Inf(1)), float32(math.NaN()), float32(math.Copysign(0, -1))
	forEachImpl(t, func(t *testing.T) {
		for _, n := range []int{1, 40, 200} {
			for at := range n {
				x := make([]float32, n)
				x[at] = inf
				if got := SumFloat32(x); got != inf {
					t.Errorf("+Inf at %d of %d: %v", at, n, got)
				}
				x[(at+n/2)%n] -= inf
				if got := SumFloat32(x); n > 1 && got == got {
					t.Errorf("both infinities in %d: %v", n, got)
				}
				x[at] = nan
				if got := SumFloat32(x); got == got {
					t.Errorf("NaN at %d of %d: %v", at, n, got)
				}
			}
		}
		for _, x := range [][]float32{nil, {}, {negZero}, {negZero, negZero}, make([]float32, 99)} {
			if got := SumFloat32(x); math.Float32bits(got) != 0 {
				t.Errorf("sum of %v = %v, want +0", x, got)
			}
		}
	})
}

// TestSumFloat32ErrorBound compares with the exact sum on data that are hard for a plain loop.
func TestSumFloat32ErrorBound(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		for _, n := range []int{10, 1000, 1 << 20} {
			x := make([]float32, n)
			exact, size := 0.0, 0.0 // of at most 2^20 float32s in [0.5, 1.5): float64 rounds far below the bound
			for i := range x {
				x[i] = 0.5 + rand.Float32()
				exact += float64(x[i])
				size += math.Abs(float64(x[i]))
			}
			bound := (math.Ceil(float64(n)/32) + 5) * 0x1p-24 * size
			if off := math.Abs(float64(SumFloat32(x)) - exact); off > bound {
				t.Errorf("%d elements: off by %g, bound %g", n, off, bound)
			}
		}
	})
}

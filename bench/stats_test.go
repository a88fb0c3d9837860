package main

import (
	"math"
	"math/bits"
	"testing"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*math.Max(1, math.Abs(want)) {
		t.Errorf("%s: got %.12g, want %.12g", what, got, want)
	}
}

func TestQuantiles(t *testing.T) {
	near(t, "median of three", median([]float64{9, 1, 5}), 5)
	near(t, "median of four", median([]float64{4, 1, 3, 2}), 2.5)
	near(t, "median of one", median([]float64{7}), 7)
	// R: quantile(c(1, 2, 4, 8, 16), c(0.1, 0.25, 0.75))
	sample := []float64{16, 8, 4, 2, 1}
	near(t, "tenth", quantile(sample, 0.1), 1.4)
	near(t, "lower quartile", quantile(sample, 0.25), 2)
	near(t, "upper quartile", quantile(sample, 0.75), 8)
	near(t, "spread", spread(sample), 0.75)
	near(t, "largest", quantile(sample, 1), 16)
	if sample[0] != 16 {
		t.Error("the sample was reordered")
	}
	if !math.IsNaN(median(nil)) {
		t.Error("an empty sample has a median")
	}
}

func TestMannWhitneyKnownSamples(t *testing.T) {
	six, next := []float64{1, 2, 3, 4, 5, 6}, []float64{7, 8, 9, 10, 11, 12}
	for _, c := range []struct {
		what string
		a, b []float64
		want float64
	}{
		{"apart", six, next, 2.0 / 924},
		{"apart, the other way", next, six, 2.0 / 924},
		// The example of scipy.stats.mannwhitneyu: ages at diagnosis, U = 17, p = 0.1111.
		{"ages", []float64{19, 22, 16, 29, 24}, []float64{20, 11, 17, 12}, 14.0 / 126},
		{"one each", []float64{1}, []float64{2}, 1},
		{"interleaved", []float64{1, 4, 5, 8}, []float64{2, 3, 6, 7}, 1},
		{"all equal", []float64{3, 3, 3}, []float64{3, 3, 3}, 1},
		{"empty", nil, six, 1},
		// U = 0.5 of 9; by hand: variance 9/12*(7-6/30) = 5.1, z = (4.5-0.5-0.5)/sqrt(5.1).
		{"a tie", []float64{1, 2, 3}, []float64{3, 4, 5}, math.Erfc(3.5 / math.Sqrt(5.1) / math.Sqrt2)},
	} {
		near(t, c.what, mannWhitney(c.a, c.b), c.want)
	}
}

// TestExactTailByEnumeration compares the generating function with a count of all arrangements.
func TestExactTailByEnumeration(t *testing.T) {
	for n := 1; n <= 6; n++ {
		for m := 1; m <= 6; m++ {
			ways, all := make([]float64, n*m+1), 0.0
			for set := range uint32(1) << (n + m) {
				if bits.OnesCount32(set) != n {
					continue
				}
				u, zeros := 0, 0
				for i := range n + m {
					if set>>i&1 == 1 {
						u += zeros
					} else {
						zeros++
					}
				}
				ways[u]++
				all++
			}
			below := 0.0
			for u, w := range ways {
				below += w
				near(t, "tail", exactTail(n, m, u), below/all)
			}
		}
	}
}

// TestApproximationMeetsExact crosses from the exact to the approximate p-value, which must not jump.
func TestApproximationMeetsExact(t *testing.T) {
	var a, b []float64
	for i := range 25 {
		a, b = append(a, float64(2*i)), append(b, float64(2*i+13))
	}
	exact := mannWhitney(a, b)
	approximate := mannWhitney(append(a, 50), append(b, 63))
	if exact < 0.0001 || exact > 0.1 || math.Abs(exact-approximate) > 0.02 {
		t.Errorf("p is %.4f for 25 a side and %.4f for 26", exact, approximate)
	}
}

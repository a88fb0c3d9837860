package simd

import "github.com/mw-go/mw/internal/scalar"

// SumFloat32 returns the sum of x. It is the simplest kernel of all, and shows how one is written.
//
// The order is fixed: 32 partial sums begin at +0, the l-th takes x[l], x[l+32], x[l+64], ... in turn; then the upper 16
// are added to the lower 16, the upper 8 of these to the lower 8, and so on. The error is at most
// (ceil(n/32)+5) * 2^-24 times the sum of the absolute values, to first order: for long slices a thirty-second of that of
// a plain loop.
//
// A NaN among the elements makes the sum NaN, and so do infinities of both signs, be they elements or partial sums that
// overflow. The payload of the NaN is not specified. The sum of nothing is +0.
func SumFloat32(x []float32) float32 {
	if sum, ok := sumFloat32(x); ok {
		return sum
	}
	return scalar.SumFloat32(x)
}

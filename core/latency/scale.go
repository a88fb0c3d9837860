package latency

import (
	"math"
	"time"

	"github.com/mw-go/mw/core/simd"
)

// The range that buckets tell apart. What lies outside counts as if it were at the nearer end.
const (
	Least   = time.Duration(1) << simd.LowBits                  // 1.024 µs
	Longest = time.Duration(1) << (simd.LowBits + simd.Octaves) // 68.7 s
)

// scale is how many bits tell the buckets of an octave apart: octave o begins at 2^o ns and has 2^scale buckets of equal
// width.
type scale int

// buckets returns how many there are.
func (k scale) buckets() int { return simd.Buckets(int(k)) }

// of returns the bucket of d.
func (k scale) of(d time.Duration) uint32 { return simd.BucketOf(int64(d), int(k)) }

// low returns where bucket i begins; for i = buckets() where the last one ends.
func (k scale) low(i int) int64 {
	octave, part := i>>k, int64(i)&(1<<k-1)
	return 1<<(simd.LowBits+octave) + part<<(simd.LowBits+octave-int(k))
}

// value returns the duration that stands for bucket i: the one whose relative distance to both ends is the same, less
// than 1/(2^(scale+1)).
func (k scale) value(i int) time.Duration {
	low, high := float64(k.low(i)), float64(k.low(i+1))
	return time.Duration(math.Round(2 * low * high / (low + high)))
}

// bound is how far a reported duration may be from the true one, as a part of it.
func (k scale) bound() float64 { return 1 / float64(int(2)<<k) }

// above returns how many of counts are longer than t, those of t's own bucket in proportion.
func (k scale) above(counts []uint32, t time.Duration) float64 {
	if t >= Longest {
		return 0
	}
	i := int(k.of(t))
	low, high := k.low(i), k.low(i+1)
	share := float64(high-max(int64(t), low)) / float64(high-low)
	return share*float64(counts[i]) + float64(simd.Sum(counts[i+1:k.buckets()]))
}

// rank returns which of n values in ascending order, counted from 1, is the q-quantile; q is in 0..1 and n above 0. The
// q-quantile is the least value that at least q of all do not exceed.
func rank(q float64, n uint64) uint64 {
	return min(max(uint64(math.Ceil(q*float64(n)-rounding)), 1), n)
}

// rounding is what the product of two floats may be off by where a count is meant.
const rounding = 1e-9

// proper reports whether q is a quantile; NaN is not.
func proper(q float64) bool { return q >= 0 && q <= 1 }

// speaks reports whether n values are enough for their q-quantile to mean something: five must lie beyond it.
func speaks(q float64, n uint64) bool { return float64(n)*(1-q) >= 5-rounding }

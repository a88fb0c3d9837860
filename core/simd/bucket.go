package simd

import "github.com/mw-go/mw/internal/scalar"

const (
	// MinBits and MaxBits bound the bits of a layout: an octave has 2^bits buckets.
	MinBits, MaxBits = scalar.MinBits, scalar.MaxBits
	// LowBits is where the buckets begin: at 2^LowBits nanoseconds.
	LowBits = scalar.LowBits
	// Octaves is how many doublings the buckets cover.
	Octaves = scalar.Octaves
)

// Buckets returns how many buckets a layout has: 208, 416 or 832. It panics if bits is not from MinBits to MaxBits.
func Buckets(bits int) int {
	checkBits(bits)
	return Octaves << bits
}

// checkBits stops a number of bits that only a mistake in the program can bring about.
func checkBits(bits int) {
	if bits < MinBits || bits > MaxBits {
		panic("simd: bits must be from 3 to 5")
	}
}

// BucketOf returns the bucket of one duration in nanoseconds. On 64-bit platforms it is inlined where it is called. bits
// is trusted: outside of MinBits to MaxBits the result means nothing, but there is no panic.
func BucketOf(ns int64, bits int) uint32 { return scalar.BucketOf(ns, bits) }

// BucketIndex sets each dst[i] to the bucket of ns[i], as BucketOf does, and returns how many it has set. It panics if
// bits is not from MinBits to MaxBits.
func BucketIndex(dst []uint32, ns []int64, bits int) int {
	checkBits(bits)
	n := min(len(dst), len(ns))
	dst, ns = dst[:n], ns[:n]
	done := bucketIndex(dst, ns, bits)
	scalar.BucketIndex(dst[done:], ns[done:], bits)
	return n
}

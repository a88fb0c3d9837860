package scalar

import "math/bits"

// The layout of the buckets; core/simd exports and explains it.
const (
	MinBits, MaxBits = 3, 5
	LowBits          = 10
	Octaves          = 26
)

// BucketOf returns the bucket of one value, with k bits of sub-buckets: the k bits below the leading one are the bucket
// within the octave, and the leading one itself, added to the shifted octave, counts it up by one.
func BucketOf(ns int64, k int) uint32 {
	v := uint64(min(max(ns, 1<<LowBits), 1<<(LowBits+Octaves)-1))
	top := bits.Len64(v) - 1
	return uint32((top-LowBits-1)<<(k&7)) + uint32(v>>((top-k)&63))
}

// BucketIndex sets each dst[i] to the bucket of ns[i].
func BucketIndex(dst []uint32, ns []int64, k int) {
	dst = dst[:len(ns)]
	for i, v := range ns {
		dst[i] = BucketOf(v, k)
	}
}

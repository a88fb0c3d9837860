package simd

import "github.com/mw-go/mw/internal/scalar"

// Count adds 1 to hist[i] for each i in idx. A count stays at 2^32-1 when it has got there. An index that is not below len(hist) is ignored.
func Count(hist, idx []uint32) { scalar.Count(hist, idx) }

// Record adds 1 to the bucket of each duration, given in nanoseconds: BucketIndex and Count in one. A histogram
// shorter than Buckets(bits) takes what falls into it. It panics if bits is not from MinBits to MaxBits.
func Record(hist []uint32, ns []int64, bits int) {
	checkBits(bits)
	scalar.Record(hist, ns, bits)
}

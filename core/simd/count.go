package simd

import "github.com/mw-go/mw/internal/scalar"

// Count adds 1 to hist[i] for each i in idx. A count that has got to 2^32-1 stays there. An index that is not below
// len(hist) is ignored.
func Count(hist, idx []uint32) { scalar.Count(hist, idx) }

// Record adds 1 to the bucket of each duration, given in nanoseconds: BucketIndex and Count in one pass. A histogram
// shorter than Buckets(bits) takes what falls into it, by the plain form. It panics if bits is not from MinBits to MaxBits.
func Record(hist []uint32, ns []int64, bits int) {
	checkBits(bits)
	done := record(hist, ns, bits)
	scalar.Record(hist, ns[done:], bits)
}

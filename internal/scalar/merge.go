package scalar

import (
	"math"
	"sync/atomic"
)

// AddUint32 adds src to dst, element by element in ascending order, saturating.
func AddUint32(dst, src []uint32) {
	dst = dst[:len(src)]
	for i, x := range src {
		dst[i] = add32(dst[i], x)
	}
}

func add32(a, b uint32) uint32 {
	sum := a + b
	if sum < a {
		sum = math.MaxUint32
	}
	return sum
}

// AddUint64 adds src to dst, element by element in ascending order, saturating.
func AddUint64(dst, src []uint64) {
	dst = dst[:len(src)]
	for i, x := range src {
		sum := dst[i] + x
		if sum < x {
			sum = math.MaxUint64
		}
		dst[i] = sum
	}
}

// SubUint32 subtracts src from dst, element by element in ascending order; below 0 it stays 0.
func SubUint32(dst, src []uint32) {
	dst = dst[:len(src)]
	for i, x := range src {
		old := dst[i]
		rest := old - x
		if rest > old {
			rest = 0
		}
		dst[i] = rest
	}
}

// AddShared is AddUint32 from a source that others add to at the same time.
func AddShared(dst []uint32, src []atomic.Uint32) {
	dst = dst[:len(src)]
	for i := range src {
		dst[i] = add32(dst[i], src[i].Load())
	}
}

package simd

import (
	"sync/atomic"

	"github.com/mw-go/mw/internal/scalar"
)

// AddUint32 adds each src[i] to dst[i] and returns how many. A sum stays at 2^32-1 rather than wrap.
func AddUint32(dst, src []uint32) int {
	n := min(len(dst), len(src))
	dst, src = dst[:n], src[:n]
	done := addUint32(dst, src)
	scalar.AddUint32(dst[done:], src[done:])
	return n
}

// AddUint64 adds each src[i] to dst[i] and returns how many. A sum stays at 2^64-1 rather than wrap.
func AddUint64(dst, src []uint64) int {
	n := min(len(dst), len(src))
	dst, src = dst[:n], src[:n]
	done := addUint64(dst, src)
	scalar.AddUint64(dst[done:], src[done:])
	return n
}

// SubUint32 subtracts each src[i] from dst[i] and returns how many. A difference stays at 0 rather than wrap.
func SubUint32(dst, src []uint32) int {
	n := min(len(dst), len(src))
	dst, src = dst[:n], src[:n]
	done := subUint32(dst, src)
	scalar.SubUint32(dst[done:], src[done:])
	return n
}

// AddShared is AddUint32 from a source to which others may add at the same time, by its atomic methods. Each element
// is read once and whole; there is no one moment at which all of them are.
func AddShared(dst []uint32, src []atomic.Uint32) int {
	n := min(len(dst), len(src))
	dst, src = dst[:n], src[:n]
	done := addShared(dst, src)
	scalar.AddShared(dst[done:], src[done:])
	return n
}

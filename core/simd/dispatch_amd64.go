//go:build amd64 && !purego

package simd

import (
	"sync/atomic"
	"unsafe"

	"github.com/mw-go/mw/internal/scalar"
	"golang.org/x/sys/cpu"
)

// useAVX2 is changed by tests alone.
var useAVX2 = cpu.X86.HasAVX2

func level() string {
	if useAVX2 {
		return "avx2"
	}
	return "go"
}

// Below these lengths the plain form is the faster one.
const (
	minIndex  = 8
	minMerge  = 16
	minMerge8 = 8
	minSum    = 32
	minRank   = 64
	minFloats = 64
)

// The functions below do what they can by a kernel and return how many elements that was. The plain form does the rest.

func bucketIndex(dst []uint32, ns []int64, bits int) int {
	n := len(ns)
	if !useAVX2 || n < minIndex || shareBytes(dst, ns) {
		return 0
	}
	bucketIndexAVX2(&dst[0], &ns[0], n/8, bits)
	if n%8 != 0 { // the last eight, some of them once more
		bucketIndexAVX2(&dst[n-8], &ns[n-8], 1, bits)
	}
	return n
}

func addUint32(dst, src []uint32) int {
	n := len(src) &^ 7
	if !useAVX2 || n < minMerge || trails(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), 4*n) {
		return 0
	}
	addUint32AVX2(&dst[0], &src[0], n/8)
	return n
}

func subUint32(dst, src []uint32) int {
	n := len(src) &^ 7
	if !useAVX2 || n < minMerge || trails(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), 4*n) {
		return 0
	}
	subUint32AVX2(&dst[0], &src[0], n/8)
	return n
}

func addUint64(dst, src []uint64) int {
	n := len(src) &^ 3
	if !useAVX2 || n < minMerge8 || trails(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), 8*n) {
		return 0
	}
	addUint64AVX2(&dst[0], &src[0], n/4)
	return n
}

func addShared(dst []uint32, src []atomic.Uint32) int {
	n := len(src) &^ 7
	if !useAVX2 || n < minMerge || trails(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), 4*n) {
		return 0
	}
	addUint32AVX2(&dst[0], (*uint32)(unsafe.Pointer(&src[0])), n/8)
	return n
}

func sum(counts []uint32) (done int, part uint64) {
	n := len(counts) &^ 31
	if !useAVX2 || n < minSum {
		return 0, 0
	}
	return n, sumAVX2(&counts[0], n/32)
}

func passBelow(counts []uint32, before, rank uint64) (passed int, below uint64) {
	if !useAVX2 || len(counts) < minRank {
		return 0, before
	}
	blocks, below := rankBlocksAVX2(&counts[0], len(counts)/32, before, rank)
	return 32 * blocks, below
}

func addLanes(lanes *[scalar.Lanes]float32, x []float32) int {
	n := len(x) &^ (scalar.Lanes - 1)
	if !useAVX2 || n < minFloats {
		return 0
	}
	addLanesAVX2(lanes, &x[0], n/scalar.Lanes)
	return n
}

// trails reports whether dst begins within the size bytes behind the beginning of src. Then elements of src are written
// before they are read, and a kernel, which reads a block before it writes one, would not see that.
func trails(dst, src unsafe.Pointer, size int) bool {
	return uintptr(dst)-uintptr(src)-1 < uintptr(size-1)
}

// shareBytes reports whether the slices overlap, which takes unsafe to bring about.
func shareBytes(dst []uint32, ns []int64) bool {
	d, s := uintptr(unsafe.Pointer(&dst[0])), uintptr(unsafe.Pointer(&ns[0]))
	return d < s+8*uintptr(len(ns)) && s < d+4*uintptr(len(dst))
}

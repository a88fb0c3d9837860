//go:build amd64 && !purego

package simd

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// useAVX2 says whether the kernels run. Only tests change it.
var useAVX2 = cpu.X86.HasAVX2

func level() string {
	if useAVX2 {
		return "avx2"
	}
	return "go"
}

// Below these lengths the plain form is as fast or faster: measured on Zen 4. The first two are what a kernel can take at
// all; only for ranks does the plain form win beyond that.
const (
	minVector = 8  // one block of most kernels
	minSum    = 32 // one block
	minRank   = 96
)

// Each function below does what it can by a kernel and returns how many elements that was, from the first. The plain form
// does the rest. None is called with slices of different length.

func bucketIndex(dst []uint32, ns []int64, bits int) int {
	n := len(ns)
	if !useAVX2 || n < minVector || overlap(dst, ns) {
		return 0
	}
	bucketIndexAVX2(&dst[0], &ns[0], n/8, bits)
	if n%8 != 0 { // the last eight, some of them once more
		bucketIndexAVX2(&dst[n-8], &ns[n-8], 1, bits)
	}
	return n
}

func record(hist []uint32, ns []int64, bits int) int {
	n := len(ns)
	if !useAVX2 || n < minVector || len(hist) < Buckets(bits) || overlap(hist, ns) {
		return 0
	}
	recordAVX2(&hist[0], &ns[0], n/8, bits)
	return n &^ 7
}

func addUint32(dst, src []uint32) int {
	n := len(src)
	if !useAVX2 || n < minVector || trails(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), 4*n) {
		return 0
	}
	addUint32AVX2(&dst[0], &src[0], n/8)
	return n &^ 7
}

func subUint32(dst, src []uint32) int {
	n := len(src)
	if !useAVX2 || n < minVector || trails(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), 4*n) {
		return 0
	}
	subUint32AVX2(&dst[0], &src[0], n/8)
	return n &^ 7
}

func addUint64(dst, src []uint64) int {
	n := len(src)
	if !useAVX2 || n < minVector || trails(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), 8*n) {
		return 0
	}
	addUint64AVX2(&dst[0], &src[0], n/4)
	return n &^ 3
}

// addShared reads elements that others write by atomic additions. The elements are aligned to their four bytes, so none
// crosses a cache line, and the processor does not tear one. Intel and AMD promise that for a load of four aligned bytes;
// for the elements of a vector load the manuals promise it only within 16 aligned bytes, but in practice every processor
// with AVX2 keeps it, and the vectorised loops of the JVM over int arrays rely on it (a Java int must not tear either).
// Each element is loaded once. On amd64 an atomic load is an ordinary one, so the kernel sees no less than a loop of Load
// would; only the order in which the elements of a vector are read is open, and AddShared promises none.
func addShared(dst []uint32, src []atomic.Uint32) int {
	n := len(src)
	if !useAVX2 || n < minVector || trails(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), 4*n) {
		return 0
	}
	addUint32AVX2(&dst[0], (*uint32)(unsafe.Pointer(&src[0])), n/8)
	return n &^ 7
}

func sum(counts []uint32) (done int, part uint64) {
	n := len(counts)
	if !useAVX2 || n < minSum {
		return 0, 0
	}
	return n &^ 31, sumAVX2(&counts[0], n/32)
}

func passBelow(counts []uint32, before, rank uint64) (passed int, below uint64) {
	if !useAVX2 || len(counts) < minRank {
		return 0, before
	}
	blocks, below := rankBlocksAVX2(&counts[0], len(counts)/32, before, rank)
	return 32 * blocks, below
}

func sumFloat32(x []float32) (sum float32, ok bool) {
	if !useAVX2 || len(x) == 0 {
		return 0, false
	}
	return sumFloat32AVX2(&x[0], len(x)), true
}

// trails reports whether dst begins within the size bytes at src, but not at their beginning. Then a loop would read
// elements that it has written before; a kernel, which reads a whole block before it writes, would not.
func trails(dst, src unsafe.Pointer, size int) bool {
	return uintptr(dst)-uintptr(src)-1 < uintptr(size-1)
}

// overlap reports whether the two share memory, which takes package unsafe to bring about.
func overlap(counts []uint32, ns []int64) bool {
	c, d := uintptr(unsafe.Pointer(&counts[0])), uintptr(unsafe.Pointer(&ns[0]))
	return c < d+8*uintptr(len(ns)) && d < c+4*uintptr(len(counts))
}

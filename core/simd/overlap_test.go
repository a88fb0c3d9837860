package simd

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/mw-go/mw/internal/scalar"
)

// overlapping runs kernel and twin on two windows of one buffer, shifted against each other by up to 70 elements either
// way, and compares the whole buffers.
func overlapping[E uint32 | uint64](t *testing.T, name string, kernel func(dst, src []E) int, twin func(dst, src []E)) {
	t.Helper()
	const shift = 70
	for _, n := range []int{1, 8, 31, 64, 130, 832} {
		buffer := make([]E, n+shift)
		for i := range buffer {
			buffer[i] = E(rand.Uint64() >> rand.IntN(64))
		}
		for by := -shift; by <= shift; by++ {
			got, want := slices.Clone(buffer), slices.Clone(buffer)
			d, s := max(by, 0), max(-by, 0)
			kernel(got[d:d+n], got[s:s+n])
			twin(want[d:d+n], want[s:s+n])
			if err := same(got, want); err != nil {
				t.Fatalf("%s of %d, dst %d behind src: %v", name, n, by, err)
			}
		}
	}
}

func TestOverlap(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		overlapping(t, "AddUint32", AddUint32, scalar.AddUint32)
		overlapping(t, "SubUint32", SubUint32, scalar.SubUint32)
		overlapping(t, "AddUint64", AddUint64, scalar.AddUint64)
		overlapping(t, "Count", func(hist, idx []uint32) int { Count(hist, idx); return 0 }, scalar.Count)
		overlapping(t, "AddShared", func(dst, src []uint32) int { return AddShared(dst, shared(src)) },
			func(dst, src []uint32) { scalar.AddShared(dst, shared(src)) })
	})
}

func shared(s []uint32) []atomic.Uint32 {
	return unsafe.Slice((*atomic.Uint32)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
}

// TestOverlapOfTypes lays durations and counts over the same memory, which only package unsafe can do.
func TestOverlapOfTypes(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		const n = 1000
		values := make([]int64, 2*n)
		for i := range values {
			values[i] = anyDuration(rand.Uint64())
		}
		for _, at := range []int{0, 1, 2, 7, 8, 100, n - 1, n, n + 9, 2*n - 1, 2 * n} { // in counts of four bytes
			for name, run := range map[string]func(counts []uint32, ns []int64, plain bool){
				"BucketIndex": func(counts []uint32, ns []int64, plain bool) {
					if plain {
						scalar.BucketIndex(counts, ns, 5)
						return
					}
					BucketIndex(counts, ns, 5)
				},
				"Record": func(counts []uint32, ns []int64, plain bool) {
					if plain {
						scalar.Record(counts, ns, 5)
						return
					}
					Record(counts, ns, 5)
				},
			} {
				got, want := slices.Clone(values), slices.Clone(values)
				for _, side := range []struct {
					values []int64
					plain  bool
				}{{got, false}, {want, true}} {
					counts := unsafe.Slice((*uint32)(unsafe.Pointer(&side.values[0])), 4*n)
					run(counts[at:at+n], side.values[n/2:n/2+n], side.plain)
				}
				if err := same(got, want); err != nil {
					t.Errorf("%s, counts from %d: %v", name, at, err)
				}
			}
		}
	})
}

package simd

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// tally is Count by a map of unbounded numbers.
func tally(hist, idx []uint32) []uint32 {
	times := map[uint32]uint64{}
	for _, i := range idx {
		times[i]++
	}
	want := slices.Clone(hist)
	for i := range want {
		want[i] = uint32(min(uint64(want[i])+times[uint32(i)], math.MaxUint32))
	}
	return want
}

func TestCount(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		for _, buckets := range []int{0, 1, 7, 208, 832, 5000} {
			for _, n := range []int{0, 1, 3, 100, 1000, 20_000} {
				hist, idx := make([]uint32, buckets), make([]uint32, n)
				for i := range hist {
					hist[i] = math.MaxUint32 - rand.Uint32N(40)
				}
				for i := range idx {
					idx[i] = rand.Uint32N(uint32(buckets + 3))
				}
				if n > 2 {
					idx[n/2] = math.MaxUint32
				}
				want := tally(hist, idx)
				if Count(hist, idx); !slices.Equal(hist, want) {
					t.Errorf("%d buckets, %d indices: wrong counts", buckets, n)
				}
			}
		}
	})
}

func TestRecordIsIndexAndCount(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		for bits := MinBits; bits <= MaxBits; bits++ {
			for _, buckets := range []int{0, 1, 50, Buckets(bits), Buckets(bits) + 9} {
				for _, n := range []int{0, 1, 7, 31, 64, 513, 5000, 100_000} {
					hist, ns := make([]uint32, buckets), make([]int64, n)
					for i := range hist {
						hist[i] = rand.Uint32() | rand.Uint32N(2)*math.MaxUint32
					}
					for i := range ns {
						ns[i] = anyDuration(rand.Uint64())
					}
					idx := make([]uint32, n)
					BucketIndex(idx, ns, bits)
					want := tally(hist, idx)
					if Record(hist, ns, bits); !slices.Equal(hist, want) {
						t.Errorf("bits %d, %d buckets, %d values: wrong counts", bits, buckets, n)
					}
				}
			}
		}
	})
}

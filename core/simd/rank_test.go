package simd

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// rankByDefinition is RankIndex, one prefix sum at a time.
func rankByDefinition(counts []uint32, rank uint64) (int, uint64) {
	for i := range counts {
		below, upTo := uint64(0), uint64(0)
		for k, n := range counts[:i+1] {
			upTo += uint64(n)
			if k < i {
				below += uint64(n)
			}
		}
		if upTo >= max(rank, 1) {
			return i, below
		}
	}
	return len(counts), Sum(counts)
}

// countsOf returns counts of several kinds: sparse, dense, all zero, huge.
func countsOf(n, kind int) []uint32 {
	counts := make([]uint32, n)
	for i := range counts {
		switch kind {
		case 1:
			counts[i] = rand.Uint32N(5)
		case 2:
			if rand.IntN(20) == 0 {
				counts[i] = 1
			}
		case 3:
			counts[i] = math.MaxUint32 - rand.Uint32N(2)
		}
	}
	return counts
}

func TestRankIndex(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		for _, n := range []int{0, 1, 2, 31, 32, 33, 64, 95, 208} {
			for kind := range 4 {
				counts := countsOf(n, kind)
				total := Sum(counts)
				ranks := []uint64{0, 1, 2, 3, total / 2, total - 1, total, total + 1, math.MaxUint64}
				for range 10 {
					ranks = append(ranks, rand.Uint64N(total+3))
				}
				slices.Sort(ranks)
				dst := make([]int, len(ranks))
				if got := RankIndexes(dst, counts, ranks); got != len(ranks) {
					t.Fatalf("RankIndexes = %d of %d", got, len(ranks))
				}
				for k, rank := range ranks {
					i, before := RankIndex(counts, rank)
					want, wantBefore := rankByDefinition(counts, rank)
					if i != want || before != wantBefore || dst[k] != want {
						t.Errorf("%d counts of kind %d, rank %d: %d, %d and %d of several, want %d, %d",
							n, kind, rank, i, before, dst[k], want, wantBefore)
					}
				}
			}
		}
	})
}

func TestRankIndexesOutOfOrder(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		counts := countsOf(300, 1)
		ranks := make([]uint64, 50)
		for i := range ranks {
			ranks[i] = rand.Uint64N(Sum(counts) + 5)
		}
		dst := make([]int, len(ranks)+2)
		if n := RankIndexes(dst, counts, ranks); n != len(ranks) {
			t.Fatalf("RankIndexes = %d of %d", n, len(ranks))
		}
		for k, rank := range ranks {
			if want, _ := rankByDefinition(counts, rank); dst[k] != want {
				t.Errorf("rank %d: %d, want %d", rank, dst[k], want)
			}
		}
		if dst[50] != 0 || dst[51] != 0 {
			t.Error("written beyond the ranks")
		}
		if n := RankIndexes(dst[:3], counts, ranks); n != 3 {
			t.Errorf("RankIndexes into 3 = %d", n)
		}
	})
}

func TestSumDoesNotWrap(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		for _, n := range []int{0, 1, 8, 100, 10_000} {
			if got, want := Sum(filled[uint32](n, math.MaxUint32)), uint64(n)*math.MaxUint32; got != want {
				t.Errorf("Sum of %d = %d, want %d", n, got, want)
			}
		}
	})
}

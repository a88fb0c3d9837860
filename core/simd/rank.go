package simd

import "github.com/mw-go/mw/internal/scalar"

// Sum returns the sum of all counts. It cannot overflow.
func Sum(counts []uint32) uint64 {
	done, part := sum(counts)
	return part + scalar.Sum(counts[done:])
}

// RankIndex returns which bucket holds the value of a rank, and how many values lie in the buckets below: the smallest
// i with counts[0] + ... + counts[i] >= rank, and before = counts[0] + ... + counts[i-1]. Ranks begin at 1; 0 is taken
// as 1. If there are fewer values than rank, i is len(counts) and before is their number.
func RankIndex(counts []uint32, rank uint64) (i int, before uint64) {
	return rankFrom(counts, 0, max(rank, 1))
}

// RankIndexes sets each dst[i] to the bucket that holds ranks[i], as RankIndex does, and returns how many it has set.
// Ascending ranks take one pass over the counts together; a rank below the one before it begins another.
func RankIndexes(dst []int, counts []uint32, ranks []uint64) int {
	n := min(len(dst), len(ranks))
	at, before, last := 0, uint64(0), uint64(0)
	for i, rank := range ranks[:n] {
		if rank = max(rank, 1); rank < last {
			at, before = 0, 0
		}
		last = rank
		var further int
		further, before = rankFrom(counts[at:], before, rank)
		at += further
		dst[i] = at
	}
	return n
}

// rankFrom is RankIndex for counts that before values precede.
func rankFrom(counts []uint32, before, rank uint64) (i int, below uint64) {
	passed, before := passBelow(counts, before, rank)
	i, below = scalar.RankIndex(counts[passed:], before, rank)
	return passed + i, below
}

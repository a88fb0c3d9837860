package scalar

// Sum returns the sum of all counts.
func Sum(counts []uint32) (sum uint64) {
	for _, n := range counts {
		sum += uint64(n)
	}
	return sum
}

// RankIndex returns the smallest i with before + counts[0] + ... + counts[i] >= rank, and the sum of before and the
// counts below i. If there is none, i is len(counts).
func RankIndex(counts []uint32, before, rank uint64) (i int, below uint64) {
	for i, n := range counts {
		sum := before + uint64(n)
		if sum >= rank {
			return i, before
		}
		before = sum
	}
	return len(counts), before
}

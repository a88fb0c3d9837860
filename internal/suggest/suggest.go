// Package suggest finds what somebody meant by a misspelt name.
package suggest

// Nearest returns the candidate that was probably meant by name, or "". A candidate is near if it takes at most two edits,
// or a third of its length if that is more, and fewer than the letters of either, so that a is no suggestion for b.
// Among equals the first wins.
func Nearest(name string, candidates []string) string {
	best, found := "", 1<<30
	for _, c := range candidates {
		limit := min(max(2, len(c)/3), min(len(c), len(name))-1, found-1)
		if d := Distance(name, c, limit); d <= limit {
			best, found = c, d
		}
	}
	return best
}

// Distance counts the letters to insert, delete, replace or swap with a neighbour to turn a into b: Damerau-Levenshtein,
// in the form that edits no letter twice. It works on bytes: names of keys are ASCII. A result above limit may be too
// low, but is above limit.
func Distance(a, b string, limit int) int {
	if limit < 0 || len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range cur {
		cur[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, prev, cur = prev, cur, before
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			change := prev[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
	}
	return cur[len(b)]
}

package main

import (
	"math"
	"slices"
)

// quantile returns the q-quantile of a sample, interpolated between neighbours (type 7 of Hyndman and Fan, the default
// of R). NaN for an empty sample.
func quantile(sample []float64, q float64) float64 {
	if len(sample) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(sample))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

func median(sample []float64) float64 { return quantile(sample, 0.5) }

// spread returns half the distance between the quartiles, as a share of the median.
func spread(sample []float64) float64 {
	return (quantile(sample, 0.75) - quantile(sample, 0.25)) / 2 / median(sample)
}

// mannWhitney returns the two-sided p-value of the Mann-Whitney U test: how likely two samples differ in rank by this
// much if they come from one distribution. Exact for up to 50 values without ties, else by the normal approximation
// with corrections for ties and continuity. 1 if a sample is empty.
func mannWhitney(a, b []float64) float64 {
	u, ties := rankSum(a, b)
	n, m := float64(len(a)), float64(len(b))
	if n*m == 0 {
		return 1
	}
	u = min(u, n*m-u)
	if ties == 0 && n+m <= 50 {
		return min(1, 2*exactTail(len(a), len(b), int(u)))
	}
	all := n + m
	variance := n * m / 12 * (all + 1 - ties/(all*(all-1)))
	if variance == 0 {
		return 1
	}
	z := max(n*m/2-u-0.5, 0) / math.Sqrt(variance)
	return math.Erfc(z / math.Sqrt2)
}

// rankSum returns U of sample a, the number of pairs in which a's value is the larger (a tie is half a pair), and the
// sum of t^3-t over the groups of t equal values.
func rankSum(a, b []float64) (u, ties float64) {
	for _, x := range a {
		for _, y := range b {
			switch {
			case x > y:
				u++
			case x == y:
				u += 0.5
			}
		}
	}
	sorted := slices.Sorted(slices.Values(slices.Concat(a, b)))
	for i := 0; i < len(sorted); {
		j := i
		for j < len(sorted) && sorted[j] == sorted[i] {
			j++
		}
		t := float64(j - i)
		ties += t*t*t - t
		i = j
	}
	return u, ties
}

// exactTail returns P(U <= u) for samples of n and m values without ties. How many of the arrangements have which U are
// the coefficients of the Gaussian binomial, the product over i = 1..n of (1-q^(m+i)) / (1-q^i).
func exactTail(n, m, u int) float64 {
	ways := make([]float64, n*m+1)
	ways[0] = 1
	for i := 1; i <= n; i++ {
		for k := n * m; k >= m+i; k-- {
			ways[k] -= ways[k-m-i]
		}
		for k := i; k <= n*m; k++ {
			ways[k] += ways[k-i]
		}
	}
	below, all := 0.0, 0.0
	for k, w := range ways {
		all += w
		if k <= u {
			below += w
		}
	}
	return below / all
}

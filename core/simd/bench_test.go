package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
)

// bench runs f, which does n elements a call, under every form and size, as sub-benchmarks named impl=form/n=size.
func bench(b *testing.B, sizes []int, f func(b *testing.B, n int)) {
	flags := dispatchFlags()
	for i := 0; i <= len(flags); i++ {
		for _, n := range sizes {
			b.Run(fmt.Sprintf("impl=%s/n=%d", Level(), n), func(b *testing.B) {
				f(b, n)
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/elem")
			})
		}
		if i < len(flags) {
			defer func(on bool) { *flags[i] = on }(*flags[i])
			*flags[i] = false
		}
	}
}

// sizes go from below the shortest length for a kernel to beyond the largest histogram.
var sizes = []int{4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 208, 416, 832, 4096}

// latencies returns n durations, log-normal about 5 ms with a sigma of 0.6, one in a hundred thirty times as long.
func latencies(n int) []int64 {
	rng := rand.New(rand.NewPCG(1, 2))
	ns := make([]int64, n)
	for i := range ns {
		v := 5e6 * math.Exp(0.6*rng.NormFloat64())
		if rng.IntN(100) == 0 {
			v *= 30
		}
		ns[i] = int64(v)
	}
	return ns
}

func BenchmarkBucketOf(b *testing.B) {
	ns := latencies(4096)
	sum := uint32(0)
	for i := 0; b.Loop(); i++ {
		sum += BucketOf(ns[i&4095], 3)
	}
	sink = uint64(sum)
}

var sink uint64

func BenchmarkBucketIndex(b *testing.B) {
	bench(b, sizes, func(b *testing.B, n int) {
		dst, ns := make([]uint32, n), latencies(n)
		for b.Loop() {
			BucketIndex(dst, ns, 3)
		}
	})
}

func BenchmarkCount(b *testing.B) {
	bench(b, slices.Concat(sizes, []int{100_000}), func(b *testing.B, n int) {
		idx, hist := make([]uint32, n), make([]uint32, 208)
		BucketIndex(idx, latencies(n), 3)
		for b.Loop() {
			Count(hist, idx)
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	bench(b, slices.Concat(sizes, []int{100_000, 1 << 20}), func(b *testing.B, n int) {
		ns, hist := latencies(n), make([]uint32, 208)
		for b.Loop() {
			Record(hist, ns, 3)
		}
	})
}

func BenchmarkAddUint32(b *testing.B) {
	bench(b, sizes, func(b *testing.B, n int) {
		dst, src := make([]uint32, n), make([]uint32, n)
		for b.Loop() {
			AddUint32(dst, src)
		}
	})
}

func BenchmarkAddShared(b *testing.B) {
	bench(b, sizes, func(b *testing.B, n int) {
		dst, src := make([]uint32, n), make([]atomic.Uint32, n)
		for b.Loop() {
			AddShared(dst, src)
		}
	})
}

func BenchmarkAddUint64(b *testing.B) {
	bench(b, sizes, func(b *testing.B, n int) {
		dst, src := make([]uint64, n), make([]uint64, n)
		for b.Loop() {
			AddUint64(dst, src)
		}
	})
}

func BenchmarkSubUint32(b *testing.B) {
	bench(b, sizes, func(b *testing.B, n int) {
		dst, src := make([]uint32, n), make([]uint32, n)
		for b.Loop() {
			SubUint32(dst, src)
		}
	})
}

func BenchmarkSum(b *testing.B) {
	bench(b, sizes, func(b *testing.B, n int) {
		counts := make([]uint32, n)
		for b.Loop() {
			sink = Sum(counts)
		}
	})
}

// BenchmarkRankIndex looks for the last of n counts, each 1.
func BenchmarkRankIndex(b *testing.B) {
	bench(b, sizes, func(b *testing.B, n int) {
		counts := filled[uint32](n, 1)
		for b.Loop() {
			i, _ := RankIndex(counts, uint64(n))
			sink += uint64(i)
		}
	})
}

func BenchmarkRankIndexQuantiles(b *testing.B) {
	for bits := MinBits; bits <= MaxBits; bits++ {
		bench(b, []int{Buckets(bits)}, func(b *testing.B, n int) {
			counts := make([]uint32, n)
			Record(counts, latencies(100_000), bits)
			ranks := []uint64{50_000, 90_000, 99_000, 99_900}
			for i := 0; b.Loop(); i++ {
				k, _ := RankIndex(counts, ranks[i&3])
				sink += uint64(k)
			}
		})
	}
}

func BenchmarkSumFloat32(b *testing.B) {
	bench(b, slices.Concat(sizes, []int{1 << 20}), func(b *testing.B, n int) {
		x := randomFloats(n)
		for b.Loop() {
			sink += uint64(SumFloat32(x))
		}
	})
}

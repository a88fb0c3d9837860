package simd_test

import (
	"fmt"
	"time"

	"github.com/mw-go/mw/core/simd"
)

// A histogram of durations, and the bucket that holds their median.
func Example() {
	const bits = 3
	var ns []int64
	for i := range 1000 {
		ns = append(ns, int64(time.Duration(i+1)*time.Millisecond))
	}
	hist := make([]uint32, simd.Buckets(bits))
	simd.Record(hist, ns, bits)
	i, below := simd.RankIndex(hist, 500)
	fmt.Println(i == int(simd.BucketOf(int64(500*time.Millisecond), bits)), below, hist[i])
	// Output:
	// true 469 34
}

// Two windows merged, and the older one taken out again.
func ExampleAddUint32() {
	sum := []uint32{1, 2, 1<<32 - 1}
	slice := []uint32{10, 20, 30}
	fmt.Println(simd.AddUint32(sum, slice), sum)
	fmt.Println(simd.SubUint32(sum, slice), sum)
	// Output:
	// 3 [11 22 4294967295]
	// 3 [1 2 4294967265]
}

func ExampleRankIndexes() {
	counts := []uint32{0, 5, 0, 3, 2}
	quantiles := make([]int, 4)
	simd.RankIndexes(quantiles, counts, []uint64{1, 5, 6, 11})
	fmt.Println(quantiles)
	// Output:
	// [1 1 3 5]
}

func ExampleSumFloat32() {
	fmt.Println(simd.SumFloat32([]float32{1, 2, 3.5}))
	// Output:
	// 6.5
}

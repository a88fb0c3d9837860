package simd

import (
	"sync/atomic"
	"testing"
)

func TestNothingAllocates(t *testing.T) {
	hist, more, ns := make([]uint32, 832), make([]uint32, 832), make([]int64, 20_000)
	idx, long, shared, floats := make([]uint32, 20_000), make([]uint64, 832), make([]atomic.Uint32, 832), make([]float32, 1000)
	ranks, found := []uint64{1, 5000, 19_000}, make([]int, 3)
	forEachImpl(t, func(t *testing.T) {
		for name, call := range map[string]func(){
			"BucketIndex": func() { BucketIndex(idx, ns, 5) },
			"Count":       func() { Count(hist, idx) },
			"Record":      func() { Record(hist, ns, 5) },
			"AddUint32":   func() { AddUint32(hist, more) },
			"AddUint64":   func() { AddUint64(long, long) },
			"SubUint32":   func() { SubUint32(hist, more) },
			"AddShared":   func() { AddShared(hist, shared) },
			"Sum":         func() { Sum(hist) },
			"RankIndex":   func() { RankIndex(hist, 100) },
			"RankIndexes": func() { RankIndexes(found, hist, ranks) },
			"SumFloat32":  func() { SumFloat32(floats) },
			"arguments on the stack": func() {
				var hist, more [208]uint32
				var ns [64]int64
				var long [32]uint64
				var few [16]atomic.Uint32
				var x [40]float32
				Record(hist[:], ns[:], 3)
				BucketIndex(more[:], ns[:], 3)
				SubUint32(more[:], hist[:])
				AddShared(more[:], few[:])
				AddUint64(long[:], long[:])
				i, _ := RankIndex(hist[:], 64)
				sink += uint64(AddUint32(hist[:], more[:])) + Sum(hist[:]) + uint64(i) + uint64(SumFloat32(x[:]))
			},
		} {
			if n := testing.AllocsPerRun(50, call); n != 0 {
				t.Errorf("%s allocates %v times", name, n)
			}
		}
	})
}

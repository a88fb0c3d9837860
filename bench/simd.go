package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mw-go/mw/core/simd"
	"github.com/mw-go/mw/internal/scalar"
)

// subBits is the default layout of core/latency, fineBits the finest.
const (
	subBits  = 3
	fineBits = 5
)

// simdRows set each kernel beside its twin in plain Go. A call is one call of the kernel. On a machine without AVX2 both
// sides are the same code.
func simdRows() []Row {
	return []Row{
		{Name: "SIMDBucketIndex", About: "the buckets of 4,096 durations", Contestants: []Contestant{
			{Ours, func() Subject { return indexer(func(dst []uint32, ns []int64) { simd.BucketIndex(dst, ns, subBits) }) }},
			{"twin", func() Subject {
				return indexer(func(dst []uint32, ns []int64) { scalar.BucketIndex(dst, ns, subBits) })
			}},
		}},
		recordRow("SIMDRecord128", "index and count 128 durations out of a million", 128),
		recordRow("SIMDRecord4096", "index and count 4,096 durations out of a million", 4096),
		addRow("SIMDAdd208", "merge 208 counts", 208),
		addRow("SIMDAdd832", "merge 832 counts", 832),
		addRow("SIMDAdd4096", "merge 4,096 counts", 4096),
		rankRow("SIMDRank208", "find a quantile in 208 buckets", subBits),
		rankRow("SIMDRank832", "find a quantile in 832 buckets", fineBits),
		{Name: "SIMDSumFloat", About: "add up 4,096 float32s", Contestants: []Contestant{
			{Ours, func() Subject { return floatAdder(simd.SumFloat32) }},
			{"twin", func() Subject { return floatAdder(scalar.SumFloat32) }},
		}},
	}
}

// latencies returns a million durations in nanoseconds: log-normal about 5 ms with a sigma of 0.6, one in a hundred
// thirty times as long.
var latencies = sync.OnceValue(func() []int64 {
	rng := rand.New(rand.NewPCG(1, 2))
	ns := make([]int64, 1<<20)
	for i := range ns {
		v := 5e6 * math.Exp(0.6*rng.NormFloat64())
		if rng.IntN(100) == 0 {
			v *= 30
		}
		ns[i] = int64(v)
	}
	return ns
})

// A worker is what one goroutine works with.
type worker struct {
	work func() bool   // one call: has it come out right?
	held func() uint64 // how many calls the results hold; optional
}

// employing makes a Subject in which every goroutine has a worker of its own: results are not for sharing.
func employing(employ func() worker) Subject {
	var mu sync.Mutex
	var idle, all []worker
	take := func() (w worker) {
		mu.Lock()
		defer mu.Unlock()
		if n := len(idle); n > 0 {
			w, idle = idle[n-1], idle[:n-1]
			return w
		}
		w = employ()
		all = append(all, w)
		return w
	}
	return Subject{
		Loop: func(_, n int) (right int) {
			w := take()
			for range n {
				if w.work() {
					right++
				}
			}
			mu.Lock()
			idle = append(idle, w)
			mu.Unlock()
			return right
		},
		Check: func(calls int) error {
			held := uint64(0)
			for _, w := range all {
				if w.held == nil {
					return nil
				}
				held += w.held()
			}
			if held != uint64(calls) {
				return fmt.Errorf("the results hold %d calls of %d", held, calls)
			}
			return nil
		},
	}
}

func indexer(index func(dst []uint32, ns []int64)) Subject {
	ns := latencies()[:4096]
	want := make([]uint32, len(ns))
	for i, v := range ns {
		want[i] = simd.BucketOf(v, subBits)
	}
	return employing(func() worker {
		dst, next := make([]uint32, len(ns)), 0
		return worker{work: func() bool {
			index(dst, ns)
			next = (next + 1) % len(ns)
			return dst[next] == want[next]
		}}
	})
}

// recordRow has HdrHistogram as it takes batches, a value at a time: two significant digits from a microsecond to an hour.
func recordRow(name, about string, batch int) Row {
	return Row{Name: name, About: about, Contestants: []Contestant{
		{Ours, func() Subject {
			return recorder(batch, func(hist []uint32, ns []int64) { simd.Record(hist, ns, subBits) })
		}},
		{"twin", func() Subject {
			return recorder(batch, func(hist []uint32, ns []int64) { scalar.Record(hist, ns, subBits) })
		}},
		{"hdr", func() Subject { return hdrRecorder(batch) }},
	}}
}

// batches returns a function that hands out the million durations in turn.
func batches(size int) func() []int64 {
	ns, at := latencies(), 0
	return func() []int64 {
		if at += size; at > len(ns) {
			at = size
		}
		return ns[at-size : at]
	}
}

func recorder(batch int, record func(hist []uint32, ns []int64)) Subject {
	return employing(func() worker {
		hist, next := make([]uint32, simd.Buckets(subBits)), batches(batch)
		return worker{
			work: func() bool { record(hist, next()); return true },
			held: func() uint64 { return simd.Sum(hist) / uint64(batch) },
		}
	})
}

func hdrRecorder(batch int) Subject {
	return employing(func() worker {
		h, next := hdrhistogram.New(1000, 3600e9, 2), batches(batch)
		return worker{
			work: func() bool {
				for _, v := range next() {
					if h.RecordValue(v) != nil {
						return false
					}
				}
				return true
			},
			held: func() uint64 { return uint64(h.TotalCount()) / uint64(batch) },
		}
	})
}

func addRow(name, about string, n int) Row {
	return Row{Name: name, About: about, Contestants: []Contestant{
		{Ours, func() Subject { return adder(n, func(dst, src []uint32) { simd.AddUint32(dst, src) }) }},
		{"twin", func() Subject { return adder(n, scalar.AddUint32) }},
	}}
}

// adder adds the same counts again and again.
func adder(n int, add func(dst, src []uint32)) Subject {
	return employing(func() worker {
		dst, src := make([]uint32, n), slices.Repeat([]uint32{1}, n)
		return worker{
			work: func() bool { add(dst, src); return true },
			held: func() uint64 { return simd.Sum(dst) / uint64(n) },
		}
	})
}

func rankRow(name, about string, bits int) Row {
	return Row{Name: name, About: about, Contestants: []Contestant{
		{Ours, func() Subject { return ranker(bits, simd.RankIndex) }},
		{"twin", func() Subject {
			return ranker(bits, func(counts []uint32, rank uint64) (int, uint64) { return scalar.RankIndex(counts, 0, rank) })
		}},
	}}
}

// ranker asks a histogram of a hundred thousand durations for its p50, p90, p99 and p99.9 in turn.
func ranker(bits int, find func(counts []uint32, rank uint64) (int, uint64)) Subject {
	counts := make([]uint32, simd.Buckets(bits))
	scalar.Record(counts, latencies()[:100_000], bits)
	ranks := [4]uint64{50_000, 90_000, 99_000, 99_900}
	var want [4]int
	for i, rank := range ranks {
		want[i], _ = scalar.RankIndex(counts, 0, rank)
	}
	return Subject{Loop: func(from, n int) (found int) {
		for i := from; i < from+n; i++ {
			if at, below := find(counts, ranks[i&3]); at == want[i&3] && below < ranks[i&3] {
				found++
			}
		}
		return found
	}}
}

func floatAdder(sum func(x []float32) float32) Subject {
	x := slices.Repeat([]float32{1}, 4096)
	return employing(func() worker { return worker{work: func() bool { return sum(x) == 4096 }} })
}

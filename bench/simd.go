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

// subBits is the default layout of core/latency; fineBits the finest.
const (
	subBits  = 3
	fineBits = 5
	million  = 1 << 20
)

// simdRows set each kernel beside its twin in plain Go. A call is a duration, a count, a rank or a float, so that the
// ns/op of different lengths can be compared. On a machine without AVX2 both sides are the same code.
func simdRows() []Row {
	return []Row{
		{Name: "SIMDBucketIndex", About: "the bucket of a duration, 4,096 at a time", Contestants: []Contestant{
			{Ours, func() Subject { return indexer(func(dst []uint32, ns []int64) { simd.BucketIndex(dst, ns, subBits) }) }},
			{"twin", func() Subject {
				return indexer(func(dst []uint32, ns []int64) { scalar.BucketIndex(dst, ns, subBits) })
			}},
		}},
		recordRow("SIMDRecord128", "index and count a duration, 128 at a time", 128),
		recordRow("SIMDRecord4096", "index and count a duration, 4,096 at a time", 4096),
		recordRow("SIMDRecord1M", "index and count a duration, a million at a time", million,
			Contestant{"hdr", hdrRecorder}),
		addRow("SIMDAdd208", "merge a count, 208 at a time", 208),
		addRow("SIMDAdd832", "merge a count, 832 at a time", 832),
		addRow("SIMDAdd4096", "merge a count, 4,096 at a time", 4096),
		rankRow("SIMDRank208", "find a quantile in 208 buckets", subBits),
		rankRow("SIMDRank832", "find a quantile in 832 buckets", fineBits),
		{Name: "SIMDSumFloat", About: "add a float32, 4,096 at a time", Contestants: []Contestant{
			{Ours, func() Subject { return floatAdder(simd.SumFloat32) }},
			{"twin", func() Subject { return floatAdder(scalar.SumFloat32) }},
		}},
	}
}

// latencies returns a million durations in nanoseconds: log-normal about 5 ms with a sigma of 0.6, one in a hundred
// thirty times as long.
var latencies = sync.OnceValue(func() []int64 {
	rng := rand.New(rand.NewPCG(1, 2))
	ns := make([]int64, million)
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
	work func(k int) (done int) // does the next k values and returns how many came out right
	held func() uint64          // how many values the results hold; optional
}

// inBlocks makes a Subject whose calls are values, worked on in blocks. Results are not for sharing, so every goroutine has
// a worker of its own. The call through a function value is one a block, on both sides.
func inBlocks(block int, employ func() worker) Subject {
	var mu sync.Mutex
	var idle, all []*worker
	take := func() *worker {
		mu.Lock()
		defer mu.Unlock()
		if n := len(idle); n > 0 {
			w := idle[n-1]
			idle = idle[:n-1]
			return w
		}
		w := employ()
		all = append(all, &w)
		return &w
	}
	return Subject{
		Loop: func(_, n int) (done int) {
			w := take()
			for k := 0; n > 0; n -= k {
				k = min(n, block)
				done += w.work(k)
			}
			mu.Lock()
			idle = append(idle, w)
			mu.Unlock()
			return done
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
				return fmt.Errorf("the results hold %d values of %d", held, calls)
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
	return inBlocks(len(ns), func() worker {
		dst := make([]uint32, len(ns))
		return worker{work: func(k int) int {
			index(dst[:k], ns[:k])
			if dst[k-1] != want[k-1] || dst[k/2] != want[k/2] {
				return 0
			}
			return k
		}}
	})
}

func recordRow(name, about string, block int, more ...Contestant) Row {
	return Row{Name: name, About: about, Contestants: append([]Contestant{
		{Ours, func() Subject {
			return recorder(block, func(hist []uint32, ns []int64) { simd.Record(hist, ns, subBits) })
		}},
		{"twin", func() Subject {
			return recorder(block, func(hist []uint32, ns []int64) { scalar.Record(hist, ns, subBits) })
		}},
	}, more...)}
}

func recorder(block int, record func(hist []uint32, ns []int64)) Subject {
	return inBlocks(block, func() worker {
		hist, ns, at := make([]uint32, simd.Buckets(subBits)), latencies(), 0
		return worker{
			work: func(k int) int {
				if at+k > len(ns) {
					at = 0
				}
				record(hist, ns[at:at+k])
				at += k
				return k
			},
			held: func() uint64 { return simd.Sum(hist) },
		}
	})
}

// hdrRecorder is HdrHistogram at two significant digits from a microsecond to an hour, a value a call.
func hdrRecorder() Subject {
	return inBlocks(million, func() worker {
		h, ns := hdrhistogram.New(1000, 3600e9, 2), latencies()
		return worker{
			work: func(k int) (done int) {
				for _, v := range ns[:k] {
					if h.RecordValue(v) == nil {
						done++
					}
				}
				return done
			},
			held: func() uint64 { return uint64(h.TotalCount()) },
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
	return inBlocks(n, func() worker {
		dst, src := make([]uint32, n), slices.Repeat([]uint32{1}, n)
		return worker{
			work: func(k int) int { add(dst[:k], src[:k]); return k },
			held: func() uint64 { return simd.Sum(dst) },
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
	return inBlocks(len(x), func() worker {
		return worker{work: func(k int) int { return int(sum(x[:k])) }}
	})
}

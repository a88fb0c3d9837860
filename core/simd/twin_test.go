package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/mw-go/mw/internal/scalar"
)

// source yields the operands of a test: those that the fuzzer has chosen, then random ones.
type source struct {
	data []byte
	rng  *rand.Rand
}

func newSource(data []byte, seed uint64) *source {
	return &source{data, rand.New(rand.NewPCG(seed, 1))}
}

func (s *source) next() (v uint64) {
	if len(s.data) == 0 {
		return s.rng.Uint64()
	}
	var word [8]byte
	s.data = s.data[copy(word[:], s.data):]
	for i, b := range word {
		v |= uint64(b) << (8 * i)
	}
	return v
}

func (s *source) duration() int64 { return anyDuration(s.next()) }

// count favours zero, small numbers and the greatest ones.
func (s *source) count() uint64 {
	switch v := s.next(); v & 3 {
	case 0:
		return 0
	case 1:
		return v >> 2 & 15
	case 2:
		return math.MaxUint64 - v>>2&15
	default:
		return v >> (2 + v>>2&31)
	}
}

// float gives one in sixteen any bits at all: NaN, infinities, denormals.
func (s *source) float() float32 {
	v := s.next()
	if v&15 == 0 {
		return math.Float32frombits(uint32(v >> 32))
	}
	return float32(int32(v>>32)) / float32(1+v>>4&0xffff)
}

// A place hands out memory, aligned for elements of the given size, in which the kernels have to work. What it holds at
// first is not defined.
type place func(size, elem int) unsafe.Pointer

func slot[E any](at place, n int) []E {
	var e E
	size := int(unsafe.Sizeof(e))
	return unsafe.Slice((*E)(at(n*size, size)), n)
}

func fill[E any](at place, n int, next func() E) []E {
	s := slot[E](at, n)
	for i := range s {
		s[i] = next()
	}
	return s
}

// A twinTest compares one exported function on n elements with its plain form.
type twinTest struct {
	name string
	run  func(at place, n int, from *source) error
}

var twinTests = []twinTest{
	{"BucketIndex", twinBucketIndex}, {"Count", twinCount}, {"Record", twinRecord},
	{"AddUint32", func(at place, n int, from *source) error { return twinMerge(at, n, from, AddUint32, scalar.AddUint32) }},
	{"SubUint32", func(at place, n int, from *source) error { return twinMerge(at, n, from, SubUint32, scalar.SubUint32) }},
	{"AddUint64", twinAddUint64}, {"AddShared", twinAddShared}, {"Sum", twinSum},
	{"RankIndex", twinRankIndex}, {"RankIndexes", twinRankIndexes}, {"SumFloat32", twinSumFloat32},
}

func same[E comparable](got, want []E) error {
	for i := range want {
		if got[i] != want[i] {
			return fmt.Errorf("element %d of %d is %v, want %v", i, len(want), got[i], want[i])
		}
	}
	return nil
}

func (s *source) bits() int { return MinBits + int(s.next()%(MaxBits-MinBits+1)) }

func (s *source) count32() uint32 { return uint32(s.count()) }

func twinBucketIndex(at place, n int, from *source) error {
	bits, want := from.bits(), make([]uint32, n)
	dst, ns := slot[uint32](at, n), fill(at, n, from.duration)
	scalar.BucketIndex(want, ns, bits)
	if got := BucketIndex(dst, ns, bits); got != n {
		return fmt.Errorf("%d done", got)
	}
	return same(dst, want)
}

func twinCount(at place, n int, from *source) error {
	buckets := int(from.next() % 900)
	hist := fill(at, buckets, from.count32)
	idx := fill(at, n, func() uint32 { return uint32(from.next() % uint64(buckets+2)) })
	want := slices.Clone(hist)
	scalar.Count(want, idx)
	Count(hist, idx)
	return same(hist, want)
}

func twinRecord(at place, n int, from *source) error {
	bits := from.bits()
	hist, ns := fill(at, Buckets(bits), from.count32), fill(at, n, from.duration)
	want := slices.Clone(hist)
	scalar.Record(want, ns, bits)
	Record(hist, ns, bits)
	return same(hist, want)
}

func twinMerge(at place, n int, from *source, kernel func(_, _ []uint32) int, twin func(_, _ []uint32)) error {
	dst, src := fill(at, n, from.count32), fill(at, n, from.count32)
	want := slices.Clone(dst)
	twin(want, src)
	if got := kernel(dst, src); got != n {
		return fmt.Errorf("%d done", got)
	}
	return same(dst, want)
}

func twinAddUint64(at place, n int, from *source) error {
	dst, src := fill(at, n, from.count), fill(at, n, from.count)
	want := slices.Clone(dst)
	scalar.AddUint64(want, src)
	if got := AddUint64(dst, src); got != n {
		return fmt.Errorf("%d done", got)
	}
	return same(dst, want)
}

func twinAddShared(at place, n int, from *source) error {
	dst, src := fill(at, n, from.count32), slot[atomic.Uint32](at, n)
	for i := range src {
		src[i].Store(from.count32())
	}
	want := slices.Clone(dst)
	scalar.AddShared(want, src)
	if got := AddShared(dst, src); got != n {
		return fmt.Errorf("%d done", got)
	}
	return same(dst, want)
}

func twinSum(at place, n int, from *source) error {
	counts := fill(at, n, from.count32)
	if got, want := Sum(counts), scalar.Sum(counts); got != want {
		return fmt.Errorf("%d, want %d", got, want)
	}
	return nil
}

// rank returns a rank that lies among the counts, most of the time.
func (s *source) rank(counts []uint32) uint64 {
	return s.next() % (scalar.Sum(counts) + 2)
}

func twinRankIndex(at place, n int, from *source) error {
	counts := fill(at, n, from.count32)
	for range 3 {
		rank := from.rank(counts)
		i, before := RankIndex(counts, rank)
		if want, below := scalar.RankIndex(counts, 0, max(rank, 1)); i != want || before != below {
			return fmt.Errorf("rank %d: %d after %d, want %d after %d", rank, i, before, want, below)
		}
	}
	return nil
}

func twinRankIndexes(at place, n int, from *source) error {
	counts := fill(at, n, from.count32)
	ranks := fill(at, int(from.next()%9), func() uint64 { return from.rank(counts) })
	if from.next()%4 != 0 {
		slices.Sort(ranks)
	}
	dst, want := slot[int](at, len(ranks)), make([]int, len(ranks))
	for i, rank := range ranks {
		want[i], _ = scalar.RankIndex(counts, 0, max(rank, 1))
	}
	if got := RankIndexes(dst, counts, ranks); got != len(ranks) {
		return fmt.Errorf("%d done", got)
	}
	return same(dst, want)
}

func twinSumFloat32(at place, n int, from *source) error {
	x := fill(at, n, from.float)
	got, want := SumFloat32(x), scalar.SumFloat32(x)
	if got != got && want != want {
		return nil // two NaNs
	}
	if math.Float32bits(got) != math.Float32bits(want) {
		return fmt.Errorf("%v, want %v", got, want)
	}
	return nil
}

// mark is what surrounds the memory of a frame.
const mark = 0xa5

// frame is a place on the heap: every piece begins offset elements behind a multiple of 64 bytes and lies between marks.
type frame struct {
	offset int
	pieces [][2][]byte // what surrounds each
}

func (f *frame) at(size, elem int) unsafe.Pointer {
	const margin = 128
	all := make([]byte, size+f.offset*elem+64+2*margin)
	for i := range all {
		all[i] = mark
	}
	start := margin + f.offset*elem
	start += int(-uintptr(unsafe.Pointer(&all[margin])) % 64)
	f.pieces = append(f.pieces, [2][]byte{all[:start], all[start+size:]})
	return unsafe.Pointer(&all[start])
}

// intact reports whether nothing was written round the pieces.
func (f *frame) intact() error {
	for _, piece := range f.pieces {
		for side, around := range piece {
			if slices.ContainsFunc(around, func(b byte) bool { return b != mark }) {
				return fmt.Errorf("written %s the slice", []string{"before", "behind"}[side])
			}
		}
	}
	return nil
}

// check runs a comparison in a frame.
func (c twinTest) check(t *testing.T, offset, n int, from *source) {
	t.Helper()
	f := &frame{offset: offset}
	err := c.run(f.at, n, from)
	if err == nil {
		err = f.intact()
	}
	if err != nil {
		t.Fatalf("%s of %d elements at offset %d: %v", c.name, n, offset, err)
	}
}

// TestTwinsAtEveryOffsetAndLength goes round the blocks of all kernels.
func TestTwinsAtEveryOffsetAndLength(t *testing.T) {
	from := newSource(nil, rand.Uint64())
	for _, c := range twinTests {
		t.Run(c.name, func(t *testing.T) {
			for offset := range 32 {
				for n := range 131 {
					c.check(t, offset, n, from)
				}
			}
		})
	}
}

func TestTwinsAtLargeSizes(t *testing.T) {
	from := newSource(nil, rand.Uint64())
	for _, c := range twinTests {
		t.Run(c.name, func(t *testing.T) {
			for range 20 {
				c.check(t, rand.IntN(32), rand.IntN(20_000), from)
			}
		})
	}
}

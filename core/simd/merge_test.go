package simd

import (
	"math"
	"math/big"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// edges are operands at which sums and differences turn.
var edges = []uint64{
	0, 1, 2, 1<<31 - 1, 1 << 31, 1<<31 + 1, 1<<32 - 2, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1 << 63, 1<<63 + 1, 1<<64 - 2, 1<<64 - 1,
}

// pairs returns every pair of edges, each repeated so that it meets every lane.
func pairs() (a, b []uint64) {
	for _, x := range edges {
		for _, y := range edges {
			for range 9 {
				a, b = append(a, x), append(b, y)
			}
		}
	}
	return a, b
}

func lower(x []uint64) []uint32 {
	low := make([]uint32, len(x))
	for i, v := range x {
		low[i] = uint32(v)
	}
	return low
}

// bounded returns x as far as it lies within 0 and high.
func bounded(x *big.Int, high uint64) uint64 {
	switch {
	case x.Sign() < 0:
		return 0
	case x.Cmp(new(big.Int).SetUint64(high)) > 0:
		return high
	}
	return x.Uint64()
}

func wide(x uint64) *big.Int { return new(big.Int).SetUint64(x) }

func TestAddAndSubAtTheEdges(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		a, b := pairs()
		add32, sub32, add64 := lower(a), lower(a), slices.Clone(a)
		src, shared := lower(b), make([]atomic.Uint32, len(b))
		for i, v := range src {
			shared[i].Store(v)
		}
		addShared := lower(a)
		for name, n := range map[string]int{
			"AddUint32": AddUint32(add32, src), "SubUint32": SubUint32(sub32, src), "AddUint64": AddUint64(add64, b),
			"AddShared": AddShared(addShared, shared),
		} {
			if n != len(a) {
				t.Errorf("%s = %d, want %d", name, n, len(a))
			}
		}
		for i := range a {
			x, y := wide(a[i]&math.MaxUint32), wide(b[i]&math.MaxUint32)
			if want := uint32(bounded(new(big.Int).Add(x, y), math.MaxUint32)); add32[i] != want || addShared[i] != want {
				t.Errorf("%v + %v: AddUint32 %d, AddShared %d, want %d", x, y, add32[i], addShared[i], want)
			}
			if want := uint32(bounded(new(big.Int).Sub(x, y), math.MaxUint32)); sub32[i] != want {
				t.Errorf("%v - %v: SubUint32 %d, want %d", x, y, sub32[i], want)
			}
			if want := bounded(new(big.Int).Add(wide(a[i]), wide(b[i])), math.MaxUint64); add64[i] != want {
				t.Errorf("%d + %d: AddUint64 %d, want %d", a[i], b[i], add64[i], want)
			}
		}
	})
}

// TestShortestLengthRules: what lies beyond the shorter slice is neither read nor written.
func TestShortestLengthRules(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		for _, c := range [][2]int{{0, 100}, {100, 0}, {37, 200}, {200, 37}} {
			n := min(c[0], c[1])
			dst, src := filled[uint32](c[0], 5), filled[uint32](c[1], 3)
			if got := AddUint32(dst, src); got != n || !slices.Equal(dst, mixed[uint32](c[0], n, 8, 5)) {
				t.Errorf("AddUint32 of %v: %d, %v", c, got, dst)
			}
			if got := SubUint32(dst, src); got != n || !slices.Equal(dst, filled[uint32](c[0], 5)) {
				t.Errorf("SubUint32 of %v: %d, %v", c, got, dst)
			}
			if got := AddShared(dst, make([]atomic.Uint32, c[1])); got != n || !slices.Equal(dst, filled[uint32](c[0], 5)) {
				t.Errorf("AddShared of %v: %d, %v", c, got, dst)
			}
			if got := BucketIndex(dst, make([]int64, c[1]), 3); got != n || !slices.Equal(dst, mixed[uint32](c[0], n, 0, 5)) {
				t.Errorf("BucketIndex of %v: %d, %v", c, got, dst)
			}
			long := filled[uint64](c[0], 5)
			if got := AddUint64(long, filled[uint64](c[1], 3)); got != n || !slices.Equal(long, mixed[uint64](c[0], n, 8, 5)) {
				t.Errorf("AddUint64 of %v: %d, %v", c, got, long)
			}
		}
	})
}

func filled[E uint32 | uint64](n int, v E) []E { return mixed(n, n, v, v) }

// mixed returns n elements, the first of them head, those from split on tail.
func mixed[E uint32 | uint64](n, split int, head, tail E) []E {
	s := make([]E, n)
	for i := range s {
		s[i] = tail
		if i < split {
			s[i] = head
		}
	}
	return s
}

// TestAddSharedWhileOthersAdd: every sum lies between what had been added before and what had been added after.
func TestAddSharedWhileOthersAdd(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		const adders, rounds, n = 2, 2000, 67
		src := make([]atomic.Uint32, n)
		var all sync.WaitGroup
		for range adders {
			all.Go(func() {
				for range rounds {
					for i := range src {
						src[i].Add(1)
					}
				}
			})
		}
		last := make([]uint32, n)
		for range 300 {
			now := make([]uint32, n)
			AddShared(now, src)
			for i := range now {
				if now[i] < last[i] || now[i] > adders*rounds {
					t.Fatalf("element %d: %d after %d", i, now[i], last[i])
				}
			}
			last = now
		}
		all.Wait()
		sum := make([]uint32, n)
		if AddShared(sum, src); !slices.Equal(sum, filled[uint32](n, adders*rounds)) {
			t.Errorf("at rest: %v", sum)
		}
	})
}

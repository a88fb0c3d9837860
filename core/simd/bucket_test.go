package simd

import (
	"math"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// bounds returns the first value of every bucket but bucket 0, which takes everything below the second, by the
// definition: octave o begins at 2^(LowBits+o) and is cut into 2^bits equal parts.
func bounds(bits int) []int64 {
	var all []int64
	for octave := range Octaves {
		low := int64(1) << (LowBits + octave)
		for part := range int64(1) << bits {
			all = append(all, low+part*low>>bits)
		}
	}
	return all
}

func TestBuckets(t *testing.T) {
	for bits, want := range map[int]int{3: 208, 4: 416, 5: 832} {
		if got := Buckets(bits); got != want || len(bounds(bits)) != want {
			t.Errorf("Buckets(%d) = %d, want %d; %d bounds", bits, got, want, len(bounds(bits)))
		}
	}
}

func TestBucketBounds(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		for bits := MinBits; bits <= MaxBits; bits++ {
			var ns []int64
			var want []uint32
			for i, low := range bounds(bits) {
				ns = append(ns, low-1, low, low+1)
				want = append(want, uint32(max(i-1, 0)), uint32(i), uint32(i))
			}
			last := uint32(Buckets(bits) - 1)
			for _, low := range slices.Concat(turns(), []int64{-1 << 52, -1 << 36, -1 << 32, -1, 0, 1, 512, 1023}) {
				ns, want = append(ns, low), append(want, 0)
			}
			for _, high := range []int64{1<<36 - 1, 1 << 36, 1<<36 + 1, 1 << 37, 1 << 52, 1<<53 + 1, 1 << 62, math.MaxInt64} {
				ns, want = append(ns, high), append(want, last)
			}
			dst := make([]uint32, len(ns))
			if n := BucketIndex(dst, ns, bits); n != len(ns) {
				t.Fatalf("BucketIndex = %d of %d", n, len(ns))
			}
			for i, v := range ns {
				if dst[i] != want[i] || BucketOf(v, bits) != want[i] {
					t.Errorf("bits %d, %d ns: BucketIndex %d, BucketOf %d, want %d", bits, v, dst[i], BucketOf(v, bits), want[i])
				}
			}
		}
	})
}

// turns returns the negative durations at which the bits that a kernel makes of them turn from one kind of double into
// another, going down: positive, denormal, zero, NaN, infinite, negative.
func turns() (all []int64) {
	const magic = 0x4338 << 48
	for _, bits := range []uint64{1 << 52, 1, 0, 1<<64 - 1, 0xfff8 << 48, 0xfff0 << 48, 0xffe0 << 48, 0xc339 << 48} {
		for _, near := range []uint64{bits - 1, bits, bits + 1} {
			all = append(all, int64(near-magic))
		}
	}
	return append(all, math.MinInt64, math.MinInt64+1)
}

// TestBucketOfRises walks pairs of neighbours of random size: a longer duration is never in a lower bucket.
func TestBucketOfRises(t *testing.T) {
	for range 100_000 {
		a := anyDuration(rand.Uint64())
		b := max(a, anyDuration(rand.Uint64()))
		for bits := MinBits; bits <= MaxBits; bits++ {
			if i, j := BucketOf(a, bits), BucketOf(b, bits); i > j {
				t.Fatalf("bits %d: %d ns in %d, %d ns in %d", bits, a, i, b, j)
			}
		}
	}
}

// anyDuration spreads durations over all magnitudes, one in eight negative.
func anyDuration(r uint64) int64 {
	v := int64(r>>1) >> (r % 63)
	if r>>6&7 == 0 {
		return ^v
	}
	return v
}

func TestBucketOfTrustsBits(t *testing.T) {
	for _, bits := range []int{math.MinInt, -1, 0, 2, 6, 63, 64, 1000, math.MaxInt} {
		for _, v := range []int64{math.MinInt64, 0, 5000, math.MaxInt64} {
			BucketOf(v, bits) // must not panic
		}
	}
}

func TestBitsOutOfRangePanic(t *testing.T) {
	for _, bits := range []int{math.MinInt, -1, 0, 2, 6, 64, math.MaxInt} {
		for name, call := range map[string]func(){
			"Buckets":     func() { Buckets(bits) },
			"BucketIndex": func() { BucketIndex(nil, nil, bits) },
			"Record":      func() { Record(nil, nil, bits) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s with %d bits does not panic", name, bits)
					}
				}()
				call()
			}()
		}
	}
}

// TestBucketOfIsInlined: it is the hot path of single records.
func TestBucketOfIsInlined(t *testing.T) {
	if strconv.IntSize == 32 {
		t.Skip("64-bit arithmetic is beyond what the compiler inlines here")
	}
	out, err := exec.Command("go", "build", "-gcflags=-m", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, line := range []string{"can inline BucketOf", "inlining call to scalar.BucketOf"} {
		if !strings.Contains(string(out), line) {
			t.Errorf("the compiler does not say %q", line)
		}
	}
}

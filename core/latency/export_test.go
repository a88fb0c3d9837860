package latency

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func filled(t *testing.T, buckets int, draw func(*rand.Rand) float64) (*Window, []time.Duration) {
	r := rand.New(rand.NewPCG(9, uint64(buckets)))
	w, exact := mustNew(t, Config{Buckets: buckets}), make([]time.Duration, 5000)
	for i := range exact {
		exact[i] = min(max(time.Duration(draw(r)), Least), Longest-1)
		w.Record(1, exact[i])
	}
	slices.Sort(exact)
	return w, exact
}

// expanded is an export as the upper ends of its buckets in seconds, one for each duration.
func (e Exponential) expanded() (ends []float64) {
	base := math.Exp2(math.Exp2(float64(-e.Scale)))
	for i, c := range e.Counts {
		for range c {
			ends = append(ends, math.Pow(base, float64(e.Offset+i+1)))
		}
	}
	return ends
}

func (n Native) expanded() (ends []float64) {
	base := math.Exp2(math.Exp2(float64(-n.Schema)))
	at, k, count := 0, 0, int64(0)
	for _, span := range n.Spans {
		at += int(span.Offset)
		for range span.Length {
			count += n.Deltas[k]
			k++
			for range count {
				ends = append(ends, math.Pow(base, float64(at)))
			}
			at++
		}
	}
	return ends
}

// What an export says of any duration is off by no more than the bound and the width of one of the export's buckets.
func TestExportsKeepTheBound(t *testing.T) {
	for _, dist := range distributions {
		for _, n := range layouts {
			w, exact := filled(t, n, dist.draw)
			s := w.Snapshot(1)
			for scale := range MaxScale + 1 {
				width := math.Exp2(math.Exp2(float64(-scale))) - 1
				e, p := s.Exponential(scale), s.Native(scale)
				for form, ends := range map[string][]float64{"otel": e.expanded(), "prometheus": p.expanded()} {
					if len(ends) != len(exact) {
						t.Fatalf("%s %s: %d durations, want %d", dist.name, form, len(ends), len(exact))
					}
					for i, end := range ends {
						low, high := end/(1+width), end // the export says: between these
						v := exact[i].Seconds()
						if off := max(low/v-1, 1-high/v); off > s.ErrorBound() {
							t.Fatalf("%s, %d buckets, %s at scale %d: (%.9f, %.9f], exactly %.9f: off by %.4f",
								dist.name, n, form, scale, low, high, v, off)
						}
					}
				}
				if e.Count != s.Count() || p.Count != s.Count() || math.Abs(e.Sum-s.Sum().Seconds()) > 1e-6 || p.Sum != e.Sum || p.Schema != scale {
					t.Fatalf("counts and sums: %+v", e)
				}
			}
		}
	}
}

func TestExportsOfNothing(t *testing.T) {
	for _, s := range []Snapshot{{}, mustNew(t, Config{}).Snapshot(1)} {
		if e := s.Exponential(99); e.Scale != MaxScale || e.Counts != nil || e.Sum != 0 {
			t.Errorf("%+v", e)
		}
		if p := s.Native(-5); p.Schema != 0 || p.Spans != nil || p.Deltas != nil {
			t.Errorf("%+v", p)
		}
	}
}

func TestSumIsWithinTheBound(t *testing.T) {
	for _, dist := range distributions {
		w, exact := filled(t, 208, dist.draw)
		want := 0.0
		for _, d := range exact {
			want += d.Seconds()
		}
		if got := w.Snapshot(1).Sum().Seconds(); math.Abs(got/want-1) > w.ErrorBound() {
			t.Errorf("%s: sum %v, exactly %v", dist.name, got, want)
		}
	}
}

func TestSumSaturates(t *testing.T) {
	s := Snapshot{counts: make([]uint64, 208), n: 1 << 62}
	s.counts[207] = 1 << 62
	if s.Sum() != math.MaxInt64 {
		t.Errorf("sum is %v", s.Sum())
	}
}

func TestMerge(t *testing.T) {
	w, _ := filled(t, 208, distributions[0].draw)
	v, _ := filled(t, 208, distributions[2].draw)
	a, b := w.Snapshot(1), v.Snapshot(1)
	var all Snapshot
	for _, s := range []Snapshot{a, {}, b} {
		if err := all.Merge(s); err != nil {
			t.Fatal(err)
		}
	}
	if all.Count() != a.Count()+b.Count() {
		t.Errorf("merged %d, want %d", all.Count(), a.Count()+b.Count())
	}
	for _, d := range []time.Duration{1e6, 1e7, 1e8, 1e9, 3e9} {
		if got, want := all.Above(d), a.Above(d)+b.Above(d); math.Abs(got-want) > 1e-6 {
			t.Errorf("above %v: %v, want %v", d, got, want)
		}
		if got, _ := w.Above(1, d); math.Abs(got-a.Above(d)) > 1e-6 {
			t.Errorf("above %v: the window says %v, its snapshot %v", d, got, a.Above(d))
		}
	}
	sum := uint64(0)
	for _, n := range all.Buckets() {
		sum += n
	}
	if sum != all.Count() {
		t.Errorf("the buckets hold %d", sum)
	}
	other, _ := filled(t, 416, distributions[0].draw)
	before := all.Count()
	if err := all.Merge(other.Snapshot(1)); err == nil || all.Count() != before {
		t.Errorf("merging another layout: %v", err)
	}
}

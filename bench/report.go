package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"text/tabwriter"
)

// A Comparison is ours against one peer, in one series.
type Comparison struct {
	Peer            string
	Ratio           float64 // the median over the rounds of ours/peer, both of the same round
	Lowest, Highest float64 // over the rounds
	P               float64 // of the Mann-Whitney test on the two samples
}

// nanoseconds returns the sample of contestant i.
func (s *Series) nanoseconds(i int) []float64 {
	var sample []float64
	for _, p := range s.Points[i] {
		sample = append(sample, p.Ns)
	}
	return sample
}

// allocs returns the median of the allocations a call of contestant i: a stray one of the runtime's own does not count.
func (s *Series) allocs(i int) int64 {
	var sample []float64
	for _, p := range s.Points[i] {
		sample = append(sample, float64(p.Allocs))
	}
	return int64(quantile(sample, 0.5))
}

// compare returns ours against every peer, the best peer first; nothing if the row is not compared.
func (s *Series) compare() (all []Comparison) {
	if !s.Row.compared() {
		return nil
	}
	ours := s.nanoseconds(0)
	for i := 1; i < len(s.Row.Contestants); i++ {
		peer := s.nanoseconds(i)
		ratios := make([]float64, len(ours))
		for round := range ours {
			ratios[round] = ours[round] / peer[round]
		}
		all = append(all, Comparison{
			Peer: s.Row.Contestants[i].Name, Ratio: median(ratios),
			Lowest: slices.Min(ratios), Highest: slices.Max(ratios), P: mannWhitney(ours, peer),
		})
	}
	// The best peer is the one that we look worst against.
	slices.SortStableFunc(all, func(a, b Comparison) int { return cmp.Compare(b.Ratio, a.Ratio) })
	return all
}

// name is such as BreakerClosed-2: the row and GOMAXPROCS.
func (s *Series) name() string { return fmt.Sprintf("%s-%d", s.Row.Name, s.Procs) }

// write prints a series: a table, and for a compared row one RATIO line and a line a peer.
func (s *Series) write(w io.Writer) {
	fmt.Fprintf(w, "%s: %s\n", s.name(), s.Row.About)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for i, c := range s.Row.Contestants {
		ns := s.nanoseconds(i)
		fmt.Fprintf(t, "  %s\t%s ns/op\t±%.0f%%\t%d allocs/op\t\n", c.Name, digits(median(ns)), 100*spread(ns), s.allocs(i))
	}
	t.Flush()
	all := s.compare()
	for i, c := range all {
		if i == 0 {
			fmt.Fprintln(w, ratioLine(s.name(), c.Ratio, s.allocs(0)))
		}
		fmt.Fprintf(w, "ratio vs %s %.3f (%.3f to %.3f, p=%.3f)\n", c.Peer, c.Ratio, c.Lowest, c.Highest, c.P)
	}
	fmt.Fprintln(w)
}

// ratioLine is the one line of a compared row that other programs read: ours against the best peer, and our allocations.
func ratioLine(name string, ratio float64, allocs int64) string {
	return fmt.Sprintf("RATIO %s %.3f allocs=%d", name, ratio, allocs)
}

// digits prints four significant digits without an exponent.
func digits(x float64) string {
	switch {
	case x < 10:
		return fmt.Sprintf("%.3f", x)
	case x < 100:
		return fmt.Sprintf("%.2f", x)
	case x < 1000:
		return fmt.Sprintf("%.1f", x)
	default:
		return fmt.Sprintf("%.0f", x)
	}
}

// writeFootprints prints what a key costs.
func writeFootprints(w io.Writer, all []Footprint) {
	fmt.Fprintf(w, "KeyedMemory: heap for each of %d keys, their names not counted\n", keyCount)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, f := range all {
		fmt.Fprintf(t, "  %s\t%.1f B/key\t\n", f.Name, f.PerKey)
	}
	t.Flush()
	fmt.Fprintln(w)
}

// writeSetting prints what the figures depend on: the toolchain, the machine's size and the peers' versions as built.
func writeSetting(w io.Writer, o options) {
	fmt.Fprintf(w, "%s %s/%s, %d CPUs, %d rounds of %s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH,
		runtime.NumCPU(), o.rounds, o.benchtime)
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return
	}
	for _, d := range info.Deps {
		if d.Replace == nil {
			fmt.Fprintf(w, "  %s %s\n", d.Path, d.Version)
		}
	}
	fmt.Fprintln(w)
}

// writeBenchmarks writes every single measurement in the standard benchmark format, one line each, for benchstat.
func writeBenchmarks(w io.Writer, all []*Series, memory []Footprint) {
	fmt.Fprintf(w, "goos: %s\ngoarch: %s\npkg: github.com/mw-go/mw/bench\n", runtime.GOOS, runtime.GOARCH)
	for _, s := range all {
		suffix := ""
		if s.Procs != 1 {
			suffix = fmt.Sprintf("-%d", s.Procs)
		}
		for i, c := range s.Row.Contestants {
			for _, p := range s.Points[i] {
				fmt.Fprintf(w, "Benchmark%s/impl=%s%s\t%d\t%s ns/op\t%d B/op\t%d allocs/op\n",
					s.Row.Name, c.Name, suffix, p.Calls, digits(p.Ns), p.Bytes, p.Allocs)
			}
		}
	}
	for _, f := range memory {
		fmt.Fprintf(w, "BenchmarkKeyedMemory/impl=%s\t%d\t%.1f B/key\n", f.Name, keyCount, f.PerKey)
	}
}

package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The formats that other programs may rely on.
var (
	ratioFormat = regexp.MustCompile(`^RATIO ([A-Z]\w*)-(\d+) (\d+\.\d{3}) allocs=(\d+)$`)
	peerFormat  = regexp.MustCompile(`^ratio vs ([\w.-]+) (\d+\.\d{3}) \((\d+\.\d{3}) to (\d+\.\d{3}), p=([01]\.\d{3})\)$`)
	barFormat   = regexp.MustCompile(`^BAR (\S+) wanted<=(\d+\.\d\d) got (-?\d+\.\d{3}) (ok|MISSED)$`)
	goFormat    = regexp.MustCompile(`^Benchmark[A-Z]\w*/impl=[\w.-]+?(-\d+)?\t\d+(\t[\d.]+ (ns/op|B/op|allocs/op|B/key))+$`)
)

// sample is a series of two peers whose figures are round numbers.
func sample() *Series {
	points := func(allocs int64, ns ...float64) (all []Point) {
		for _, x := range ns {
			all = append(all, Point{Calls: 1000, Ns: x, Bytes: 16 * allocs, Allocs: allocs})
		}
		return all
	}
	return &Series{
		Row: Row{Name: "BreakerClosed", About: "a sample", Contestants: []Contestant{
			{Name: Ours}, {Name: "failsafe"}, {Name: "gobreaker"},
		}},
		Procs:  2,
		Points: [][]Point{points(0, 40, 50, 60, 70), points(1, 100, 100, 100, 100), points(2, 80, 100, 150, 100)},
	}
}

func TestSeriesReport(t *testing.T) {
	var out bytes.Buffer
	sample().write(&out)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if got, want := lines[0], "BreakerClosed-2: a sample"; got != want {
		t.Errorf("title %q, want %q", got, want)
	}
	if got, want := strings.Join(strings.Fields(lines[1]), " "), "ours 55.00 ns/op ±14% 0 allocs/op"; got != want {
		t.Errorf("table %q, want %q", got, want)
	}
	// Ratios by round: 0.4 0.5 0.6 0.7 and 0.5 0.5 0.4 0.7. The best peer comes first and gives the RATIO.
	m := ratioFormat.FindStringSubmatch(lines[4])
	if want := []string{"BreakerClosed", "2", "0.550", "0"}; m == nil || !slices.Equal(m[1:], want) {
		t.Errorf("%q gives %q, want %q", lines[4], m, want)
	}
	for i, want := range [][]string{
		{"failsafe", "0.550", "0.400", "0.700", "0.021"},
		{"gobreaker", "0.500", "0.400", "0.700", "0.029"},
	} {
		if m := peerFormat.FindStringSubmatch(lines[5+i]); m == nil || !slices.Equal(m[1:], want) {
			t.Errorf("%q gives %q, want %q", lines[5+i], m, want)
		}
	}
}

func TestUncomparedRowsHaveNoRatio(t *testing.T) {
	s := sample()
	s.Row.Contestants = []Contestant{{Name: "mutex"}, {Name: "add"}, {Name: "cas"}}
	var out bytes.Buffer
	s.write(&out)
	if strings.Contains(strings.ToLower(out.String()), "ratio") {
		t.Errorf("a ratio without us in the row:\n%s", &out)
	}
}

func TestBars(t *testing.T) {
	var out bytes.Buffer
	missed := writeBars(&out, []*Series{sample()}, []Footprint{{Ours, 64}, {"go-limiter", 99}})
	want := "BAR BreakerClosed-2/failsafe wanted<=0.45 got 0.550 MISSED\n" +
		"BAR KeyedMemory/bytes wanted<=64.00 got 64.000 ok\n"
	if missed != 1 || out.String() != want {
		t.Errorf("%d missed:\n%swant 1:\n%s", missed, &out, want)
	}
}

func TestStrictIsAboutBars(t *testing.T) {
	all := []*Series{sample()}
	if err := conclude(&bytes.Buffer{}, options{}, all, nil); err != nil {
		t.Errorf("without -strict a missed bar is an error: %v", err)
	}
	if err := conclude(&bytes.Buffer{}, options{strict: true}, all, nil); err != errMissed {
		t.Errorf("with -strict a missed bar gives %v", err)
	}
}

func TestFlags(t *testing.T) {
	o, err := parse([]string{"-only", "x", "-procs", "1,4", "-rounds", "3"}, &bytes.Buffer{})
	if err != nil || o.only != "x" || !slices.Equal(o.procs, []int{1, 4}) || o.rounds != 3 || o.benchtime != "200ms" {
		t.Errorf("got %+v, %v", o, err)
	}
	for _, bad := range [][]string{{"-procs", "0"}, {"-procs", "1,"}, {"-rounds", "0"}, {"breaker"}, {"-nope"}} {
		if _, err := parse(bad, &bytes.Buffer{}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if err := runAll([]string{"-only", "("}, &bytes.Buffer{}, &bytes.Buffer{}); err == nil {
		t.Error("a bad pattern is taken")
	}
}

// TestWholeRun runs the program over every row with a handful of calls and reads back all it prints.
func TestWholeRun(t *testing.T) {
	saved := flag.Lookup("test.benchtime").Value.String()
	defer func() { _ = flag.Set("test.benchtime", saved) }()
	file := filepath.Join(t.TempDir(), "bench.txt")
	var out, progress bytes.Buffer
	if err := runAll([]string{"-rounds", "2", "-benchtime", "20x", "-out", file}, &out, &progress); err != nil {
		t.Fatal(err)
	}
	ratios, gauges := 0, 0
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "RATIO"):
			ratios++
			if !ratioFormat.MatchString(line) {
				t.Errorf("not a RATIO line: %q", line)
			}
		case strings.HasPrefix(line, "ratio vs"):
			if !peerFormat.MatchString(line) {
				t.Errorf("not a ratio line: %q", line)
			}
		case strings.HasPrefix(line, "BAR"):
			gauges++
			if !barFormat.MatchString(line) {
				t.Errorf("not a BAR line: %q", line)
			}
		}
	}
	compared, timings := 0, 0
	for _, r := range table() {
		timings += 2 * 2 * len(r.Contestants)
		if r.compared() {
			compared += 2
		}
	}
	if ratios != compared || gauges != len(bars)+1 {
		t.Errorf("%d RATIO lines, want %d; %d BAR lines, want %d", ratios, compared, gauges, len(bars)+1)
	}
	checkFile(t, file, timings)
}

// checkFile checks the lines of a file written by -out.
func checkFile(t *testing.T, file string, timings int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSuffix(line, "\n"); strings.HasPrefix(line, "Benchmark") {
			got++
			if !goFormat.MatchString(line) {
				t.Errorf("not a benchmark line: %q", line)
			}
		}
	}
	if memory := 3; got != timings+memory {
		t.Errorf("%d benchmark lines, want %d", got, timings+memory)
	}
}

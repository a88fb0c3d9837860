// Command bench compares the guards of mw with other Go libraries that do the same job, in one run, in turns:
//
//	go run . -only breaker -rounds 6 -benchtime 200ms
//
// It prints a table, a line beginning with RATIO for every compared row, and a line beginning with BAR for every figure
// that the project has set itself. README.md says what is compared and what is fair about it.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// options are the flags.
type options struct {
	only      string
	rounds    int
	benchtime string
	procs     []int
	out       string
	strict    bool
	list      bool
}

// errMissed is how -strict ends when a bar was missed.
var errMissed = errors.New("a bar was missed")

func main() {
	err := runAll(os.Args[1:], os.Stdout, os.Stderr)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

// parse reads the flags.
func parse(args []string, stderr io.Writer) (o options, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.only, "only", "", "`regexp` that the name of a row must match, in any case; all rows by default")
	f.IntVar(&o.rounds, "rounds", 6, "how many times each contestant is timed; below 4 no difference is significant")
	f.StringVar(&o.benchtime, "benchtime", "200ms", "how long each timing lasts, such as 200ms, or 20x for 20 calls")
	procs := f.String("procs", "1,2", "`list` of GOMAXPROCS; all goroutines share one object")
	f.StringVar(&o.out, "out", "", "`file` for every single timing in the standard format that benchstat reads")
	f.BoolVar(&o.strict, "strict", false, "exit with status 1 if a bar was missed")
	f.BoolVar(&o.list, "list", false, "print the rows and their contestants, time nothing")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 || o.rounds < 1 {
		return o, fmt.Errorf("unexpected arguments %q or rounds %d below 1", f.Args(), o.rounds)
	}
	for _, field := range strings.Split(*procs, ",") {
		p, err := strconv.Atoi(field)
		if err != nil || p < 1 || p > 1024 {
			return o, fmt.Errorf("-procs: %q is not a number from 1 to 1024", field)
		}
		o.procs = append(o.procs, p)
	}
	return o, nil
}

// runAll is the program without its process.
func runAll(args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	rows, err := choose(table(), o.only)
	if err != nil {
		return err
	}
	if o.list {
		writeList(stdout, rows)
		return nil
	}
	testing.Init()
	if err := flag.Set("test.benchtime", o.benchtime); err != nil {
		return fmt.Errorf("-benchtime: %w", err)
	}
	writeSetting(stdout, o)
	all, err := measureAll(rows, o.procs, o.rounds, func(round int) {
		fmt.Fprintf(stderr, "round %d of %d\n", round+1, o.rounds)
	})
	if err != nil {
		return err
	}
	var memory []Footprint
	if i := slices.IndexFunc(rows, func(r Row) bool { return r.Name == memoryRow }); i >= 0 {
		memory = footprints(rows[i])
	}
	return conclude(stdout, o, all, memory)
}

// conclude prints the results and writes the file.
func conclude(w io.Writer, o options, all []*Series, memory []Footprint) error {
	for _, s := range all {
		s.write(w)
	}
	if memory != nil {
		writeFootprints(w, memory)
	}
	missed := writeBars(w, all, memory)
	if o.out != "" {
		if err := writeFile(o.out, all, memory); err != nil {
			return err
		}
	}
	if o.strict && missed > 0 {
		return errMissed
	}
	return nil
}

func writeList(w io.Writer, rows []Row) {
	for _, r := range rows {
		names := make([]string, len(r.Contestants))
		for i, c := range r.Contestants {
			names[i] = c.Name
		}
		fmt.Fprintf(w, "%s: %s\n    %s\n", r.Name, r.About, strings.Join(names, ", "))
	}
}

func writeFile(name string, all []*Series, memory []Footprint) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	writeBenchmarks(w, all, memory)
	return w.Flush()
}

package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// chunk is how many calls a goroutine takes on at a time in a parallel run. testing.B.RunParallel does the same behind
// pb.Next, whose nanosecond or two a call would be a good part of what is measured here.
const chunk = 1024

// run spreads n calls over procs goroutines and returns how many were admitted.
func run(s Subject, procs, n int) int {
	if procs == 1 {
		return s.Loop(0, n)
	}
	size := min(chunk, (n+procs-1)/procs)
	var next, admitted atomic.Int64
	var all sync.WaitGroup
	for range procs {
		all.Go(func() {
			mine := 0
			for {
				from := int(next.Add(int64(size))) - size
				if from >= n {
					break
				}
				mine += s.Loop(from, min(size, n-from))
			}
			admitted.Add(int64(mine))
		})
	}
	all.Wait()
	return int(admitted.Load())
}

// rehearse checks, before any timing, that a subject answers as the row demands.
func rehearse(r Row, s Subject, procs int) error {
	const calls = 1000
	if got, want := run(s, procs, calls), r.Verdict.want(calls); got != want {
		return fmt.Errorf("%d of %d calls admitted, want %d", got, calls, want)
	}
	return nil
}

// bench times s in b, and fails it if a single call was answered wrongly.
func bench(b *testing.B, r Row, s Subject, procs int) {
	b.ReportAllocs()
	b.ResetTimer()
	got := run(s, procs, b.N)
	b.StopTimer()
	if want := r.Verdict.want(b.N); got != want {
		b.Fatalf("%d of %d calls admitted, want %d", got, b.N, want)
	}
}

// A Point is one measurement of one contestant.
type Point struct {
	Calls  int
	Ns     float64 // a call
	Bytes  int64   // a call
	Allocs int64   // a call
}

// measure builds a contestant at the given GOMAXPROCS and times it there. Everything is built anew each time: how a
// struct happens to lie on the cache lines is then part of the spread instead of being a constant of the run.
func measure(r Row, c Contestant, procs int) (Point, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
	s := c.New()
	defer s.close()
	if err := rehearse(r, s, procs); err != nil {
		return Point{}, fmt.Errorf("%s/%s: %w", r.Name, c.Name, err)
	}
	res := testing.Benchmark(func(b *testing.B) { bench(b, r, s, procs) })
	if res.N == 0 {
		return Point{}, fmt.Errorf("%s/%s: a call was answered wrongly while being timed", r.Name, c.Name)
	}
	return Point{
		Calls: res.N, Ns: float64(res.T.Nanoseconds()) / float64(res.N),
		Bytes: res.AllocedBytesPerOp(), Allocs: res.AllocsPerOp(),
	}, nil
}

// A Series is what the rounds have measured of one row at one GOMAXPROCS: for each contestant, in the row's order, one
// point a round.
type Series struct {
	Row    Row
	Procs  int
	Points [][]Point
}

// measureAll runs every contestant of every row once a round, in turns, so that a slow minute of the machine falls on
// all of them. Every other round goes backwards, so that nobody always comes after the same neighbour.
func measureAll(rows []Row, procs []int, rounds int, progress func(round int)) ([]*Series, error) {
	var all []*Series
	for _, r := range rows {
		for _, p := range procs {
			all = append(all, &Series{Row: r, Procs: p, Points: make([][]Point, len(r.Contestants))})
		}
	}
	for round := range rounds {
		progress(round)
		for _, s := range all {
			for i := range s.Row.Contestants {
				if round%2 == 1 {
					i = len(s.Row.Contestants) - 1 - i
				}
				p, err := measure(s.Row, s.Row.Contestants[i], s.Procs)
				if err != nil {
					return nil, err
				}
				s.Points[i] = append(s.Points[i], p)
			}
		}
	}
	return all, nil
}

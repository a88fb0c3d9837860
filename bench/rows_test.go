package main

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// TestContestantsDoTheirRow sends the same calls through every contestant, alone and two at a time, and asks it
// afterwards, where it keeps statistics, whether each call has left its trace. A contestant that answered from a
// shortcut would make its row a lie.
func TestContestantsDoTheirRow(t *testing.T) {
	const calls = 5000
	for _, row := range table() {
		for _, c := range row.Contestants {
			for _, procs := range []int{1, 2} {
				t.Run(fmt.Sprintf("%s/%s-%d", row.Name, c.Name, procs), func(t *testing.T) {
					defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
					s := c.New()
					defer s.close()
					if got, want := run(s, procs, calls), row.Verdict.want(calls); got != want {
						t.Fatalf("%d of %d calls admitted, want %d", got, calls, want)
					}
					if s.Check == nil {
						return
					}
					if err := s.Check(calls); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
}

// TestEveryCallIsHandedOutOnce covers sizes about the chunk.
func TestEveryCallIsHandedOutOnce(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, chunk - 1, chunk, chunk + 1, 5*chunk + 7} {
		for _, procs := range []int{1, 2, 3} {
			seen := make([]uint8, n) // each element is written by one goroutine, if the test passes
			s := Subject{Loop: func(from, n int) int {
				for i := range n {
					seen[from+i]++
				}
				return n
			}}
			if got := run(s, procs, n); got != n {
				t.Errorf("%d calls by %d: %d done", n, procs, got)
			}
			for i, times := range seen {
				if times != 1 {
					t.Fatalf("%d calls by %d: call %d done %d times", n, procs, i, times)
				}
			}
		}
	}
}

func TestWrongAnswersStopTheRun(t *testing.T) {
	row := Row{Name: "Wrong", Contestants: []Contestant{{Ours, func() Subject {
		return Subject{Loop: func(_, n int) int { return n - 1 }}
	}}}}
	if _, err := measure(row, row.Contestants[0], 1); err == nil {
		t.Error("a contestant that denies a call was measured all the same")
	}
	late := Row{Name: "Late", Contestants: []Contestant{{Ours, func() Subject {
		rehearsed := false
		return Subject{Loop: func(_, n int) int {
			if !rehearsed {
				rehearsed = true
				return n
			}
			return 0
		}}
	}}}}
	if _, err := measure(late, late.Contestants[0], 1); err == nil {
		t.Error("a contestant that denies calls while it is timed was measured all the same")
	}
}

// TestKeysAreSpread tells that the random row visits its keys evenly: of 100,000 keys and 400,000 calls, each is missed
// with probability e^-4.
func TestKeysAreSpread(t *testing.T) {
	seen := map[string]int{}
	for i := range 4 * keyCount {
		seen[pick(keys(), i)]++
	}
	if got := len(seen); got < 97_500 || got > 98_900 {
		t.Errorf("%d of %d keys visited, want about 98,168", got, keyCount)
	}
	distinct := map[string]bool{}
	for _, name := range keys() {
		distinct[name] = true
	}
	if len(distinct) != keyCount {
		t.Errorf("%d distinct keys, want %d", len(distinct), keyCount)
	}
}

func TestBarsNameRowsAndPeers(t *testing.T) {
	for _, b := range bars {
		found := false
		for _, row := range table() {
			for _, c := range row.Contestants {
				found = found || row.Name == b.Row && (c.Name == strings.TrimPrefix(b.Peer, "+") || b.Peer == "")
			}
		}
		if !found {
			t.Errorf("bar %s is about nothing in the table", b.name())
		}
	}
}

// BenchmarkRows is the same table under go test -bench, not in turns: for a profile of one contestant, say.
//
//	go test -bench 'Rows/Keyed100k/impl=ours' -cpu 1,2 -cpuprofile cpu.prof
func BenchmarkRows(b *testing.B) {
	for _, row := range table() {
		for _, c := range row.Contestants {
			b.Run(row.Name+"/impl="+c.Name, func(b *testing.B) {
				s := c.New()
				defer s.close()
				procs := runtime.GOMAXPROCS(0)
				if err := rehearse(row, s, procs); err != nil {
					b.Fatal(err)
				}
				bench(b, row, s, procs)
			})
		}
	}
}

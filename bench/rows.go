package main

import (
	"fmt"
	"regexp"
)

// A Row is one question asked of several contestants: the cost of one and the same piece of work.
type Row struct {
	Name        string // also the name of the benchmark, so it begins with an upper-case letter
	About       string
	Verdict     Verdict
	Contestants []Contestant // if the first is ours, the others are its peers
}

// A Verdict is what every call of a row must get. A contestant that answers otherwise is not measuring the row.
type Verdict int

// The verdicts.
const (
	Admitted Verdict = iota
	Rejected
)

// want returns how many of n calls a contestant must report as admitted.
func (v Verdict) want(n int) int {
	if v == Rejected {
		return 0
	}
	return n
}

// A Contestant is one library doing a row's work.
type Contestant struct {
	Name string
	// New makes a fresh subject, fit for the present GOMAXPROCS, in the state that the row wants.
	New func() Subject
}

// A Subject is a contestant's object under test.
type Subject struct {
	// Loop makes the calls numbered from to from+n-1 and returns how many were admitted. The loop is inside, so that no
	// call through a function value is timed, and its result keeps the compiler from dropping any of the work. Safe for
	// concurrent use.
	Loop func(from, n int) (admitted int)
	// Check asks the object's own statistics whether that many calls have left their trace. Optional.
	Check func(calls int) error
	// Close stops what New has started. Optional.
	Close func()
}

func (s Subject) close() {
	if s.Close != nil {
		s.Close()
	}
}

// Ours is the name of this project's contestant in every row.
const Ours = "ours"

// table returns every row.
func table() []Row {
	var rows []Row
	rows = append(rows, breakerRows()...)
	rows = append(rows, limiterRows()...)
	rows = append(rows, keyedRows()...)
	rows = append(rows, bulkheadRows()...)
	rows = append(rows, retryRows()...)
	rows = append(rows, hedgeRows()...)
	rows = append(rows, timeoutRows()...)
	rows = append(rows, fallbackRows()...)
	rows = append(rows, adaptiveRows()...)
	rows = append(rows, poolRows()...)
	rows = append(rows, batchRows()...)
	rows = append(rows, cacheRows()...)
	rows = append(rows, httpRows()...)
	rows = append(rows, clientRows()...)
	rows = append(rows, grpcRows()...)
	rows = append(rows, givenTimeRows()...)
	rows = append(rows, latencyRows()...)
	rows = append(rows, simdRows()...)
	return append(rows, floorRow())
}

// choose returns the rows whose name matches the pattern, without regard to case.
func choose(rows []Row, pattern string) (chosen []Row, err error) {
	re, err := regexp.Compile("(?i)" + pattern)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	for _, r := range rows {
		if re.MatchString(r.Name) {
			chosen = append(chosen, r)
		}
	}
	return chosen, nil
}

// compared reports whether the row sets us against a peer.
func (r Row) compared() bool { return r.Contestants[0].Name == Ours && len(r.Contestants) > 1 }

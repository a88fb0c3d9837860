package hotconfig

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrClosed is what Watch returns after Close.
var ErrClosed = errors.New("hotconfig: closed")

// A Fault is one thing wrong with the configuration, at the place where it can be mended.
type Fault struct {
	// Source is the name of the layer file, without its directory, or of the environment variable.
	Source string
	// Line and Column count from 1; both are 0 for a variable and for faults of a file as a whole.
	Line, Column int
	// Path is the key, breakers.payments.open_for; empty if the fault is not about one.
	Path string
	// Reason says what is wrong and what may be written. It never contains the value of a secret field, and at most 32
	// characters of any other.
	Reason string
	// Err is the cause, if there is one: the error of a Validate method, or why a file cannot be read.
	Err error

	rank int // of the layer, for sorting
}

// Error returns, for example,
//
//	default.yaml:12:5: breakers.payments.open_for: "3" is not a duration; write e.g. 3s (allowed: 1ms..1h)
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.Source)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	for _, part := range []string{f.Path, f.Reason} {
		if part == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(part)
	}
	return b.String()
}

// Unwrap returns Err.
func (f *Fault) Unwrap() error { return f.Err }

// Errors is all that was wrong with one load, sorted by layer and position. errors.As finds the first *Fault in it.
type Errors []*Fault

// shownFaults is how many faults the text of Errors has. A file of the wrong format altogether gives one per line.
const shownFaults = 20

// Error returns one line per fault, 20 at most, and says how many it left out.
func (es Errors) Error() string {
	var lines []string
	for _, f := range es[:min(len(es), shownFaults)] {
		lines = append(lines, f.Error())
	}
	if more := len(es) - shownFaults; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the faults one by one.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, f := range es {
		out[i] = f
	}
	return out
}

// position is where something was written: in a file, or in a variable, which has no lines.
type position struct {
	source    string
	rank      int // layers low to high, then variables
	line, col int
}

// Bounds on the work that a hostile or mistaken file can cause; more faults than these are dropped.
const (
	maxFaults = 1000
	maxPath   = 200 // bytes
)

// faults collects what is wrong. The same fault is kept once: each layer is checked by itself and again as a part of the
// merged tree.
type faults struct {
	list Errors
	seen map[string]bool
}

func (fs *faults) add(at position, path, reason string) { fs.addErr(at, path, reason, nil) }

func (fs *faults) addErr(at position, path, reason string, err error) {
	if len(path) > maxPath { // a file may have keys of any length
		path = strings.ToValidUTF8(path[:maxPath], "") + "…"
	}
	f := &Fault{Source: at.source, Line: at.line, Column: at.col, Path: path, Reason: reason, Err: err, rank: at.rank}
	key := f.Error()
	if fs.seen[key] || len(fs.list) >= maxFaults {
		return
	}
	if fs.seen == nil {
		fs.seen = map[string]bool{}
	}
	fs.seen[key] = true
	fs.list = append(fs.list, f)
}

// include takes over what is in other.
func (fs *faults) include(other *faults) {
	for _, f := range other.list {
		fs.addErr(position{f.Source, f.rank, f.Line, f.Column}, f.Path, f.Reason, f.Err)
	}
}

// err returns the sorted faults, or nil.
func (fs *faults) err() error {
	if len(fs.list) == 0 {
		return nil
	}
	slices.SortStableFunc(fs.list, func(a, b *Fault) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column), cmp.Compare(a.Path, b.Path))
	})
	return fs.list
}

// Package stripe spreads counters that many goroutines write over several cache lines.
package stripe

import (
	"math/bits"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// Count returns how many stripes to make: four for each processor, so that two goroutines seldom meet on one, rounded up
// to a power of two, at most 64.
func Count() int {
	return 1 << bits.Len(uint(min(4*runtime.GOMAXPROCS(0), 64)-1))
}

// Of picks a stripe below n, a power of two, for the calling goroutine: by the address of its stack, which two running
// goroutines never share and one goroutine rarely changes. The smallest stacks have 2 KB, so two of them never have the
// same address without its low 11 bits. It is a hint, right for any n whatever it returns.
func Of(n int) uintptr {
	var here byte
	at := uint64(uintptr(unsafe.Pointer(&here))) >> 11
	return uintptr(at*0x9e3779b97f4a7c15>>32) & uintptr(n-1)
}

// Line is the size in bytes that keeps two counters out of each other's way: two cache lines, because processors fetch
// lines in pairs.
const Line = 128

// Tally is a set of at most 16 lifetime counters, striped. Make one with NewTally.
type Tally struct{ lines []line }

type line struct {
	n [Line / 8]atomic.Uint64
}

// NewTally returns counters at zero.
func NewTally() Tally { return Tally{lines: make([]line, Count())} }

// Add adds n to counter i, below 16. Lock-free.
func (t Tally) Add(i int, n uint64) { t.lines[Of(len(t.lines))].n[i&15].Add(n) }

// Load returns counter i.
func (t Tally) Load(i int) (sum uint64) {
	for k := range t.lines {
		sum += t.lines[k].n[i&15].Load()
	}
	return sum
}

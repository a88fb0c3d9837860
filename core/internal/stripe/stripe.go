// Package stripe spreads counters that many goroutines write over several cache lines.
package stripe

import (
	"math/bits"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// Count returns how many stripes to make: the number of processors rounded up to a power of two, at most 16.
func Count() int {
	return 1 << bits.Len(uint(min(runtime.GOMAXPROCS(0), 16)-1))
}

// Of picks a stripe below n, a power of two, for the calling goroutine: by the address of its stack, which two running
// goroutines never share and one goroutine rarely changes. It is a hint, right for any n whatever it returns.
func Of(n int) uintptr {
	var here byte
	at := uintptr(unsafe.Pointer(&here)) >> 12
	return (at ^ at>>5) & uintptr(n-1)
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

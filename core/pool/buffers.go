package pool

import (
	"fmt"
	"math"
	"math/bits"
	"sync"
)

// Buffers lends byte buffers, so that hot paths make none. It keeps them by size classes, the powers of two from 64
// bytes up to a largest one: whoever needs a kilobyte is not given, and does not hold back, a megabyte that somebody
// else has filled once. What is not lent belongs to the garbage collector (it is a sync.Pool a class), so there is no
// Close. Make one with NewBuffers. Safe for concurrent use; in the steady state nothing is allocated.
type Buffers struct {
	classes []sync.Pool // of *Buffer; class i has at least 64<<i bytes
}

// Buffer is a byte buffer from Buffers. It has one holder at a time.
type Buffer struct {
	// B is the content. Append to it as to any slice: b.B = strconv.AppendInt(b.B, 7, 10).
	B    []byte
	home *Buffers
}

const (
	smallest     = 64
	smallestBits = 6
	maxLargest   = 1 << 30
	usualLargest = 1 << 20
)

// NewBuffers returns buffers of which those above largest bytes (rounded up to a power of two) are not kept: one huge
// answer must not hold its memory for ever. 0 means 1 MiB. Range 64 to 1 GiB.
func NewBuffers(largest int) (*Buffers, error) {
	if largest == 0 {
		largest = usualLargest
	}
	if largest < smallest || largest > maxLargest {
		return nil, fmt.Errorf("pool: largest buffer of %d bytes is not allowed; allowed: %d..%d, or 0 for %d",
			largest, smallest, maxLargest, usualLargest)
	}
	return &Buffers{classes: make([]sync.Pool, above(largest)+1)}, nil
}

// above is the lowest class whose buffers hold n bytes.
func above(n int) int { return bits.Len(uint(max(n, smallest)-1)) - smallestBits }

// below is the highest class for which a capacity is enough; -1 if it is not even for the lowest.
func below(capacity int) int { return bits.Len(uint(capacity)) - 1 - smallestBits }

// largest is the capacity of the buffers of the highest class.
func (p *Buffers) largest() int { return smallest << (len(p.classes) - 1) }

// Get returns an empty buffer with a capacity of at least n bytes; n of 0 or less is as good as 1.
func (p *Buffers) Get(n int) *Buffer {
	class := above(n)
	if class >= len(p.classes) {
		return &Buffer{B: make([]byte, 0, n), home: p}
	}
	if b, ok := p.classes[class].Get().(*Buffer); ok {
		return b
	}
	return &Buffer{B: make([]byte, 0, smallest<<class), home: p}
}

// Put gives b back, in the class of the capacity that it has by now. Neither b nor any slice of its content may be used
// afterwards, and it must not be put twice: both would write into what another holder reads, and cannot be found out
// without paying for it in every call. nil is ignored.
func (p *Buffers) Put(b *Buffer) {
	if b == nil {
		return
	}
	class := below(cap(b.B))
	if class < 0 || cap(b.B) > p.largest() {
		return
	}
	b.B, b.home = b.B[:0], p
	p.classes[class].Put(b)
}

// Append adds data. When that outgrows the capacity, the memory of the next fitting class takes the place of the old,
// which goes back to the others: nothing is allocated in the steady state, unlike by append. Slices of the old content
// are void then.
func (b *Buffer) Append(data ...byte) {
	if len(b.B)+len(data) > cap(b.B) {
		b.Grow(len(data))
	}
	b.B = append(b.B, data...)
}

// Write is Append for an io.Writer. The error is always nil.
func (b *Buffer) Write(data []byte) (int, error) {
	b.Append(data...)
	return len(data), nil
}

// Grow makes room for n more bytes, as Append does. It does nothing for n of 0 or less, and panics, as make does, if there
// is no memory that large.
func (b *Buffer) Grow(n int) {
	if n <= cap(b.B)-len(b.B) {
		return
	}
	if n > math.MaxInt-len(b.B) { // else the sum would be below zero, and room for nothing
		panic("pool: Grow: cap out of range")
	}
	if b.home == nil { // not from Buffers
		b.B = append(make([]byte, 0, len(b.B)+n), b.B...)
		return
	}
	n += len(b.B)
	if n > b.home.largest() {
		n = max(n, 2*cap(b.B)) // these come in no classes, and growing by little each time would copy all each time
	}
	larger := b.home.Get(n)
	larger.B = append(larger.B, b.B...)
	b.B, larger.B = larger.B, b.B
	b.home.Put(larger)
}

// Slice returns the content from byte i up to j without copying it, such that appending to the slice cannot write into
// the buffer. It is good until the buffer grows or is put back. It panics like any slice if not 0 <= i <= j <=
// len(b.B).
func (b *Buffer) Slice(i, j int) []byte { return b.B[:len(b.B):len(b.B)][i:j:j] }

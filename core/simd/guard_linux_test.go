package simd

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"
)

// guarded is a place between pages that must not be touched: a read or write of one byte too many kills the test.
type guarded struct {
	t     *testing.T
	atEnd bool // pieces end where the guard begins, else they begin where it ends
}

func (g *guarded) at(size, _ int) unsafe.Pointer {
	page := syscall.Getpagesize()
	room := (size + page) / page * page // at least one byte: a slice of nothing needs an address too
	all, err := syscall.Mmap(-1, 0, page+room+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		if err := syscall.Munmap(all); err != nil {
			g.t.Error(err)
		}
	})
	for _, guard := range [][]byte{all[:page], all[page+room:]} {
		if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
			g.t.Fatal(err)
		}
	}
	if g.atEnd && size > 0 {
		return unsafe.Pointer(&all[page+room-size])
	}
	return unsafe.Pointer(&all[page])
}

func TestGuardPages(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		from := newSource(nil, rand.Uint64())
		for _, c := range twinTests {
			for _, atEnd := range []bool{false, true} {
				for n := range 131 {
					t.Run(fmt.Sprintf("%s/%d/end=%t", c.name, n, atEnd), func(t *testing.T) {
						if err := c.run((&guarded{t, atEnd}).at, n, from); err != nil {
							t.Error(err)
						}
					})
				}
			}
		}
	})
}

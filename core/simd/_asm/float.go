package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// addLanes keeps the 32 lanes in four vectors.
func addLanes() {
	function("addLanesAVX2", "func(lanes *[32]float32, x *float32, blocks int)",
		"adds blocks times 32 elements of x to the lanes. It works like scalar.AddLanes.")
	lanes, x := Load(Param("lanes"), GP64()), Load(Param("x"), GP64())
	blocks := Load(Param("blocks"), GP64())
	sums := []reg.VecVirtual{YMM(), YMM(), YMM(), YMM()}
	for i, y := range sums {
		VMOVUPS(at(lanes, i), y)
	}
	body := func(n int) {
		for i := range n * len(sums) {
			y := sums[i%len(sums)]
			VADDPS(at(x, i), y, y)
		}
		ADDQ(U32(n*128), x)
	}
	loop("two", blocks, 2, func() { body(2) })
	loop("one", blocks, 1, func() { body(1) })
	for i, y := range sums {
		VMOVUPS(y, at(lanes, i))
	}
	finish()
}

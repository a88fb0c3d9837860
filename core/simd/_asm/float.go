package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// sumFloat32 keeps the 32 lanes in four vectors. It takes the tail itself: a masked load reads +0 for the elements behind
// the end and does not touch their memory, and +0 changes no lane, since none is ever -0.
func sumFloat32() {
	function("sumFloat32AVX2", "func(x *float32, n int) float32",
		"returns the sum of n elements, n at least 1. It works like scalar.SumFloat32.")
	x, n := Load(Param("x"), GP64()), GP64()
	Load(Param("n"), n)
	lanes := []reg.VecVirtual{zeroed(), zeroed(), zeroed(), zeroed()}
	rows := GP64()
	MOVQ(n, rows)
	SHRQ(Imm(5), rows)
	loop("row", rows, 1, func() {
		for i, y := range lanes {
			VADDPS(at(x, i), y, y)
		}
		ADDQ(U32(128), x)
	})
	ANDQ(Imm(31), n)
	JZ(LabelRef("fold"))
	place, left, eight, mask, tail := places(), YMM(), YMM(), YMM(), YMM()
	broadcast32(n.As32(), left)
	r := GP32()
	MOVL(U32(8), r)
	broadcast32(r, eight)
	for i, y := range lanes {
		VPCMPGTD(place, left, mask)
		VMASKMOVPS(at(x, i), mask, tail)
		VADDPS(tail, y, y)
		VPSUBD(eight, left, left)
	}
	Label("fold")
	VADDPS(lanes[2], lanes[0], lanes[0])
	VADDPS(lanes[3], lanes[1], lanes[1])
	VADDPS(lanes[1], lanes[0], lanes[0])
	sum, upper := lanes[0].AsX(), XMM()
	VEXTRACTF128(Imm(1), lanes[0], upper)
	VADDPS(upper, sum, sum)
	VMOVHLPS(sum, sum, upper)
	VADDPS(upper, sum, sum)
	VMOVSHDUP(sum, upper)
	VADDSS(upper, sum, sum)
	VZEROUPPER() // before the store, an instruction of SSE
	Store(sum, ReturnIndex(0))
	RET()
}

// places returns a vector of the numbers 0 to 7.
func places() reg.VecVirtual {
	r, x, y := GP64(), XMM(), YMM()
	MOVQ(U64(0x0706050403020100), r)
	VMOVQ(r, x)
	VPMOVZXBD(x, y)
	return y
}

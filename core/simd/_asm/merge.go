package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// combine writes a kernel that combines src into dst, a vector a block, by the steps that op writes for one vector.
func combine(op func(dst, src Mem, y reg.VecVirtual)) {
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	blocks := Load(Param("blocks"), GP64())
	body := func(n int) {
		for i := range n {
			y := YMM()
			op(at(dst, i), at(src, i), y)
			VMOVDQU(y, at(dst, i))
		}
		ADDQ(U32(32*n), src)
		ADDQ(U32(32*n), dst)
	}
	loop("four", blocks, 4, func() { body(4) })
	loop("one", blocks, 1, func() { body(1) })
	finish()
}

// addUint32 adds min(dst, 2^32-1-src) to src, which cannot overflow.
func addUint32() {
	function("addUint32AVX2", "func(dst *uint32, src *uint32, blocks int)",
		"adds src to dst, blocks times 8 counts, saturating. It works like scalar.AddUint32. It loads each element of src once.")
	ones := YMM()
	VPCMPEQD(ones, ones, ones)
	combine(func(dst, src Mem, y reg.VecVirtual) {
		x := YMM()
		VMOVDQU(src, x)
		VPXOR(ones, x, y)
		VPMINUD(dst, y, y)
		VPADDD(x, y, y)
	})
}

// subUint32 subtracts src from max(dst, src).
func subUint32() {
	function("subUint32AVX2", "func(dst *uint32, src *uint32, blocks int)",
		"subtracts src from dst, blocks times 8 counts, down to 0. It works like scalar.SubUint32.")
	combine(func(dst, src Mem, y reg.VecVirtual) {
		x := YMM()
		VMOVDQU(src, x)
		VPMAXUD(dst, x, y)
		VPSUBD(x, y, y)
	})
}

// addUint64 finds the sums that have wrapped: they are below the old value. The comparison is signed, so both have their
// sign bit turned.
func addUint64() {
	function("addUint64AVX2", "func(dst *uint64, src *uint64, blocks int)",
		"adds src to dst, blocks times 4 counts, saturating. It works like scalar.AddUint64.")
	sign := broadcast64(1 << 63)
	combine(func(dst, src Mem, y reg.VecVirtual) {
		old, wrapped := YMM(), YMM()
		VPXOR(dst, sign, old)
		VPADDQ(src, old, y)
		VPCMPGTQ(y, old, wrapped)
		VPXOR(sign, y, y)
		VPOR(wrapped, y, y)
	})
}

package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// bucketIndex takes eight durations a block.
//
// The bits of a double are log-linear: exponent, then mantissa. So the upper bits of float64(v), less a constant, are the
// bucket of v. AVX2 cannot convert 64-bit integers, but for 0 <= v < 2^51 adding v to the bits of the double 2^52+2^51
// makes the double 2^52+2^51+v, and subtracting 2^52+2^51 from it, exactly, leaves v.
//
//   - Large v: the upper half of v is first cut down to 16, which leaves at least 2^36, the end of the last bucket.
//   - Negative v: the integer sum lies below the bits of 2^52+2^51, taken as a signed number. As a double it is smaller too, or
//     negative, or a NaN with the sign set; and so is the difference. Its upper half is negative as an integer.
//
// The bucket is thus in the upper halves of the doubles. These are packed, shifted as signed numbers, rebased, and
// only then cut to the range of buckets: once for eight values.
func bucketIndex() {
	function("bucketIndexAVX2", "func(dst *uint32, ns *int64, blocks int, bits int)",
		"sets blocks times 8 elements of dst to the buckets of those of ns. It works like scalar.BucketIndex.")
	dst, ns := Load(Param("dst"), GP64()), Load(Param("ns"), GP64())
	blocks := Load(Param("blocks"), GP64())
	bits := GP64()
	Load(Param("bits"), reg.RCX)
	MOVQ(reg.RCX, bits)

	highest := broadcast64(16<<32 | 1<<31 - 1)
	magic := broadcast64(0x4338000000000000)
	zero, base, last, shift := YMM(), YMM(), YMM(), XMM()
	VPXOR(zero, zero, zero)
	r := GP32()
	MOVL(U32(1023+10), r)
	SHLL(reg.CL, r)
	broadcast32(r, base)
	MOVL(U32(26), r)
	SHLL(reg.CL, r)
	DECL(r)
	broadcast32(r, last)
	MOVL(U32(20), r)
	SUBL(bits.As32(), r)
	VMOVD(r, shift)

	body := func(n int) {
		for i := range n {
			a, b := YMM(), YMM()
			for k, y := range []reg.VecVirtual{a, b} {
				VPMINSD(at(ns, 2*i+k), highest, y)
				VPADDQ(magic, y, y)
				VSUBPD(magic, y, y)
			}
			VSHUFPS(Imm(0xdd), b, a, a)
			VPSRAD(shift, a, a)
			VPSUBD(base, a, a)
			VPMAXSD(zero, a, a)
			VPMINSD(last, a, a)
			VPERMQ(Imm(0xd8), a, a)
			VMOVDQU(a, at(dst, i))
		}
		ADDQ(U32(64*n), ns)
		ADDQ(U32(32*n), dst)
	}
	loop("two", blocks, 2, func() { body(2) })
	loop("one", blocks, 1, func() { body(1) })
	finish()
}

// broadcast32 sets y to eight times r.
func broadcast32(r reg.GPVirtual, y reg.VecVirtual) {
	x := XMM()
	VMOVD(r, x)
	VPBROADCASTD(x, y)
}

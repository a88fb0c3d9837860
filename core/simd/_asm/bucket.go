package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// bucketer holds the constants of the bucket index.
//
// The bits of a double are log-linear: exponent, then mantissa. So the upper bits of float64(v), less a constant, are the
// bucket of v. AVX2 cannot convert 64-bit integers, but for 0 <= v < 2^51 adding v to the bits of the double 2^52+2^51
// makes the double 2^52+2^51+v, and subtracting 2^52+2^51 from it, exactly, leaves v.
//
//   - Large v: the upper half of v is first cut down to 16, which leaves at least 2^36, the end of the last bucket.
//   - Negative v: the sum, as a signed integer, is below the bits of 2^52+2^51. As a double it is smaller too, or
//     negative, or a NaN with its sign set; so the difference has its sign set, and its upper half is a negative integer.
//
// The bucket is thus in the upper halves of the doubles. These are packed, shifted as signed numbers, rebased, and
// only then cut to the range of buckets: once for eight values.
type bucketer struct {
	highest, magic, base, last, zero reg.VecVirtual
	shift                            reg.VecVirtual
}

// newBucketer loads the constants for the parameter bits.
func newBucketer() bucketer {
	b := bucketer{
		highest: broadcast64(16<<32 | 1<<31 - 1), magic: broadcast64(0x4338000000000000),
		base: YMM(), last: YMM(), zero: zeroed(), shift: XMM(),
	}
	Load(Param("bits"), reg.RCX)
	r := GP32()
	MOVL(U32(1023+10), r)
	SHLL(reg.CL, r)
	broadcast32(r, b.base)
	MOVL(U32(26), r)
	SHLL(reg.CL, r)
	DECL(r)
	broadcast32(r, b.last)
	MOVL(U32(20), r)
	SUBL(reg.ECX, r)
	VMOVD(r, b.shift)
	return b
}

// broadcast32 sets y to eight times r.
func broadcast32(r reg.Register, y reg.VecVirtual) {
	x := XMM()
	VMOVD(r, x)
	VPBROADCASTD(x, y)
}

// block returns the buckets of the i-th eight durations behind ns.
func (b bucketer) block(ns reg.Register, i int) reg.VecVirtual {
	y, z := YMM(), YMM()
	for k, half := range []reg.VecVirtual{y, z} {
		VPMINSD(at(ns, 2*i+k), b.highest, half)
		VPADDQ(b.magic, half, half)
		VSUBPD(b.magic, half, half)
	}
	VSHUFPS(Imm(0xdd), z, y, y)
	VPSRAD(b.shift, y, y)
	VPSUBD(b.base, y, y)
	VPMAXSD(b.zero, y, y)
	VPMINSD(b.last, y, y)
	VPERMQ(Imm(0xd8), y, y)
	return y
}

func bucketIndex() {
	function("bucketIndexAVX2", "func(dst *uint32, ns *int64, blocks int, bits int)",
		"sets blocks times 8 elements of dst to the buckets of those of ns. It works like scalar.BucketIndex.")
	dst, ns := Load(Param("dst"), GP64()), Load(Param("ns"), GP64())
	blocks := Load(Param("blocks"), GP64())
	b := newBucketer()
	body := func(n int) {
		for i := range n {
			VMOVDQU(b.block(ns, i), at(dst, i))
		}
		ADDQ(U32(64*n), ns)
		ADDQ(U32(32*n), dst)
	}
	loop("two", blocks, 2, func() { body(2) })
	loop("one", blocks, 1, func() { body(1) })
	finish()
}

// record counts one by one what it indexes by eights, in one pass: the buckets go from the vector to the counts through
// registers, and while the counts wait for memory the next eight are indexed. A second pass over buckets laid down in
// memory is a tenth faster for many durations and a third slower for 64; several histograms, merged at the end, gain
// nothing here. A count that wraps is put right out of line.
func record() {
	function("recordAVX2", "func(hist *uint32, ns *int64, blocks int, bits int)",
		"counts blocks times 8 durations in hist, which has all the buckets. It works like scalar.Record.")
	hist, ns := Load(Param("hist"), GP64()), Load(Param("ns"), GP64())
	blocks := Load(Param("blocks"), GP64())
	b := newBucketer()
	buckets := b.block(ns, 0)
	DECQ(blocks)
	JZ(LabelRef("last"))
	Label("next")
	pairs := extract(buckets)
	VMOVDQA(b.block(ns, 1), buckets)
	fix := count(hist, pairs, "")
	ADDQ(Imm(64), ns)
	DECQ(blocks)
	JNZ(LabelRef("next"))
	Label("last")
	fixLast := count(hist, extract(buckets), "_last")
	finish()
	fix()
	fixLast()
}

// extract returns the eight 32-bit elements of y, two a register.
func extract(y reg.VecVirtual) []reg.GPVirtual {
	pairs, high := []reg.GPVirtual{GP64(), GP64(), GP64(), GP64()}, XMM()
	VEXTRACTI128(Imm(1), y, high)
	VMOVQ(y.AsX(), pairs[0])
	VPEXTRQ(Imm(1), y.AsX(), pairs[1])
	VMOVQ(high, pairs[2])
	VPEXTRQ(Imm(1), high, pairs[3])
	return pairs
}

// count adds 1 to the counts at the given places. The code that fix writes sets those that wrap back to 2^32-1.
func count(hist reg.Register, pairs []reg.GPVirtual, suffix string) (fix func()) {
	var counts []Mem
	label := func(what string, i int) string { return fmt.Sprintf("%s%d%s", what, i, suffix) }
	for _, second := range pairs {
		first := GP64()
		MOVL(second.As32(), first.As32())
		SHRQ(Imm(32), second)
		for _, bucket := range []reg.GPVirtual{first, second} {
			i, m := len(counts), Mem{Base: hist, Index: bucket, Scale: 4}
			ADDL(Imm(1), m)
			JC(LabelRef(label("wrapped", i)))
			Label(label("counted", i))
			counts = append(counts, m)
		}
	}
	return func() {
		for i, m := range counts {
			Label(label("wrapped", i))
			MOVL(U32(1<<32-1), m)
			JMP(LabelRef(label("counted", i)))
		}
	}
}

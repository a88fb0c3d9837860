package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// accumulate adds the 8 counts of each vector to the partial sums: the counts at odd places to odd, and to all the whole
// 64-bit words, whose upper halves fold takes out again.
func accumulate(all, odd reg.VecVirtual, vectors ...Mem) {
	for _, m := range vectors {
		x, y := YMM(), YMM()
		VMOVDQU(m, x)
		VPADDQ(x, all, all)
		VPSRLQ(Imm(32), x, y)
		VPADDQ(y, odd, odd)
	}
}

// fold returns the sum that accumulate has gathered.
func fold(all, odd reg.VecVirtual) reg.GPVirtual {
	x, y, sum := YMM(), XMM(), GP64()
	VPSLLQ(Imm(32), odd, x)
	VPSUBQ(x, all, x)
	VPADDQ(odd, x, x)
	VEXTRACTI128(Imm(1), x, y)
	VPADDQ(x.AsX(), y, y)
	VPSHUFD(Imm(0xee), y, x.AsX())
	VPADDQ(x.AsX(), y, y)
	VMOVQ(y, sum)
	return sum
}

func zeroed() reg.VecVirtual {
	y := YMM()
	VPXOR(y, y, y)
	return y
}

func sum() {
	function("sumAVX2", "func(counts *uint32, blocks int) uint64",
		"returns the sum of blocks times 32 counts. It works like scalar.Sum.")
	counts, blocks := Load(Param("counts"), GP64()), Load(Param("blocks"), GP64())
	all, odd, all2, odd2 := zeroed(), zeroed(), zeroed(), zeroed()
	Label("next")
	accumulate(all, odd, at(counts, 0), at(counts, 1))
	accumulate(all2, odd2, at(counts, 2), at(counts, 3))
	ADDQ(Imm(128), counts)
	DECQ(blocks)
	JNZ(LabelRef("next"))
	VPADDQ(all2, all, all)
	VPADDQ(odd2, odd, odd)
	Store(fold(all, odd), ReturnIndex(0))
	finish()
}

// rankBlocks passes over the blocks that end below the rank. The sum of each block is compared as soon as it is there; the
// branches are foreseen, so the blocks overlap in the processor.
func rankBlocks() {
	function("rankBlocksAVX2", "func(counts *uint32, blocks int, before uint64, rank uint64) (passed int, below uint64)",
		"passes over whole blocks of 32 counts while the sum, from before on, stays below rank. It works like scalar.RankIndex, "+
			"but stops in front of the block that holds the rank.")
	counts, blocks := Load(Param("counts"), GP64()), Load(Param("blocks"), GP64())
	before, rank := Load(Param("before"), GP64()), Load(Param("rank"), GP64())
	passed, upTo := GP64(), GP64()
	XORQ(passed, passed)
	Label("next")
	all, odd := YMM(), YMM()
	VMOVDQU(at(counts, 0), all)
	VPSRLQ(Imm(32), all, odd)
	accumulate(all, odd, at(counts, 1), at(counts, 2), at(counts, 3))
	MOVQ(fold(all, odd), upTo)
	ADDQ(before, upTo)
	CMPQ(upTo, rank)
	JAE(LabelRef("found"))
	MOVQ(upTo, before)
	ADDQ(Imm(128), counts)
	INCQ(passed)
	CMPQ(passed, blocks)
	JB(LabelRef("next"))
	Label("found")
	Store(passed, Return("passed"))
	Store(before, Return("below"))
	finish()
}

// Command _asm writes the kernels of core/simd. Run it by go generate in that package.
//
// A kernel takes pointers and a number of whole blocks, at least one, and trusts its caller for the rest: the exported
// functions of core/simd look after lengths, tails and overlap, and internal/scalar says in Go what each kernel does.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64,!purego")
	bucketIndex()
	record()
	addUint32()
	subUint32()
	addUint64()
	sum()
	rankBlocks()
	sumFloat32()
	Generate()
}

// function begins a kernel.
func function(name, signature, doc string) {
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(name + " " + doc)
}

// finish ends it. The upper halves of the vector registers are cleared: instructions of SSE, as Go's own code has them,
// would be slow with them in use.
func finish() {
	VZEROUPPER()
	RET()
}

// broadcast64 returns a vector of four times v.
func broadcast64(v uint64) reg.VecVirtual {
	x, y, r := XMM(), YMM(), GP64()
	MOVQ(U64(v), r)
	VMOVQ(r, x)
	VPBROADCASTQ(x, y)
	return y
}

// at returns the i-th 32-byte vector behind a pointer.
func at(p reg.Register, i int) Mem { return Mem{Base: p, Disp: 32 * i} }

// loop repeats body while blocks, counted down by step, is at least step. What is left in blocks is less than step.
func loop(label string, blocks reg.Register, step int, body func()) {
	CMPQ(blocks, Imm(uint64(step)))
	JB(LabelRef(label + "_done"))
	Label(label)
	body()
	SUBQ(Imm(uint64(step)), blocks)
	CMPQ(blocks, Imm(uint64(step)))
	JAE(LabelRef(label))
	Label(label + "_done")
}

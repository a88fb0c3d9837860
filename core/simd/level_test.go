package simd

import (
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// TestLevelIsAsRequired is how a build shows that it has tested what it meant to: MW_REQUIRE_AVX2=1 makes a machine, a
// tag or a GODEBUG without AVX2 a failure.
func TestLevelIsAsRequired(t *testing.T) {
	t.Logf("level %s", Level())
	if os.Getenv("MW_REQUIRE_AVX2") == "1" && Level() != "avx2" {
		t.Errorf("MW_REQUIRE_AVX2=1, and the level is %q", Level())
	}
}

// TestGODEBUGTurnsKernelsOff runs this test binary again, since the variable is read as a program starts.
func TestGODEBUGTurnsKernelsOff(t *testing.T) {
	again := exec.Command(os.Args[0], "-test.run=^TestLevelIsAsRequired$", "-test.v")
	again.Env = append(os.Environ(), "GODEBUG=cpu.avx2=off", "MW_REQUIRE_AVX2=0")
	if out, err := again.CombinedOutput(); err != nil || !strings.Contains(string(out), "level go\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestKernelsRun: at a level with kernels every one of them takes work on, and at level go none does.
func TestKernelsRun(t *testing.T) {
	forEachImpl(t, func(t *testing.T) {
		const n = 96
		counts, ns, long := filled[uint32](n, 1), make([]int64, n), make([]uint64, n)
		part, _ := sum(counts)
		passed, _ := passBelow(counts, 0, n)
		_, floats := sumFloat32(make([]float32, n))
		for name, done := range map[string]int{
			"BucketIndex": bucketIndex(make([]uint32, n), ns, 3), "Record": record(make([]uint32, 208), ns, 3),
			"AddUint32": addUint32(counts, make([]uint32, n)), "SubUint32": subUint32(counts, make([]uint32, n)),
			"AddUint64": addUint64(long, long), "AddShared": addShared(counts, make([]atomic.Uint32, n)),
			"Sum": part, "RankIndex": passed, "SumFloat32": map[bool]int{true: n}[floats],
		} {
			if (done > 0) != (Level() == "avx2") {
				t.Errorf("level %s: the kernel of %s has done %d", Level(), name, done)
			}
		}
	})
}

// dispatched is the level before any test has run.
var dispatched = Level()

// TestForEachImplRestores: a flag left down would make every later test one of the plain form.
func TestForEachImplRestores(t *testing.T) {
	levels := map[string]bool{}
	forEachImpl(t, func(*testing.T) { levels[Level()] = true })
	if Level() != dispatched || !levels[dispatched] || !levels["go"] {
		t.Errorf("level %s at first and %s now; ran %v", dispatched, Level(), levels)
	}
}

package stripe

import (
	"runtime"
	"sync"
	"testing"
	"unsafe"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCount(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for procs, want := range map[int]int{1: 4, 2: 8, 3: 16, 4: 16, 5: 32, 16: 64, 17: 64, 64: 64} {
		runtime.GOMAXPROCS(procs)
		if got := Count(); got != want {
			t.Errorf("%d processors: %d stripes, want %d", procs, got, want)
		}
	}
}

func TestOfStaysBelow(t *testing.T) {
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for n := 1; n <= 64; n *= 2 {
				if got := Of(n); got >= uintptr(n) {
					t.Errorf("Of(%d) is %d", n, got)
				}
			}
		})
	}
	wg.Wait()
}

func TestTally(t *testing.T) {
	tally := NewTally()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 16_000 {
				tally.Add(i%16, 2)
			}
		})
	}
	wg.Wait()
	for i := range 16 {
		if got := tally.Load(i); got != 16_000 {
			t.Errorf("counter %d is %d, want 16000", i, got)
		}
	}
	if size := unsafe.Sizeof(line{}); size != Line {
		t.Errorf("a stripe of %d bytes does not fill its %d", size, Line)
	}
	if n := testing.AllocsPerRun(100, func() { tally.Add(1, 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

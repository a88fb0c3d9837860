package bulkhead

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// TestRoomyComesAndGoes: a bulkhead becomes roomy when three quarters are free, and stops at half.
func TestRoomyComesAndGoes(t *testing.T) {
	b, err := New("b", Config{Limit: 16}, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	var held [16]core.Permit
	take := func(i int) (d core.Decision) {
		held[i], d = b.Acquire(t.Context(), core.Call{})
		return d
	}
	for i := range 16 {
		if d := take(i); d.Reason != 0 || d.Remaining != int32(15-i) {
			t.Fatalf("call %d: %+v", i, d)
		}
	}
	for i := range 16 {
		if want := i > 11; b.roomy.Load() != want { // 16-i run
			t.Fatalf("%d running: roomy is %v", 16-i, !want)
		}
		held[i].Done(0, core.Success)
	}
	for i := range 17 {
		if want := i < 9; b.roomy.Load() != want {
			t.Fatalf("%d running: roomy is %v", i, !want)
		}
		if i == 16 {
			break
		}
		if d := take(i); d.Reason != 0 || d.Remaining != int32(15-i) {
			t.Fatalf("call %d: %+v", i, d)
		}
	}
	if s := b.Snapshot(); s.Running != 16 || s.Admitted != 32 || s.Rejected != 0 {
		t.Errorf("%+v", s)
	}
	if _, d := b.Acquire(t.Context(), core.Call{}); d.Reason != core.ReasonFull {
		t.Errorf("17th call: %+v", d)
	}
	for i := range held {
		held[i].Done(0, core.Success)
	}
}

// TestRoomyIsNotForSmallOrKeyed: where half the limit is a handful, every call looks before it takes.
func TestRoomyIsNotForSmallOrKeyed(t *testing.T) {
	small, err := New("b", Config{Limit: minRoomy - 1}, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	many, err := NewKeyed("b", Config{Limit: 1000}, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []*Bulkhead{small, &many.Bulkhead} {
		for range 3 {
			p, d := b.Acquire(t.Context(), core.Call{Key: core.KeyOf("k")})
			if d.Reason != 0 {
				t.Fatal(d)
			}
			p.Done(0, core.Success)
		}
		if b.roomy.Load() {
			t.Error("roomy")
		}
	}
}

// TestRoomyAndACostBeyondTheWord: a cost that does not fit the bits of the slots is too costly, not free.
func TestRoomyAndACostBeyondTheWord(t *testing.T) {
	b, err := New("b", Config{Limit: 1000}, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	p, _ := b.Acquire(t.Context(), core.Call{})
	p.Done(0, core.Success)
	for _, cost := range []uint32{1001, 1 << 23, 1 << 24, 1 << 28, 1<<32 - 1} {
		if !b.roomy.Load() {
			t.Fatal("not roomy")
		}
		if _, d := b.Acquire(t.Context(), core.Call{Cost: cost}); d.Reason != core.ReasonTooCostly {
			t.Errorf("cost %d: %+v", cost, d)
		}
	}
	if s := b.Snapshot(); s.Running != 0 || s.Admitted != 1 {
		t.Errorf("%+v", s)
	}
}

// TestRoomyNeverMoreThanTheLimit: calls cross the border of roomy in both directions all the time, with a queue, and
// every count comes out even.
func TestRoomyNeverMoreThanTheLimit(t *testing.T) {
	const limit = 16
	b, err := New("b", Config{Limit: limit, Queue: 8, MaxWait: time.Minute}, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	var running, most, admitted, rejected, roomy atomic.Int64
	var wg sync.WaitGroup
	for g := range 40 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 3))
			for range 3000 {
				if b.roomy.Load() {
					roomy.Add(1)
				}
				p, d := b.Acquire(t.Context(), core.Call{Cost: 1 + rng.Uint32N(3)})
				if d.Reason != 0 {
					rejected.Add(1)
					continue
				}
				admitted.Add(1)
				n := running.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				for range rng.IntN(4) {
					runtime.Gosched()
				}
				running.Add(-1)
				p.Done(0, core.Success)
				if rng.IntN(8) == 0 { // lets the room empty now and then
					for range 100 {
						runtime.Gosched()
					}
				}
			}
		})
	}
	wg.Wait()
	s := b.Snapshot()
	if s.Running != 0 || s.Waiting != 0 || s.Admitted != uint64(admitted.Load()) || s.Rejected != uint64(rejected.Load()) {
		t.Errorf("%+v, %d admitted, %d rejected", s, admitted.Load(), rejected.Load())
	}
	if most.Load() > limit {
		t.Errorf("%d ran at once", most.Load())
	}
	if roomy.Load() == 0 || rejected.Load() == 0 {
		t.Errorf("%d calls found it roomy and %d full: not the border it should be", roomy.Load(), rejected.Load())
	}
}

package breaker

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

func key(i int) core.Key { return core.KeyOf(fmt.Sprint("key", i)) }

func TestKeysHaveStatesOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []core.Event
		b := mustKeyed(t, strict, Hooks{OnEvent: func(e core.Event) { events = append(events, e) }})
		callKey(b, key(1), core.Failure)
		callKey(b, key(2), core.Success)
		call(b, core.Success)
		for i, want := range []State{Closed, Open, Closed, Closed} {
			if got := b.State(key(i)); got != want {
				t.Errorf("key %d is %v, want %v", i, got, want)
			}
		}
		wantReason(t, b.Peek(core.Call{Key: key(1)}), core.ReasonOpen)
		wantReason(t, b.Peek(core.Call{Key: key(3)}), 0)
		if got := b.Breaker.State(); got != Closed {
			t.Errorf("the zero key is %v", got)
		}
		if len(events) != 1 || events[0].Key != key(1) || events[0].To != "open" || events[0].Cause != "failure rate" {
			t.Errorf("events %+v", events)
		}
		b.ResetKey(key(1))
		b.TripKey(key(2), time.Minute)
		b.Trip(time.Second) // the zero key's
		wantReason(t, callKey(b, key(1), core.Success), 0)
		if d := callKey(b, key(2), core.Success); d.RetryAfter != time.Minute {
			t.Errorf("%+v", d)
		}
		if d := call(b, core.Success); d.RetryAfter != time.Second {
			t.Errorf("%+v", d)
		}
		if s := b.Snapshot(); s.OpenKeys != 2 || s.Keys != 2 || s.State != Open || len(events) != 4 {
			t.Errorf("%+v, %d events", s, len(events))
		}
	})
}

// A Peek or a State of a key never seen takes no cell for it.
func TestLookingTakesNoCell(t *testing.T) {
	b := mustKeyed(t, strict, Hooks{})
	for i := range 100 {
		wantReason(t, b.Peek(core.Call{Key: key(i)}), 0)
		if b.State(key(i)) != Closed {
			t.Error("not closed")
		}
	}
	if n := b.Snapshot().Keys; n != 0 {
		t.Errorf("%d cells", n)
	}
	if n := testing.AllocsPerRun(100, func() { b.Peek(core.Call{Key: key(0)}) }); n > 3 { // two of key's own
		t.Errorf("%v allocations", n)
	}
}

// flood makes calls of n new keys that end at once without a trace.
func flood(b *Keyed, from, n int) {
	for i := range n {
		callKey(b, key(from+i), core.Canceled)
	}
}

func TestIdleKeysGiveWayLosslessly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := strict
		c.MaxKeys = 16
		b := mustKeyed(t, c, Hooks{})
		flood(b, 0, 100_000)
		if s := b.Snapshot(); s.Overflowed != 0 || s.Keys > 16*10 {
			t.Errorf("%d cells, %d overflowed: want idle keys to give way", s.Keys, s.Overflowed)
		}
	})
}

// Whatever a cell still knows keeps it from a flood of new keys.
func TestActiveKeysAreNeverPushedOut(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*Keyed, core.Key) (end func())
		ok   func(*Keyed, core.Key) bool
	}{
		{"open", func(b *Keyed, k core.Key) func() { callKey(b, k, core.Failure); return nil },
			func(b *Keyed, k core.Key) bool { return b.State(k) == Open }},
		{"open, its time over", func(b *Keyed, k core.Key) func() { b.TripKey(k, time.Millisecond); time.Sleep(time.Hour); return nil },
			func(b *Keyed, k core.Key) bool { return b.State(k) == Open }},
		{"half-open", func(b *Keyed, k core.Key) func() {
			b.TripKey(k, time.Second)
			time.Sleep(time.Second)
			callKey(b, k, core.Canceled)
			return nil
		}, func(b *Keyed, k core.Key) bool { return b.State(k) == HalfOpen }},
		{"a permit out", func(b *Keyed, k core.Key) func() {
			p := new(core.Permit)
			acquire(b, core.Call{Key: k}, p)
			time.Sleep(time.Hour)
			return func() { p.Done(0, core.Failure) }
		}, func(b *Keyed, k core.Key) bool { return b.State(k) == Open }},
		{"counts", func(b *Keyed, k core.Key) func() { callKey(b, k, core.Success); return nil },
			func(b *Keyed, k core.Key) bool { callKey(b, k, core.Failure); return b.State(k) == Closed }},
		{"reopenings", func(b *Keyed, k core.Key) func() {
			b.TripKey(k, time.Millisecond)
			time.Sleep(time.Second)
			callKey(b, k, core.Success) // closed, but not yet for a window
			return nil
		}, func(b *Keyed, k core.Key) bool { return b.look(k) != nil && b.look(k).m.opened == 1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := strict
				c.MaxKeys, c.FailureRate = 1, 0.6
				b := mustKeyed(t, c, Hooks{})
				end := tt.do(b, key(-1))
				flood(b, 0, 5000)
				if end != nil {
					end()
				}
				if !tt.ok(b, key(-1)) {
					t.Error("its cell was pushed out")
				}
			})
		})
	}
}

func TestOverflowIsSharedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := strict
		c.MaxKeys = 1
		b := mustKeyed(t, c, Hooks{})
		const n = 2000
		for i := range n {
			b.TripKey(key(i), time.Hour) // takes a cell for good
		}
		s := b.Snapshot()
		if s.Keys > 200 || s.Overflowed != uint64(n-s.Keys) {
			t.Fatalf("%d cells, %d overflowed", s.Keys, s.Overflowed)
		}
		wantReason(t, callKey(b, key(n+1), core.Success), core.ReasonOpen) // shares the overflow cell, which is open
		if b.Snapshot().Overflowed != s.Overflowed+1 {
			t.Error("not counted")
		}
		b.ResetKey(key(n + 1))
		wantReason(t, callKey(b, key(n+2), core.Success), 0)
		c.MaxKeys = 100_000
		tune(t, &b.Breaker, c)
		wantReason(t, callKey(b, key(n+3), core.Failure), 0) // room for a cell of its own now
		wantReason(t, callKey(b, key(n+4), core.Success), 0)
		if b.State(key(n+3)) != Open {
			t.Error("the new key has no state of its own")
		}
	})
}

// A run of failures is kept for ten windows, though the window itself is empty.
func TestStreakOfAnIdleKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Config{ConsecutiveFailures: 2, MaxKeys: 1}
		b := mustKeyed(t, c, Hooks{})
		callKey(b, key(-1), core.Failure)
		time.Sleep(streak*10*time.Second - 1)
		flood(b, 0, 1000)
		if b.look(key(-1)) == nil {
			t.Fatal("forgotten too early")
		}
		time.Sleep(time.Nanosecond)
		flood(b, 1000, 1000)
		if b.look(key(-1)) != nil {
			t.Error("kept for ever")
		}
	})
}

// A retired cell that a call still holds by its pointer takes no more permits.
func TestRetiredCellAdmitsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustKeyed(t, strict, Hooks{})
		callKey(b, key(1), core.Canceled)
		old := b.look(key(1))
		sl := &b.cells.Find(key(1)).Cell
		if !b.closeCell(sl, core.Now()) || b.closeCell(sl, core.Now()) {
			t.Fatal("want an idle cell retired, once")
		}
		if old.pin() {
			t.Error("pinned after it was retired")
		}
		if old.pins.Load() >= 0 {
			t.Error("in service again")
		}
	})
}

func TestTuneReachesEveryKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustKeyed(t, strict, Hooks{})
		for i := range 100 {
			callKey(b, key(i), core.Failure)
		}
		c := strict
		c.OpenFor = time.Hour
		tune(t, &b.Breaker, c)
		for i := range 100 {
			if d := callKey(b, key(i), core.Success); d.RetryAfter != time.Hour {
				t.Fatalf("%+v", d)
			}
		}
	})
}

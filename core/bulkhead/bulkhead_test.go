package bulkhead

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// queueUp starts a call that waits, and gives its decision when it ends.
func queueUp(ctx context.Context, g core.Guard, c core.Call) (p *core.Permit, end chan core.Decision) {
	p, end = new(core.Permit), make(chan core.Decision, 1)
	go func() { end <- acquire(ctx, g, c, p) }()
	synctest.Wait()
	return p, end
}

// still fails if the call has ended.
func still(t *testing.T, end chan core.Decision) {
	t.Helper()
	synctest.Wait()
	select {
	case d := <-end:
		t.Fatalf("the call does not wait any more: %v", d.Reason)
	default:
	}
}

func TestRejections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead(t, Config{Limit: 2, Queue: 1, MaxWait: time.Second})
		if _, d := b.Acquire(bg, core.Call{Cost: 3}); d.Reason != core.ReasonTooCostly || d.RetryAfter != core.Never || d.Remaining != 2 {
			t.Errorf("more than the limit: %+v", d)
		}
		p := enter(t, b, core.Call{Cost: 2})
		ctx, cancel := context.WithCancel(bg)
		_, left := queueUp(ctx, b, core.Call{})
		_, d := b.Acquire(bg, core.Call{})
		if d.Reason != core.ReasonFull || d.RetryAfter != 0 || d.Remaining != 0 || d.By.Limit != 2 {
			t.Errorf("the queue is full: %+v", d)
		}
		if err := d.Err(); !errors.Is(err, core.ErrFull) {
			t.Errorf("the queue is full: %v", err)
		}
		cancel()
		if d := <-left; d.Reason != core.ReasonLeft || !errors.Is(d.Err(), context.Canceled) {
			t.Errorf("canceled: %+v", d)
		}
		late, cancel2 := context.WithTimeout(bg, time.Millisecond)
		defer cancel2()
		if _, d := b.Acquire(late, core.Call{}); d.Reason != core.ReasonExpired || !errors.Is(d.Err(), context.DeadlineExceeded) {
			t.Errorf("expired: %+v", d)
		}
		before := core.Now()
		if _, d := b.Acquire(bg, core.Call{Now: before}); d.Reason != core.ReasonWaited || d.Now != before.Add(time.Second) {
			t.Errorf("waited: %+v", d)
		}
		gone, cancel3 := context.WithCancel(bg)
		cancel3()
		if _, d := b.Acquire(gone, core.Call{}); d.Reason != core.ReasonLeft {
			t.Errorf("done before it could wait: %+v", d)
		}
		p.Done(0, core.Success)
		if p := enter(t, b, core.Call{Cost: 2}); p != nil {
			p.Done(0, core.Success)
		}
		atRest(t, b)
		if s := b.Snapshot(); s.Admitted != 2 || s.Rejected != 6 {
			t.Errorf("%+v", s.Status)
		}
	})
}

func TestQueueIsServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead(t, Config{Limit: 1, Queue: 100, MaxWait: time.Hour})
		p := enter(t, b, core.Call{})
		order := make(chan int, 100)
		for i := range 100 {
			go func() {
				var q core.Permit
				acquire(bg, b, core.Call{}, &q)
				order <- i
				q.Done(0, core.Success)
			}()
			synctest.Wait()
		}
		p.Done(0, core.Success)
		for want := range 100 {
			if got := <-order; got != want {
				t.Fatalf("call %d is served, want %d", got, want)
			}
		}
		synctest.Wait()
		atRest(t, b)
	})
}

// TestExpensiveHeadIsNotOvertaken: neither by those behind it nor by new ones, and when it leaves those go on.
func TestExpensiveHeadIsNotOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead(t, Config{Limit: 4, Queue: 10, MaxWait: time.Hour})
		p := enter(t, b, core.Call{Cost: 2})
		ctx, cancel := context.WithCancel(bg)
		_, dear := queueUp(ctx, b, core.Call{Cost: 3})
		cheap, first := queueUp(bg, b, core.Call{})
		_, second := queueUp(bg, b, core.Call{Cost: 2})
		still(t, first)
		cancel()
		<-dear
		if d := <-first; d.Reason != 0 {
			t.Fatalf("the cheap call: %v", d.Reason)
		}
		still(t, second)
		p.Done(0, core.Success)
		<-second
		cheap.Done(0, core.Success)
	})
}

// TestGrantedAndCancelledAtOnce: a waiter that is granted its slots while its caller leaves passes them on.
func TestGrantedAndCancelledAtOnce(t *testing.T) {
	b := bulkhead(t, Config{Limit: 1, Queue: 10, MaxWait: time.Hour})
	cl := b.own
	for name, test := range map[string]struct {
		why  core.Reason
		want core.Reason
		next core.Reason
	}{
		"the caller has gone":  {core.ReasonLeft, core.ReasonLeft, 0},
		"the deadline passed":  {core.ReasonExpired, core.ReasonExpired, 0},
		"its time was just up": {core.ReasonWaited, 0, core.ReasonFull},
	} {
		t.Run(name, func(t *testing.T) {
			p := enter(t, b, core.Call{})
			first, second := push(cl, 1), push(cl, 1)
			p.Done(0, core.Success) // grants first
			if first.place != nil || second.place == nil {
				t.Fatal("the first is not the one granted")
			}
			if got := cl.leave(first, test.why); got != test.want {
				t.Errorf("the first: %v, want %v", got, test.want)
			}
			if granted := second.place == nil; granted != (test.next == 0) {
				t.Errorf("the second is granted: %v", granted)
			}
			if test.next != 0 {
				cl.leave(second, core.ReasonLeft)
			}
			if r := cl.load().running(); r != 1 {
				t.Errorf("%d running", r)
			}
			cl.Settle(1, 0, 0, false, core.Success)
			atRest(t, b)
		})
	}
}

// push puts a waiter into a queue without a goroutine for it.
func push(cl *cell, cost int64) *waiter {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	w := &waiter{cost: cost, ready: make(chan struct{})}
	w.place = cl.queue.PushBack(w)
	cl.waiting.Add(1)
	return w
}

func TestTune(t *testing.T) {
	tune := func(t *testing.T, b interface{ Tune(Config) error }, c Config) {
		t.Helper()
		if err := b.Tune(c); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("below in flight it drains", func(t *testing.T) {
		b := bulkhead(t, Config{Limit: 4})
		var out []*core.Permit
		for range 4 {
			out = append(out, enter(t, b, core.Call{}))
		}
		tune(t, b, Config{Limit: 2})
		if s := b.Snapshot(); s.Running != 4 {
			t.Errorf("%d running after a Tune", s.Running)
		}
		for i, p := range out {
			if _, d := b.Acquire(bg, core.Call{}); (d.Reason == 0) != (i > 2) || d.Remaining != 0 {
				t.Errorf("with %d running of 2: %+v", 4-i, d)
			}
			p.Done(0, core.Success)
		}
	})
	t.Run("growth wakes those who fit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := bulkhead(t, Config{Limit: 1, Queue: 10, MaxWait: time.Hour})
			enter(t, b, core.Call{})
			p1, first := queueUp(bg, b, core.Call{})
			p2, second := queueUp(bg, b, core.Call{})
			_, third := queueUp(bg, b, core.Call{})
			tune(t, b, Config{Limit: 3, Queue: 10, MaxWait: time.Hour})
			<-first
			<-second
			still(t, third)
			p1.Done(0, core.Success)
			<-third
			p2.Done(0, core.Success)
		})
	})
	t.Run("a waiter that cannot fit any more is told, and does not block the rest", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := bulkhead(t, Config{Limit: 5, Queue: 10, MaxWait: time.Hour})
			p := enter(t, b, core.Call{Cost: 5})
			_, dear := queueUp(bg, b, core.Call{Cost: 4})
			_, cheap := queueUp(bg, b, core.Call{Cost: 2})
			tune(t, b, Config{Limit: 3, Queue: 10, MaxWait: time.Hour})
			if d := <-dear; d.Reason != core.ReasonTooCostly || d.RetryAfter != core.Never {
				t.Errorf("%+v", d)
			}
			still(t, cheap)
			p.Done(0, core.Success)
			if d := <-cheap; d.Reason != 0 {
				t.Errorf("%+v", d)
			}
		})
	})
	t.Run("queue and wait are those that a call joined with", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := bulkhead(t, Config{Limit: 1, Queue: 2, MaxWait: time.Minute})
			p := enter(t, b, core.Call{})
			_, first := queueUp(bg, b, core.Call{})
			tune(t, b, Config{Limit: 1, MaxWait: time.Second})
			time.Sleep(2 * time.Second)
			still(t, first)
			if _, d := b.Acquire(bg, core.Call{}); d.Reason != core.ReasonFull {
				t.Errorf("%+v", d)
			}
			p.Done(0, core.Success)
			<-first
		})
	})
	t.Run("a bad one changes nothing", func(t *testing.T) {
		b := bulkhead(t, Config{Limit: 2})
		before := b.Config()
		if err := b.Tune(Config{Limit: -1, Queue: -1, Mode: core.ForcedOpen}); err == nil || b.Config() != before {
			t.Errorf("%v, %+v", err, b.Config())
		} else if n := strings.Count(err.Error(), "not allowed"); n != 3 {
			t.Errorf("%d faults in %q, want 3", n, err)
		}
	})
}

func TestShadow(t *testing.T) {
	b := bulkhead(t, Config{Limit: 1, Queue: 5, Mode: core.Shadow})
	p := enter(t, b, core.Call{})
	peek := b.Peek(core.Call{})
	over := new(core.Permit)
	d := acquire(bg, b, core.Call{Cost: 1}, over)
	if !d.Admitted() || d.Reason.Base() != core.ReasonFull || peek.Reason != d.Reason {
		t.Fatalf("%+v, Peek %+v", d, peek)
	}
	dear := new(core.Permit)
	if d := acquire(bg, b, core.Call{Cost: 1<<32 - 1}, dear); d.Reason.Base() != core.ReasonTooCostly || !d.Admitted() {
		t.Errorf("%+v", d)
	}
	dear.Done(0, core.Failure)
	if s := b.Snapshot(); s.Running != 2 || s.Shadowed != 2 || s.Admitted != 3 || s.Rejected != 0 {
		t.Errorf("%d running, %+v", s.Running, s.Status)
	}
	p.Done(0, core.Success)
	enter(t, b, core.Call{}).Done(0, core.Success) // the call beside charges nothing
	over.Done(0, core.Success)
	atRest(t, b)
}

func TestDisabledCountsInFlight(t *testing.T) {
	b := bulkhead(t, Config{Limit: 1, Mode: core.Disabled})
	var out []*core.Permit
	for i := range 5 {
		out = append(out, enter(t, b, core.Call{Cost: 2}))
		if s := b.Snapshot(); s.Running != int64(2*i+2) || s.Admitted != uint64(i+1) {
			t.Errorf("%d running, %+v", s.Running, s.Status)
		}
	}
	if err := b.Override(core.Enforce, 0); err != nil {
		t.Fatal(err)
	}
	enter(t, b, core.Call{}).Done(0, core.Success)
	for _, p := range out {
		p.Done(0, core.Success)
	}
	atRest(t, b)
}

// TestModesSwitchUnderWaiters: whoever waits runs at once when the mode bounds nothing any more.
func TestModesSwitchUnderWaiters(t *testing.T) {
	for _, mode := range []core.Mode{core.Shadow, core.Disabled} {
		synctest.Test(t, func(t *testing.T) {
			b := bulkhead(t, Config{Limit: 1, Queue: 5, MaxWait: time.Hour})
			p := enter(t, b, core.Call{})
			p1, first := queueUp(bg, b, core.Call{})
			p2, second := queueUp(bg, b, core.Call{Cost: 1})
			if err := b.Override(mode, time.Second); err != nil {
				t.Fatal(err)
			}
			if d := <-first; d.Reason != 0 || d.Remaining != -1 {
				t.Errorf("%v: %+v", mode, d)
			}
			<-second
			if s := b.Snapshot(); s.Running != 3 || s.Admitted != 3 {
				t.Errorf("%v: %d running, %+v", mode, s.Running, s.Status)
			}
			time.Sleep(time.Second) // and enforced again
			_, third := queueUp(bg, b, core.Call{})
			p1.Done(0, core.Success)
			still(t, third) // their slots were never this bulkhead's
			p.Done(0, core.Success)
			<-third
			p2.Done(0, core.Success)
		})
	}
}

func TestOverrideRefusesModesOfBreakers(t *testing.T) {
	b := bulkhead(t, Config{Limit: 1})
	for _, mode := range []core.Mode{core.ForcedOpen, core.ForcedClosed, 99} {
		if err := b.Override(mode, 0); err == nil || !strings.Contains(err.Error(), "enforce|shadow|disabled") {
			t.Errorf("Override(%v): %v", mode, err)
		}
	}
}

func TestReleasedOnce(t *testing.T) {
	b := bulkhead(t, Config{Limit: 3})
	keep := enter(t, b, core.Call{})
	p := enter(t, b, core.Call{Cost: 2})
	for range 3 {
		p.Done(0, core.Success)
	}
	if s := b.Snapshot(); s.Running != 1 {
		t.Errorf("%d running", s.Running)
	}
	p.Restart(5)
	p.Progress(5)
	keep.Done(0, core.Success)
	atRest(t, b)
}

func TestPeekTakesNothing(t *testing.T) {
	b := keyedBulkhead(t, Config{Limit: 2, Queue: 1})
	for range 5 {
		if d := b.Peek(core.Call{Key: keyOf(1)}); d.Reason != 0 || d.Remaining != 2 {
			t.Fatalf("%+v", d)
		}
	}
	if s := b.Snapshot(); s.Keys != 0 || s.Running != 0 {
		t.Errorf("%+v", s)
	}
	enter(t, b, core.Call{Key: keyOf(1), Cost: 2})
	if d := b.Peek(core.Call{Key: keyOf(1)}); d.Reason != 0 {
		t.Errorf("there is a queue: %+v", d)
	}
	if err := b.Tune(Config{Limit: 2}); err != nil {
		t.Fatal(err)
	}
	if d := b.Peek(core.Call{Key: keyOf(1)}); d.Reason != core.ReasonFull || d.Remaining != 0 {
		t.Errorf("full: %+v", d)
	}
	if d := b.Peek(core.Call{Key: keyOf(2), Cost: 3}); d.Reason != core.ReasonTooCostly || d.RetryAfter != core.Never {
		t.Errorf("too costly: %+v", d)
	}
}

// TestKeys: each has slots of its own, idle ones are forgotten with their counts kept, running ones never.
func TestKeys(t *testing.T) {
	b := keyedBulkhead(t, Config{Limit: 1, MaxKeys: 1})
	busy := enter(t, b, core.Call{Key: keyOf(0)})
	for i := 1; i <= 1000; i++ {
		before := b.Snapshot().Admitted
		p := enter(t, b, core.Call{Key: keyOf(i)})
		if _, d := b.Acquire(bg, core.Call{Key: keyOf(i)}); d.Reason != core.ReasonFull {
			t.Fatalf("key %d has a second slot: %v", i, d.Reason)
		}
		p.Done(0, core.Success)
		if after := b.Snapshot().Admitted; after != before+1 {
			t.Fatalf("admitted went from %d to %d", before, after)
		}
	}
	if _, d := b.Acquire(bg, core.Call{Key: keyOf(0)}); d.Reason != core.ReasonFull {
		t.Errorf("the busy key was reset by a flood: %v", d.Reason)
	}
	busy.Done(0, core.Success)
	if s := b.Snapshot(); s.Admitted != 1001 || s.Rejected != 1001 || s.Keys > 200 || s.Overflowed != 0 {
		t.Errorf("%+v", s.Status)
	}
	var out []*core.Permit
	for i := range 2000 {
		p := new(core.Permit)
		acquire(bg, b, core.Call{Key: keyOf(10_000 + i)}, p)
		out = append(out, p)
	}
	if s := b.Snapshot(); s.Overflowed == 0 || s.Running != int64(s.Keys)+1 {
		t.Errorf("%d running in %d cells and the one shared one, %d overflowed", s.Running, s.Keys, s.Overflowed)
	}
	for _, p := range out {
		p.Done(0, core.Success)
	}
	atRest(t, &b.Bulkhead)
}

func TestAcquireDoesNotAllocate(t *testing.T) {
	free := bulkhead(t, Config{Limit: 10})
	full := bulkhead(t, Config{Limit: 1})
	enter(t, full, core.Call{})
	keyed := keyedBulkhead(t, Config{Limit: 1})
	enter(t, keyed, core.Call{Key: keyOf(1)})
	enter(t, keyed, core.Call{Key: keyOf(2)}).Done(0, core.Success)
	for _, g := range []core.Guard{free, full, keyed} {
		for _, call := range []core.Call{{}, {Key: keyOf(1), Now: core.Now()}, {Key: keyOf(2), Cost: 1}} {
			if n := testing.AllocsPerRun(200, func() {
				p, d := g.Acquire(bg, call)
				_ = g.Peek(call)
				p.Done(d.Now, core.Success)
			}); n != 0 {
				t.Errorf("%T %v: %v allocations", g, call, n)
			}
		}
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"", "a b", strings.Repeat("x", 65)} {
		if _, err := New(name, Config{Limit: 1}, Hooks{}); err == nil {
			t.Errorf("the name %q is accepted", name)
		}
		if _, err := NewKeyed(name, Config{Limit: 1}, Hooks{}); err == nil {
			t.Errorf("the name %q is accepted", name)
		}
	}
	if _, err := New("x", Config{}, Hooks{}); err == nil || !strings.Contains(err.Error(), "limit: required") {
		t.Errorf("no limit: %v", err)
	}
}

package adaptive

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

// fixed is a limit that does not move.
func fixed(limit int) Config {
	return Config{InitialLimit: limit, MinLimit: limit, MaxLimit: limit}
}

// TestReasons walks the rows A1 to S7 of doc.go, but for the cut-off.
func TestReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fixed(2)
		c.Queue = 1
		l := limiter(t, c)
		first, second := enter(t, l, core.Call{}), enter(t, l, core.Call{})
		ctx, cancel := context.WithCancel(bg)
		_, left := queueUp(ctx, l, core.Call{})
		_, d := l.Acquire(bg, core.Call{})
		if d.Reason != core.ReasonFull || d.Remaining != 0 || d.RetryAfter < 500*ms || d.RetryAfter > 1500*ms {
			t.Errorf("the queue is full: %+v", d)
		}
		if err := d.Err(); !errors.Is(err, core.ErrFull) || !strings.HasPrefix(err.Error(), `adaptive "test": full, retry after `) {
			t.Errorf("the queue is full: %v", err)
		}
		if d := l.Peek(core.Call{}); d.Reason != core.ReasonFull {
			t.Errorf("Peek: %+v", d)
		}
		cancel()
		if d := <-left; d.Reason != core.ReasonLeft || !errors.Is(d.Err(), context.Canceled) {
			t.Errorf("canceled: %+v", d)
		}
		if d := l.Peek(core.Call{}); d.Reason != 0 {
			t.Errorf("Peek, with a place in the queue: %+v", d)
		}
		late, cancel2 := context.WithTimeout(bg, ms)
		defer cancel2()
		if _, d := l.Acquire(late, core.Call{}); d.Reason != core.ReasonExpired || !errors.Is(d.Err(), context.DeadlineExceeded) {
			t.Errorf("expired: %+v", d)
		}
		if _, d := l.Acquire(late, core.Call{}); d.Reason != core.ReasonExpired {
			t.Errorf("done before it could wait: %+v", d)
		}
		before := core.Now()
		if _, d := l.Acquire(bg, core.Call{Now: before}); d.Reason != core.ReasonWaited || d.Now != before.Add(100*ms) {
			t.Errorf("waited: %+v", d)
		}
		third, end := queueUp(bg, l, core.Call{})
		time.Sleep(ms)
		before = core.Now()
		first.Done(0, core.Success)
		if d := <-end; d.Reason != 0 || d.Now != before {
			t.Errorf("granted: %+v", d)
		}
		second.Done(0, core.Success)
		third.Done(0, core.Success)
		atRest(t, l)
		if s := l.Snapshot(); s.Admitted != 3 || s.Rejected != 5 || !s.Shedding {
			t.Errorf("%+v", s)
		}
	})
}

// TestQueueOrder: the more critical first; in order of arrival while it is a burst, and the newest first when it is a
// flood.
func TestQueueOrder(t *testing.T) {
	order := func(t *testing.T, flood bool) (served []int) {
		synctest.Test(t, func(t *testing.T) {
			c := fixed(1)
			c.QueueInterval, c.QueueTarget = time.Minute, time.Minute
			l := limiter(t, c)
			p := enter(t, l, core.Call{})
			got := make(chan int, 10)
			for i, class := range []core.Class{core.Sheddable, core.Critical, core.CriticalPlus, core.Unclassified, core.Critical} {
				if flood && i == 4 {
					l.mu.Lock() // it has been a minute
					l.queue.lines[1].since = l.queue.lines[1].since.Add(-time.Minute)
					l.mu.Unlock()
				}
				go func() {
					q := new(core.Permit)
					if d := acquire(bg, l, core.Call{Class: class}, q); d.Reason != 0 {
						t.Errorf("call %d: %v", i, d.Reason)
					}
					got <- i
					q.Done(0, core.Success)
				}()
				synctest.Wait()
			}
			p.Done(0, core.Success)
			for range 5 {
				served = append(served, <-got)
			}
			synctest.Wait()
			atRest(t, l)
		})
		return served
	}
	for flood, want := range map[bool][5]int{false: {2, 1, 3, 4, 0}, true: {2, 4, 3, 1, 0}} {
		if got := order(t, flood); [5]int(got) != want {
			t.Errorf("flood %v: %v, want %v", flood, got, want)
		}
	}
}

// TestPushedOut: row S4.
func TestPushedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fixed(1)
		c.Queue = 2
		l := limiter(t, c)
		p := enter(t, l, core.Call{})
		_, sheddable := queueUp(bg, l, core.Call{Class: core.Sheddable})
		_, critical := queueUp(bg, l, core.Call{})
		q, plus := queueUp(bg, l, core.Call{Class: core.CriticalPlus})
		if d := <-sheddable; d.Reason != core.ReasonFull {
			t.Errorf("the sheddable call: %v", d.Reason)
		}
		if _, d := l.Acquire(bg, core.Call{}); d.Reason != core.ReasonFull {
			t.Errorf("as critical as who waits: %v", d.Reason)
		}
		still(t, critical)
		p.Done(0, core.Success)
		<-plus
		q.Done(0, core.Success)
		<-critical
	})
}

// TestGrantedAndCancelledAtOnce: row S7. A waiter that is granted its slots while its caller leaves passes them on.
func TestGrantedAndCancelledAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		why, want core.Reason
		passedOn  bool
	}{
		"the caller has gone":  {core.ReasonLeft, core.ReasonLeft, true},
		"the deadline passed":  {core.ReasonExpired, core.ReasonExpired, true},
		"its time was just up": {core.ReasonWaited, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := limiter(t, fixed(1))
			p := enter(t, l, core.Call{})
			first, _ := l.join(l.live.Load(), core.Call{}, core.Now())
			second, _ := l.join(l.live.Load(), core.Call{}, core.Now())
			p.Done(0, core.Success) // grants first
			if first.place != nil || second.place == nil {
				t.Fatal("the first is not the one granted")
			}
			if got := l.leave(first, test.why); got != test.want {
				t.Errorf("the first: %v, want %v", got, test.want)
			}
			if granted := second.place == nil; granted != test.passedOn {
				t.Errorf("the second is granted: %v", granted)
			}
			if !test.passedOn {
				l.leave(second, core.ReasonLeft)
			}
			if r := room(l.room.Load()).running(); r != 1 {
				t.Errorf("%d running", r)
			}
			l.Settle(1, 0, 0, false, core.Success)
			atRest(t, l)
		})
	}
}

// TestTakenBackWakes: an addition that went beyond the limit may have kept a slot from a waiting call for an instant.
func TestTakenBackWakes(t *testing.T) {
	l := limiter(t, fixed(1))
	l.room.Add(uint64(one + 1)) // what Acquire does before it looks
	w, _ := l.join(l.live.Load(), core.Call{}, core.Now())
	if w.place == nil {
		t.Fatal("granted beyond the limit")
	}
	l.takeBack(1)
	if w.place != nil {
		t.Error("the call still waits, with a slot free")
	}
	l.Settle(1, 0, 0, false, core.Success)
	atRest(t, l)
}

// TestOutcomes walks the table of outcomes in doc.go.
func TestOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, drops := limiter(t, Config{}), limiter(t, Config{FailureDrops: true})
		l.m.base.value = float64(100 * ms)
		l.publish(&Config{Tolerance: 1.2}, core.Now())
		l.gate.due.Store(int64(core.Now().Add(time.Hour)))
		drops.gate.due.Store(l.gate.due.Load())
		for _, test := range []struct {
			l       *Limiter
			o       core.Outcome
			after   time.Duration
			count   uint64
			dropped uint64
		}{
			{l, core.Success, 50 * ms, 1, 0},
			{l, core.Failure, 50 * ms, 0, 0},
			{drops, core.Failure, 50 * ms, 0, 1},
			{l, core.Timeout, 50 * ms, 0, 1},
			{l, core.Overload, 50 * ms, 0, 1},
			{l, core.Expired, 119 * ms, 0, 0},
			{l, core.Expired, 120 * ms, 1, 0},
			{l, core.Canceled, 119 * ms, 0, 0},
			{l, core.Canceled, 120 * ms, 1, 0},
			{drops, core.Canceled, time.Hour, 0, 0}, // nothing is known of what is slow
			{l, core.Ignored, time.Hour, 0, 0},
		} {
			p := enter(t, test.l, core.Call{})
			time.Sleep(test.after)
			test.l.gate.due.Store(int64(core.Now().Add(time.Hour)))
			p.Done(0, test.o)
			if got := test.l.counters.drain(); got.count != test.count || got.dropped != test.dropped {
				t.Errorf("%v after %v: %+v", test.o, test.after, got)
			}
		}
	})
}

// TestTimedFromWhenAdmitted: neither the wait in this queue nor that in a later guard is the backend's, nor is what
// comes after a stream's first response.
func TestTimedFromWhenAdmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, fixed(1))
		took := func(want time.Duration) {
			t.Helper()
			got := l.counters.drain()
			if want == 0 && got == (tally{}) {
				return
			}
			if got.count != 1 || got.logs != logOf(want) {
				t.Errorf("%d latencies, 2^%v ns, want %v", got.count, float64(got.logs)/logUnit, want)
			}
		}
		still := func() { l.gate.due.Store(int64(core.Now().Add(time.Hour))) }
		p := enter(t, l, core.Call{})
		q, end := queueUp(bg, l, core.Call{})
		time.Sleep(60 * ms)
		still()
		p.Done(0, core.Success)
		took(60 * ms)
		<-end
		time.Sleep(30 * ms)
		q.Done(0, core.Success)
		took(30 * ms) // not 90

		p = enter(t, l, core.Call{})
		time.Sleep(time.Second)
		p.Restart(core.Now())
		time.Sleep(20 * ms)
		still()
		p.Done(0, core.Success)
		took(20 * ms)

		for _, o := range []core.Outcome{core.Success, core.Timeout} {
			p = enter(t, l, core.Call{})
			time.Sleep(10 * ms)
			still()
			p.Progress(0)
			took(10 * ms)
			time.Sleep(time.Minute)
			if s := l.Snapshot(); s.Running != 1 {
				t.Errorf("%d running in the middle of a stream", s.Running)
			}
			still()
			p.Done(0, o)
			took(0)
		}

		p = enter(t, l, core.Call{Now: core.Now()})
		p.Done(core.Now().Add(-time.Hour), core.Success) // the clock has run backwards
		took(0)
		atRest(t, l)
	})
}

// TestCost: a call takes as many slots as it costs, but one that costs more than the limit is not locked out.
func TestCost(t *testing.T) {
	c := fixed(10)
	c.Queue = core.None
	l := limiter(t, c)
	p := enter(t, l, core.Call{Cost: 7})
	if _, d := l.Acquire(bg, core.Call{Cost: 4}); d.Reason != core.ReasonFull || d.Remaining != 3 {
		t.Errorf("%+v", d)
	}
	p.Done(0, core.Success)
	for _, cost := range []uint32{11, 1 << 31, 1<<32 - 1} {
		p = enter(t, l, core.Call{Cost: cost})
		if s := l.Snapshot(); s.Running != 10 {
			t.Errorf("cost %d: %d running", cost, s.Running)
		}
		p.Done(0, core.Success)
	}
	atRest(t, l)
	wide := limiter(t, fixed(100_000))
	p = enter(t, wide, core.Call{Cost: 50_000})
	if s := wide.Snapshot(); s.Running != maxCost {
		t.Errorf("%d running", s.Running)
	}
	p.Done(0, core.Success)
	atRest(t, wide)
}

// TestShares: while critical calls come, others leave them some slots.
func TestShares(t *testing.T) {
	c := fixed(10)
	c.Queue = core.None
	l := limiter(t, c)
	now := core.Now()
	enter(t, l, core.Call{Now: now, Class: core.CriticalPlus}).Done(now, core.Success) // and the first tick hears of it
	fill := func(class core.Class) (n int) {
		for {
			if _, d := l.Acquire(bg, core.Call{Now: now, Class: class}); d.Reason != 0 {
				return n
			}
			n++
		}
	}
	for _, want := range []struct {
		class core.Class
		n     int
	}{{core.Sheddable, 7}, {core.SheddablePlus, 1}, {core.Unclassified, 1}, {core.Critical, 0}, {core.CriticalPlus, 1}} {
		if got := fill(want.class); got != want.n {
			t.Errorf("class %d: %d more, want %d", want.class, got, want.n)
		}
	}
}

// TestCutOff walks the rows S1 and S8: above the cut-off nobody even queues, and it ends.
func TestCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []string
		hear := func(e core.Event) { events = append(events, e.From+" to "+e.To+": "+e.Cause) }
		l, err := New("test", fixed(10), Hooks{OnEvent: hear})
		if err != nil {
			t.Fatal(err)
		}
		user := func(i int) core.Call {
			return core.Call{Now: core.Now(), Class: core.Critical + core.Class(i%2), Key: core.KeyOfWords(uint64(i)+1, 1)}
		}
		shed := map[core.Class]int{}
		for i := range 4000 { // 1000 calls a second, of 100 ms each
			go func() {
				p, c := new(core.Permit), user(i)
				d := acquire(bg, l, c, p)
				if i > 2000 && d.Reason == core.ReasonShed {
					shed[c.Class]++
				}
				if d.Admitted() {
					time.Sleep(100 * ms)
					p.Done(0, core.Success)
				}
			}()
			time.Sleep(ms)
			synctest.Wait()
		}
		if s := l.Snapshot(); !s.Shedding || s.CutClass != core.Critical || s.CutShare > 0.4 {
			t.Errorf("shedding %v above %v of class %d", s.Shedding, s.CutShare, s.CutClass)
		}
		if shed[core.SheddablePlus] < 990 || shed[core.Critical] < 600 || shed[core.Critical] > 950 {
			t.Errorf("of 1000 each were shed: %v", shed)
		}
		if d := l.Peek(core.Call{Class: core.Sheddable}); d.Reason != core.ReasonShed {
			t.Errorf("Peek: %v", d.Reason)
		}
		time.Sleep(time.Second)
		for range 100 { // and now few
			p := new(core.Permit)
			d := acquire(bg, l, core.Call{}, p)
			time.Sleep(100 * ms)
			if d.Admitted() {
				p.Done(0, core.Success)
			}
		}
		if s := l.Snapshot(); s.Shedding || s.CutShare != 1 || s.CutClass != core.Sheddable {
			t.Errorf("still shedding: %+v", s)
		}
		want := "admitting to shedding: no slot free, shedding to admitting: slots are free"
		if got := strings.Join(events, ", "); got != want {
			t.Errorf("events: %s", got)
		}
		atRest(t, l)
	})
}

func TestReleasedOnce(t *testing.T) {
	l := limiter(t, fixed(3))
	keep, p := enter(t, l, core.Call{}), enter(t, l, core.Call{Cost: 2})
	for range 3 {
		p.Done(0, core.Success)
	}
	p.Restart(5)
	p.Progress(5)
	if s := l.Snapshot(); s.Running != 1 {
		t.Errorf("%d running", s.Running)
	}
	keep.Done(0, core.Success)
	atRest(t, l)
}

func TestPeekTakesNothing(t *testing.T) {
	l := limiter(t, fixed(2))
	for range 10 {
		if d := l.Peek(core.Call{}); d.Reason != 0 || d.Remaining != 2 {
			t.Errorf("%+v", d)
		}
	}
	atRest(t, l)
	if s := l.Snapshot(); s.Admitted != 0 {
		t.Errorf("%+v", s.Status)
	}
}

package pool

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

func TestLastBackFirstOut(t *testing.T) { // A1, A5, R2
	synctest.Test(t, func(t *testing.T) {
		m := &maker{}
		p := newPool(t, Config{Max: 3}, m)
		a, b, c := take(t, p), take(t, p), take(t, p)
		for i, l := range []Lease[*conn]{a, b, c} {
			if l.Value().id != i+1 {
				t.Errorf("lease %d has resource %d", i, l.Value().id)
			}
		}
		b.Release()
		c.Release()
		a.Release()
		for _, want := range []int{1, 3, 2} {
			if got := take(t, p).Value().id; got != want {
				t.Errorf("got resource %d, want %d", got, want)
			}
		}
		check(t, p)
		if s := p.Snapshot(); s.Out != 3 || s.Idle != 0 || s.Created != 3 || s.Admitted != 3 {
			t.Errorf("%+v", s)
		}
		for _, sl := range *p.slots.Load() {
			Lease[*conn]{sl, sl.era.Load()}.Release()
		}
		shut(t, p, m)
	})
}

func TestRejections(t *testing.T) { // A6, A7, W1, W2
	synctest.Test(t, func(t *testing.T) {
		m := &maker{}
		p := newPool(t, Config{Max: 1, Queue: 1, MaxWait: time.Second}, m)
		l := take(t, p)
		ctx, cancel := context.WithCancel(bg)
		left := wait(ctx, p)
		_, err := p.Acquire(bg)
		wantReason(t, err, core.ReasonFull)
		if !errors.Is(err, core.ErrFull) || err.Error() != `pool "test": full` {
			t.Errorf("%v", err)
		}
		cancel()
		err = (<-left).err
		if wantReason(t, err, core.ReasonLeft); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		_, err = p.Acquire(ctx) // done before it could wait
		wantReason(t, err, core.ReasonLeft)
		soon, cancel2 := context.WithTimeout(bg, time.Millisecond)
		defer cancel2()
		_, err = p.Acquire(soon)
		if wantReason(t, err, core.ReasonExpired); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		before := time.Now()
		_, err = p.Acquire(bg)
		if wantReason(t, err, core.ReasonWaited); time.Since(before) != time.Second {
			t.Errorf("waited %v", time.Since(before))
		}
		if s := p.Snapshot(); s.Rejected != 5 || s.Waiting != 0 || s.Out != 1 {
			t.Errorf("%+v", s)
		}
		l.Release()
		if l, err = p.Acquire(ctx); err != nil { // something is idle: the context is not looked at
			t.Error(err)
		}
		l.Release()
		shut(t, p, m)
	})
}

func TestNobodyMayQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		m := &maker{create: func(context.Context, int) error { <-hold; return nil }}
		p := newPool(t, Config{Max: 1, Queue: core.None}, m)
		first := wait(bg, p) // for what is being created, which is no queueing
		_, err := p.Acquire(bg)
		wantReason(t, err, core.ReasonFull)
		close(hold)
		(<-first).lease.Release()
		shut(t, p, m)
	})
}

func TestMaxWaitNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &maker{}
		p := newPool(t, Config{Max: 1, MaxWait: core.None}, m)
		l := take(t, p)
		end := wait(bg, p)
		time.Sleep(1000 * time.Hour)
		still(t, end)
		l.Discard()
		(<-end).lease.Release()
		shut(t, p, m)
	})
}

func TestQueueIsServedInOrder(t *testing.T) { // R1
	synctest.Test(t, func(t *testing.T) {
		m := &maker{}
		p := newPool(t, Config{Max: 1}, m)
		l := take(t, p)
		order := make(chan int, 100)
		for i := range 100 {
			go func() {
				l, err := p.Acquire(bg)
				if err != nil {
					t.Error(err)
				}
				order <- i
				l.Release()
			}()
			synctest.Wait()
		}
		check(t, p)
		l.Release()
		for want := range 100 {
			if got := <-order; got != want {
				t.Fatalf("caller %d is served, want %d", got, want)
			}
		}
		synctest.Wait()
		check(t, p)
		if s := p.Snapshot(); s.Created != 1 || s.Admitted != 101 {
			t.Errorf("%+v", s)
		}
		shut(t, p, m)
	})
}

// TestGrantedAndLeftAtOnce: a waiter that is granted a resource while its caller leaves passes it on. W3, W4
func TestGrantedAndLeftAtOnce(t *testing.T) {
	for name, kept := range map[string]bool{"the caller has gone": false, "its time was just up": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &maker{}
				p := newPool(t, Config{Max: 1}, m)
				s := p.live.Load()
				l := take(t, p)
				first, second := &waiter[*conn]{}, &waiter[*conn]{}
				for _, w := range []*waiter[*conn]{first, second} {
					if sl, err := p.join(s, w, nil); sl != nil || err != nil {
						t.Fatal(sl, err)
					}
				}
				l.Release() // grants the first
				if first.place != nil || second.place == nil {
					t.Fatal("the first is not the one granted")
				}
				first.late = kept // as need notes it
				if p.leave(first) != kept || first.err != nil {
					t.Fatalf("kept %v, %v", !kept, first.err)
				}
				if kept {
					if first.slot == nil || second.place == nil {
						t.Fatalf("%v", first.slot)
					}
					p.back(first.slot)
				}
				if second.place != nil || second.slot == nil {
					t.Fatal("the second has not got it")
				}
				check(t, p)
				p.back(second.slot)
				shut(t, p, m)
			})
		})
	}
}

func TestTooOldIsReplaced(t *testing.T) { // A2, R3
	synctest.Test(t, func(t *testing.T) {
		m := &maker{}
		p := newPool(t, Config{Max: 1, MaxLifetime: time.Minute, IdleTimeout: core.None, Jitter: core.None}, m)
		l := take(t, p)
		time.Sleep(time.Minute - 1)
		l.Release()
		time.Sleep(time.Nanosecond)
		l = take(t, p)
		if l.Value().id != 2 || m.shut.Load() != 1 {
			t.Errorf("resource %d, %d closed", l.Value().id, m.shut.Load())
		}
		time.Sleep(time.Minute)
		l.Release()
		synctest.Wait()
		if s := p.Snapshot(); s.Idle != 0 || s.Expired != 2 || m.shut.Load() != 2 {
			t.Errorf("%+v", s)
		}
		shut(t, p, m)
	})
}

func TestValidation(t *testing.T) { // A3, A4
	synctest.Test(t, func(t *testing.T) {
		var asked []int
		dead := map[int]bool{}
		m := &maker{validate: func(_ context.Context, c *conn) error {
			asked = append(asked, c.id)
			if dead[c.id] {
				return errDown
			}
			return nil
		}}
		p := newPool(t, Config{Max: 3, ValidateAfter: time.Second}, m)
		a, b := take(t, p), take(t, p)
		a.Release()
		b.Release()
		time.Sleep(time.Second - 1)
		take(t, p).Release() // b, not idle for long enough
		if len(asked) != 0 {
			t.Errorf("validated %v", asked)
		}
		time.Sleep(time.Second)
		take(t, p).Release()
		if len(asked) != 1 || asked[0] != 2 {
			t.Errorf("validated %v", asked)
		}
		time.Sleep(time.Second)
		dead[2] = true
		l := take(t, p)
		if l.Value().id != 1 || len(asked) != 3 { // 2 is dead, 1 is tried
			t.Errorf("resource %d after validating %v", l.Value().id, asked)
		}
		l.Release()
		time.Sleep(time.Second)
		dead[1] = true
		l = take(t, p) // none is left: one is created, and needs no validation
		if l.Value().id != 3 || len(asked) != 4 {
			t.Errorf("resource %d after validating %v", l.Value().id, asked)
		}
		time.Sleep(time.Minute)
		l.Release()
		take(t, p).Release() // it was out for long, not idle
		if len(asked) != 4 {
			t.Errorf("validated %v", asked)
		}
		synctest.Wait()
		if s := p.Snapshot(); s.Invalid != 2 || s.Closed != 2 || m.shut.Load() != 2 {
			t.Errorf("%+v", s)
		}
		shut(t, p, m)
	})
}

// TestLeavingWhileValidating: a caller that leaves does not take every idle resource with it.
func TestLeavingWhileValidating(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		m := &maker{validate: func(ctx context.Context, c *conn) error { asked++; <-ctx.Done(); return ctx.Err() }}
		p := newPool(t, Config{Max: 8}, m)
		var held []Lease[*conn]
		for range 8 {
			held = append(held, take(t, p))
		}
		for _, l := range held {
			l.Release()
		}
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		_, err := p.Acquire(ctx)
		wantReason(t, err, core.ReasonExpired)
		_, err = p.Acquire(ctx) // done before: nothing is spoilt at all
		wantReason(t, err, core.ReasonExpired)
		synctest.Wait()
		check(t, p)
		if s := p.Snapshot(); asked != 1 || s.Idle != 7 || s.Invalid != 1 || s.Rejected != 2 {
			t.Errorf("asked %d times, %+v", asked, s)
		}
		shut(t, p, m)
	})
}

// TestWhoGotADeadOneKeepsItsPlace: a caller that waited and was handed a resource that turns out to be unfit is served
// before those behind it.
func TestWhoGotADeadOneKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &maker{}
		p := newPool(t, Config{Max: 1, MaxLifetime: time.Minute, MaxWait: core.None, Jitter: core.None}, m)
		s := p.live.Load()
		l := take(t, p)
		first := &waiter[*conn]{}
		_, _ = p.join(s, first, nil)
		second := wait(bg, p)
		l.Release()
		time.Sleep(time.Minute) // the first sleeps over its answer
		if fit, err := p.fit(bg, s, first.slot); fit || err != nil {
			t.Fatal(fit, err)
		}
		if sl, err := p.join(s, first, nil); sl != nil || err != nil {
			t.Fatal(sl, err)
		}
		<-first.ready
		still(t, second)
		if first.slot == nil || (*first.slot.value.Load()).id != 2 {
			t.Fatalf("%+v", first)
		}
		p.back(first.slot)
		(<-second).lease.Release()
		shut(t, p, m)
	})
}

// TestLateAndUnfit: a caller whose time is up as it is handed a resource that turns out to be unfit waits no more.
func TestLateAndUnfit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		validating := make(chan struct{})
		m := &maker{validate: func(_ context.Context, c *conn) error { <-validating; return errDown }}
		m.create = func(_ context.Context, id int) error {
			if id > 1 {
				time.Sleep(time.Hour)
			}
			return nil
		}
		p := newPool(t, Config{Max: 1, MaxWait: time.Second, CreateTimeout: time.Hour, CloseTimeout: time.Hour}, m)
		s := p.live.Load()
		l := take(t, p)
		w := &waiter[*conn]{}
		_, _ = p.join(s, w, nil)
		l.Release()
		time.Sleep(time.Second)
		close(validating)
		w.late = true // as need notes it
		if !p.leave(w) || w.slot == nil || w.err != nil {
			t.Fatal(w.slot, w.err)
		}
		if fit, err := p.fit(bg, s, w.slot); fit || err != nil {
			t.Fatal(fit, err)
		}
		_, err := p.join(s, w, nil)
		wantReason(t, err, core.ReasonWaited)
		shut(t, p, m)
	})
}

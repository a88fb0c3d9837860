package pool

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// fill takes n resources at once and gives them back.
func fill(t *testing.T, p *Pool[*conn], n int) {
	t.Helper()
	var held []Lease[*conn]
	for range n {
		held = append(held, take(t, p))
	}
	for _, l := range held {
		l.Release()
	}
}

func TestIdleShrinkToMinWithoutACall(t *testing.T) { // U1
	synctest.Test(t, func(t *testing.T) {
		m := &maker{}
		p := newPool(t, Config{Max: 8, Min: 2, IdleTimeout: 8 * time.Minute, Jitter: core.None}, m)
		fill(t, p, 8)
		time.Sleep(8*time.Minute - 1)
		synctest.Wait()
		if s := p.Snapshot(); s.Idle != 8 {
			t.Errorf("before their time: %+v", s)
		}
		time.Sleep(time.Minute + 1) // upkeep looks every minute
		synctest.Wait()
		if s := p.Snapshot(); s.Idle != 2 || s.Expired != 6 || m.shut.Load() != 6 {
			t.Errorf("%+v, %d closed", s, m.shut.Load())
		}
		if id := take(t, p).Value().id; id != 8 { // those idle longest went first
			t.Errorf("left on top: %d", id)
		}
		Lease[*conn]{(*p.slots.Load())[7], 1}.Release()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if s := p.Snapshot(); s.Idle != 2 || m.made.Load() != 8 {
			t.Errorf("%+v: Min is kept, not renewed, by idleness", s)
		}
		shut(t, p, m)
	})
}

func TestOldOnesAreRenewedUpToMin(t *testing.T) { // U2, U3
	synctest.Test(t, func(t *testing.T) {
		m := &maker{}
		p := newPool(t, Config{Max: 8, Min: 3, MaxLifetime: 8 * time.Minute, IdleTimeout: core.None, Jitter: core.None}, m)
		take(t, p).Release()
		synctest.Wait()
		if s := p.Snapshot(); s.Idle != 3 { // the first Acquire began to fill
			t.Errorf("%+v", s)
		}
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		if s := p.Snapshot(); s.Idle != 3 || s.Expired != 3 || s.Created != 6 {
			t.Errorf("%+v", s)
		}
		take(t, p).Discard()
		synctest.Wait()
		if s := p.Snapshot(); s.Idle != 3 || s.Created != 7 {
			t.Errorf("after a loss: %+v", s)
		}
		shut(t, p, m)
	})
}

// TestFillingIsNoStorm: while creating fails, Min is tried for once in a while and not in a loop.
func TestFillingIsNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		m := &maker{create: func(context.Context, int) error {
			if !up.Load() {
				return errDown
			}
			return nil
		}}
		p := newPool(t, Config{Max: 8, Min: 4}, m)
		if _, err := p.Acquire(bg); !errors.Is(err, errDown) {
			t.Errorf("%v", err)
		}
		synctest.Wait()
		if n := m.made.Load(); n != 4 {
			t.Errorf("%d tries at once", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := m.made.Load(); n != 4+4*12 {
			t.Errorf("%d tries within a minute", n)
		}
		up.Store(true)
		time.Sleep(retryFill)
		synctest.Wait()
		if s := p.Snapshot(); s.Idle != 4 {
			t.Errorf("%+v", s)
		}
		shut(t, p, m)
	})
}

// TestNoTimerWhenNothingIsIdle: upkeep rests until something comes back.
func TestNoTimerWhenNothingIsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &maker{}
		p := newPool(t, Config{Max: 1, IdleTimeout: 8 * time.Second, Jitter: core.None}, m)
		timer := func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.timer != nil }
		if timer() {
			t.Error("a timer before the first call")
		}
		l := take(t, p)
		time.Sleep(time.Minute)
		if timer() {
			t.Error("a timer though all are out")
		}
		l.Release()
		if !timer() {
			t.Error("no timer though one is idle")
		}
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if s := p.Snapshot(); s.Idle != 0 || timer() {
			t.Errorf("%+v", s)
		}
		take(t, p).Release()
		if shut(t, p, m); timer() {
			t.Error("a timer after Close")
		}
	})
}

// TestNeitherTimeNorTimer: with both limits off nothing is ever closed, and no timer runs.
func TestNeitherTimeNorTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &maker{}
		p := newPool(t, Config{Max: 3, IdleTimeout: core.None, MaxLifetime: core.None}, m)
		fill(t, p, 3)
		time.Sleep(10000 * time.Hour)
		fill(t, p, 3)
		if p.timer != nil || m.made.Load() != 3 || m.shut.Load() != 0 {
			t.Errorf("%d made, %d closed", m.made.Load(), m.shut.Load())
		}
		shut(t, p, m)
	})
}

// TestJitterSpreadsTheEnds: resources created together do not end together.
func TestJitterSpreadsTheEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &maker{}
		p := newPool(t, Config{Max: 200, MaxLifetime: 1000 * time.Second, IdleTimeout: core.None}, m)
		fill(t, p, 200)
		time.Sleep(900*time.Second - 1)
		synctest.Wait()
		if s := p.Snapshot(); s.Idle != 200 {
			t.Errorf("before 0.9 of the lifetime: %+v", s)
		}
		now, old := core.Now(), 0
		for _, sl := range *p.slots.Load() {
			if sl.ages.old(&p.live.Load().Derived, now.Add(100*time.Second)) {
				old++
			}
		}
		if old < 50 || old > 150 {
			t.Errorf("%d of 200 end within the lifetime", old)
		}
		time.Sleep(350 * time.Second) // 1.1 of it and a beat
		synctest.Wait()
		if s := p.Snapshot(); s.Idle != 0 {
			t.Errorf("after 1.1 of the lifetime and a beat: %+v", s)
		}
		shut(t, p, m)
	})
}

// A timer that has run out just before a Tune set another one must not set a third: they would never become fewer.
func TestUpkeepOvertakenByATune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &maker{}
		p := newPool(t, Config{Max: 1, IdleTimeout: 8 * time.Second, Jitter: core.None}, m)
		take(t, p).Release()
		late := p.alarm
		if err := p.Tune(Config{Max: 1, IdleTimeout: 16 * time.Second, Jitter: core.None}); err != nil {
			t.Fatal(err)
		}
		p.mu.Lock()
		set := p.timer
		p.mu.Unlock()
		p.upkeep(late)
		if p.timer != set && set.Stop() {
			t.Error("two timers are set")
		}
		shut(t, p, m)
	})
}

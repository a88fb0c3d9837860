package breaker

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// Everything at once: calls with random outcomes, Tune, Override, Trip, Reset and readers. In the end each permit is
// back, each call counted once, and the breaker works.
func TestEverythingAtOnce(t *testing.T) {
	for _, keyed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) { everything(t, keyed) })
	}
}

func everything(t *testing.T, keyed bool) {
	var events, admitted, rejected atomic.Int64
	h := Hooks{OnEvent: func(core.Event) { events.Add(1) }}
	b := mustNew(t, tunings[2], h)
	if keyed {
		c := tunings[2]
		c.MaxKeys = 8
		b = &mustKeyed(t, c, h).Breaker
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 3))
			for range 500 {
				p := new(core.Permit)
				d := acquire(b, core.Call{Key: key(r.IntN(300))}, p)
				if d.Admitted() {
					admitted.Add(1)
				} else {
					rejected.Add(1)
				}
				if r.IntN(3) == 0 {
					p.Restart(core.Now())
				}
				time.Sleep(time.Duration(r.IntN(int(time.Second))))
				both := r.IntN(3) == 0
				if both {
					wg.Go(func() { p.Progress(0) })
				}
				p.Done(0, core.Outcome(r.IntN(core.Outcomes)))
			}
		})
	}
	wg.Go(func() { operate(t, b, 300) })
	wg.Wait()
	b.Restore()
	tune(t, b, strict)
	s := b.Snapshot()
	if s.Admitted != uint64(admitted.Load()) || s.Rejected != uint64(rejected.Load()) || s.EventsDropped != 0 || events.Load() == 0 {
		t.Errorf("admitted %d of %d, rejected %d of %d, %d events", s.Admitted, admitted.Load(), s.Rejected, rejected.Load(), events.Load())
	}
	time.Sleep(24 * time.Hour)
	for i := range 300 {
		k := key(i)
		for range 2 {
			if cl := b.look(k); cl != nil {
				check(t, cl.m, &b.live.Load().Config)
				if pins := cl.pins.Load(); pins != 0 {
					t.Errorf("key %d: %d pins are left", i, pins)
				}
			}
			if d := callKey(b, k, core.Success); d.Reason != 0 { // the last Tune made half-open votes suffice to reopen
				time.Sleep(d.RetryAfter)
				wantReason(t, callKey(b, k, core.Success), 0)
			}
		}
	}
}

func operate(t *testing.T, b *Breaker, rounds int) {
	r := rand.New(rand.NewPCG(9, 9))
	for range rounds {
		time.Sleep(time.Duration(r.IntN(int(2 * time.Second))))
		switch r.IntN(8) {
		case 0, 1, 2:
			tune(t, b, tunings[r.IntN(len(tunings))])
		case 3:
			if err := b.Override(core.Mode(r.IntN(5)), time.Duration(r.IntN(int(time.Second)))); err != nil {
				t.Error(err)
			}
		case 4:
			b.Restore()
		case 5:
			b.trip(key(r.IntN(300)), time.Second)
		case 6:
			b.reset(key(r.IntN(300)))
		case 7:
			b.Snapshot()
			b.Peek(core.Call{Key: key(r.IntN(300))})
		}
	}
}

// The same without a bubble and its rests, for the race detector: real parallelism on one cell.
func TestParallelCallsOnOneCell(t *testing.T) {
	b := mustNew(t, Config{MinCalls: 1, OpenFor: time.Millisecond, Jitter: core.None}, Hooks{})
	var wg sync.WaitGroup
	var admitted atomic.Int64
	stop := make(chan struct{})
	for g := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 4))
			for range 20_000 {
				p, d := b.Acquire(bg, core.Call{})
				if d.Reason == 0 {
					admitted.Add(1)
				}
				if r.IntN(8) == 0 {
					p.Progress(0)
				}
				p.Done(0, core.Outcome(r.IntN(core.Outcomes)))
			}
		})
	}
	tuner := make(chan struct{})
	go func() {
		defer close(tuner)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			c := Config{MinCalls: 1 + i%3, OpenFor: time.Millisecond, Window: time.Duration(1+i%2) * time.Second}
			if err := b.Tune(c); err != nil {
				t.Error(err)
			}
			if i%7 == 0 {
				b.Reset()
			}
		}
	}()
	wg.Wait()
	close(stop)
	<-tuner
	s := b.Snapshot()
	if s.Admitted != uint64(admitted.Load()) || s.Probing != 0 {
		t.Errorf("admitted %d, want %d; %d probes", s.Admitted, admitted.Load(), s.Probing)
	}
	check(t, b.own.m, &b.live.Load().Config)
}

// Never more probes at once than allowed, however many callers come while they are running.
func TestProbesAtOnceUnderConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, Config{Probes: 6, ProbesAtOnce: 3, ProbeSuccesses: 6}, Hooks{})
		for round := range 20 {
			b.Trip(time.Second)
			time.Sleep(time.Second)
			var running, ran atomic.Int64
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					for range 5 {
						_ = run(bg, b, func(context.Context) error {
							if n := running.Add(1); n > 3 {
								t.Errorf("%d probes at once", n)
							}
							defer running.Add(-1)
							ran.Add(1)
							time.Sleep(10 * time.Millisecond)
							return map[bool]error{true: errDown}[round%2 == 0]
						})
						time.Sleep(time.Millisecond)
					}
				})
			}
			wg.Wait()
			if n := ran.Load(); round%2 == 0 && n > 6 {
				t.Errorf("%d failing probes ran, want at most 6", n)
			}
			b.Reset()
		}
	})
}

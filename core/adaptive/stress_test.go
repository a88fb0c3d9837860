package adaptive

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// TestListenerThatNeverReturns: one that ends the goroutine of the call, as t.FailNow does, costs no slot and no waiter.
func TestListenerThatNeverReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		l, err := New("test", fixed(2), Hooks{OnEvent: func(core.Event) { told++; runtime.Goexit() }})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 300 {
			go func() {
				_, _ = Do(bg, l, func(context.Context) (int, error) { time.Sleep(20 * ms); return 0, nil })
			}()
			if time.Sleep(ms); i%100 == 99 {
				time.Sleep(3 * time.Second)
				go func() { _, _ = Do(bg, l, func(context.Context) (int, error) { return 0, nil }) }()
			}
		}
		time.Sleep(time.Second)
		atRest(t, l)
		if told < 2 {
			t.Errorf("the listener has heard %d events", told)
		}
	})
	synctest.Test(t, func(t *testing.T) { // in Done
		told := 0
		l, err := New("test", fixed(3), Hooks{OnEvent: func(core.Event) { told++; runtime.Goexit() }})
		if err != nil {
			t.Fatal(err)
		}
		held := []*core.Permit{enter(t, l, core.Call{}), enter(t, l, core.Call{}), enter(t, l, core.Call{})}
		go l.Acquire(bg, core.Call{}) // refused, and told
		for _, p := range held {
			time.Sleep(1200 * ms)
			go p.Done(0, core.Success)
			synctest.Wait()
		}
		if told != 2 {
			t.Errorf("the listener has heard %d events", told)
		}
		atRest(t, l)
	})
}

// TestStress lets goroutines call, wait, leave, stream and panic while the settings change. No slot and no waiter is
// lost, and no more calls run than the largest limit allows.
func TestStress(t *testing.T) {
	const callers, most = 16, 12
	l, err := New("test", Config{MaxLimit: most, Queue: 4, QueueInterval: ms, QueueTarget: ms, MinSamples: 1, Window: 10 * ms},
		Hooks{OnEvent: func(core.Event) { panic("listener") }})
	if err != nil {
		t.Fatal(err)
	}
	var running, admitted, calls atomic.Int64
	var wg sync.WaitGroup
	n := 3000
	if raceEnabled {
		n = 600
	}
	for range callers {
		wg.Go(func() {
			for range n {
				ctx, cancel := context.WithTimeout(bg, time.Duration(rand.IntN(2000))*time.Microsecond)
				p := new(core.Permit)
				d := acquire(ctx, l, core.Call{Class: core.Class(rand.IntN(5)), Key: core.KeyOfWords(1, rand.Uint64N(9))}, p)
				calls.Add(1)
				if d.Admitted() {
					admitted.Add(1)
					if now := running.Add(1); now > most {
						t.Errorf("%d run at once", now)
					}
					switch rand.IntN(4) {
					case 0:
						time.Sleep(time.Duration(rand.IntN(100)) * time.Microsecond)
					case 1:
						runtime.Gosched()
						p.Progress(0)
					}
					running.Add(-1)
				}
				p.Done(0, core.Outcome(rand.IntN(core.Outcomes)))
				cancel()
			}
		})
	}
	stop := make(chan struct{})
	tuner := make(chan struct{})
	go func() {
		defer close(tuner)
		for {
			select {
			case <-stop:
				return
			default:
			}
			c := Config{
				Algorithm: Algorithm(rand.IntN(3)), MinLimit: 1, MaxLimit: 1 + rand.IntN(most), Queue: core.Count(1 + rand.IntN(4)),
				QueueInterval: ms, QueueTarget: ms, MinSamples: 1, Window: 10 * ms,
			}
			if err := l.Tune(c); err != nil {
				t.Error(err)
			}
			l.Snapshot()
			l.Peek(core.Call{})
			runtime.Gosched()
		}
	}()
	wg.Wait()
	close(stop)
	<-tuner
	atRest(t, l)
	s := l.Snapshot()
	if s.Admitted != uint64(admitted.Load()) || s.Admitted+s.Rejected != uint64(calls.Load()) {
		t.Errorf("%d admitted of %d; %+v", admitted.Load(), calls.Load(), s.Status)
	}
	if s.EventPanics == 0 {
		t.Error("the listener has not been called")
	}
}

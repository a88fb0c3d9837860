package breaker

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// gobreaker: the listener was called with the mutex held; asking for the state in it deadlocked.
func TestD20_ListenerMayCallBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *Breaker
		var seen []string
		b = mustNew(t, strict, Hooks{OnEvent: func(e core.Event) {
			seen = append(seen, e.Type.String()+" "+e.To)
			_, _, _ = b.State(), b.Snapshot(), b.Peek(core.Call{})
			call(b, core.Failure)
			switch len(seen) {
			case 1:
				if err := b.Tune(Config{MinCalls: 1, OpenFor: time.Minute, Jitter: core.None}); err != nil {
					t.Error(err)
				}
				if err := b.Override(core.Shadow, 0); err != nil {
					t.Error(err)
				}
				b.Restore()
				b.Reset()
				b.Trip(time.Second)
			}
		}})
		call(b, core.Failure)
		want := "state_changed open, tuned , mode_changed shadow, mode_changed enforce, state_changed closed, state_changed open"
		if got := strings.Join(seen, ", "); got != want {
			t.Errorf("events are\n%s, want\n%s", got, want)
		}
	})
}

// A listener that hangs holds the one call that it was told in; the machine and everybody else go on.
func TestD20_SlowListenerHoldsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang, seen := make(chan struct{}), []string{}
		b := mustNew(t, strict, Hooks{OnEvent: func(e core.Event) { <-hang; seen = append(seen, e.From+">"+e.To) }})
		go call(b, core.Failure)
		synctest.Wait()
		wantReason(t, call(b, core.Success), core.ReasonOpen)
		time.Sleep(10 * time.Second)
		wantReason(t, call(b, core.Success), 0)
		wantState(t, b, Closed)
		if len(seen) != 0 {
			t.Fatalf("seen %v", seen)
		}
		close(hang)
		synctest.Wait()
		if got := strings.Join(seen, " "); got != "closed>open open>half-open half-open>closed" {
			t.Errorf("seen %v", got)
		}
	})
}

// A listener that panics, or ends its goroutine, loses no permit, wherever it was called.
func TestD20_ListenerThatPanicsOrExits(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("listener") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told atomic.Int64
				b := mustKeyed(t, strict, Hooks{OnEvent: func(core.Event) { told.Add(1); end() }})
				key := core.KeyOf("a")
				for range 3 {
					apart(func() { callKey(b, key, core.Failure) }) // opens
					time.Sleep(10 * time.Second)
					apart(func() { callKey(b, key, core.Canceled) }) // half-open: told before the call has its permit
					if s := b.State(key); s != HalfOpen {
						t.Fatalf("state %v", s)
					}
					wantReason(t, b.Peek(core.Call{Key: key}), 0)
					apart(func() { callKey(b, key, core.Success) }) // closes
					if s := b.State(key); s != Closed {
						t.Fatalf("state %v", s)
					}
				}
				if s := b.Snapshot(); told.Load() != 9 || s.EventPanics != 9 {
					t.Errorf("told %d times, of which %d ended badly, want 9", told.Load(), s.EventPanics)
				}
				if pins := b.look(key).pins.Load(); pins != 0 {
					t.Errorf("%d pins are left", pins)
				}
			})
		})
	}
}

// apart runs f in a goroutine of its own until it has ended.
func apart(f func()) {
	go f()
	synctest.Wait()
}

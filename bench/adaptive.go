package main

import (
	"context"
	"fmt"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/adaptivethrottler"
	"github.com/go-kratos/aegis/ratelimit"
	"github.com/go-kratos/aegis/ratelimit/bbr"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/adaptive"
	"github.com/mw-go/mw/core/throttle"
)

func adaptiveRows() []Row {
	return []Row{
		{
			Name: "Adaptive", About: "adaptive limit, never reached: take a permit, record a success",
			Contestants: []Contestant{{Ours, oursAdaptive}, {"failsafe", failsafeAdaptive}, {"aegis", aegisBBR}},
		},
		{
			Name: "Throttle", About: "throttle, nothing rejected so far: ask, record a success",
			Contestants: []Contestant{{Ours, oursThrottle}, {"failsafe", failsafeThrottle}},
		},
	}
}

func oursAdaptive() Subject {
	l, ctx := mw.Must(adaptive.New("bench", adaptive.Config{}, adaptive.Hooks{})), context.Background()
	return Subject{
		Loop: func(_, n int) (admitted int) {
			for range n {
				p, d := l.Acquire(ctx, core.Call{})
				if d.Admitted() {
					admitted++
				}
				p.Done(0, core.Success)
			}
			return admitted
		},
		Check: func(calls int) error {
			if s := l.Snapshot(); s.Running != 0 || s.Admitted != uint64(calls) {
				return errHeld
			}
			return nil
		},
	}
}

func failsafeAdaptive() Subject {
	l := adaptivelimiter.NewWithDefaults[int]()
	return Subject{
		Loop: func(_, n int) (admitted int) {
			for range n {
				if p, ok := l.TryAcquirePermit(); ok {
					admitted++
					p.Record()
				}
			}
			return admitted
		},
		Check: func(int) error {
			if l.Inflight() != 0 {
				return errHeld
			}
			return nil
		},
	}
}

// aegisBBR has its defaults. It sheds only when calls are in flight beyond what it takes for the backend's capacity,
// which two goroutines never are.
func aegisBBR() Subject {
	l := bbr.NewLimiter()
	return Subject{
		Loop: func(_, n int) (admitted int) {
			for range n {
				if done, err := l.Allow(); err == nil {
					admitted++
					done(ratelimit.DoneInfo{})
				}
			}
			return admitted
		},
		Check: func(int) error {
			if l.Stat().InFlight != 0 {
				return errHeld
			}
			return nil
		},
	}
}

func oursThrottle() Subject {
	t, ctx := mw.Must(throttle.New("bench", throttle.Config{}, throttle.Hooks{})), context.Background()
	return Subject{
		Loop: func(_, n int) (admitted int) {
			for range n {
				p, d := t.Acquire(ctx, core.Call{})
				if d.Admitted() {
					admitted++
				}
				p.Done(0, core.Success)
			}
			return admitted
		},
		Check: func(calls int) error {
			if s := t.Snapshot(); s.Classes[1].Accepts != int64(calls) {
				return fmt.Errorf("%d successes in the window after %d calls", s.Classes[1].Accepts, calls)
			}
			return nil
		},
	}
}

func failsafeThrottle() Subject {
	t := adaptivethrottler.NewWithDefaults[int]()
	return Subject{
		Loop: func(_, n int) (admitted int) {
			for range n {
				if t.TryAcquirePermit() {
					admitted++
				}
				t.RecordSuccess()
			}
			return admitted
		},
		Check: func(int) error {
			if t.RejectionRate() != 0 {
				return errHeld
			}
			return nil
		},
	}
}

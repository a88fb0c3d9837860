package adaptive

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

func tune(t *testing.T, l *Limiter, c Config) {
	t.Helper()
	if err := l.Tune(c); err != nil {
		t.Fatal(err)
	}
}

func TestTune(t *testing.T) {
	t.Run("below in flight it drains", func(t *testing.T) {
		c := fixed(4)
		c.Queue = core.None
		l := limiter(t, c)
		var out []*core.Permit
		for range 4 {
			out = append(out, enter(t, l, core.Call{}))
		}
		c.InitialLimit, c.MinLimit, c.MaxLimit = 2, 2, 2
		tune(t, l, c)
		for i, p := range out {
			if _, d := l.Acquire(bg, core.Call{}); (d.Reason == 0) != (i > 2) {
				t.Errorf("with %d running of 2: %+v", 4-i, d)
			}
			p.Done(0, core.Success)
		}
	})
	t.Run("growth wakes those who fit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := limiter(t, fixed(1))
			enter(t, l, core.Call{})
			_, first := queueUp(bg, l, core.Call{})
			p, second := queueUp(bg, l, core.Call{})
			_, third := queueUp(bg, l, core.Call{})
			tune(t, l, fixed(3))
			<-first
			<-second
			still(t, third)
			p.Done(0, core.Success)
			<-third
		})
	})
	t.Run("a limit found grows on its own and wakes too", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := limiter(t, Config{InitialLimit: 1, MinLimit: 1, MinSamples: 1, QueueInterval: time.Minute})
			for range 100 {
				p := enter(t, l, core.Call{})
				time.Sleep(50 * ms)
				p.Done(0, core.Success)
			}
			if s := l.Snapshot(); s.Limit < 2 || s.Limit > 3 { // one call at once has been seen, so three are the most
				t.Errorf("limit %d", s.Limit)
			}
		})
	})
	t.Run("what was found stays", func(t *testing.T) {
		l := limiter(t, Config{})
		l.m.control = control{limit: 77, base: baseline{value: 5e6, windows: warmUp}, peak: 50}
		tune(t, l, Config{Algorithm: Vegas, MaxLimit: 500})
		if s := l.Snapshot(); s.Limit != 77 || s.Baseline != 5*ms {
			t.Errorf("%+v", s)
		}
		tune(t, l, Config{MaxLimit: 60})
		if s := l.Snapshot(); s.Limit != 60 || s.Config.MaxLimit != 60 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("a bad one changes nothing", func(t *testing.T) {
		l := limiter(t, Config{})
		before := l.Config()
		if err := l.Tune(Config{MinLimit: -1, Mode: core.ForcedOpen}); err == nil || l.Config() != before {
			t.Errorf("%v, %+v", err, l.Config())
		}
	})
}

func TestShadow(t *testing.T) {
	c := fixed(1)
	c.Mode = core.Shadow
	l := limiter(t, c)
	p := enter(t, l, core.Call{})
	over := new(core.Permit)
	d := acquire(bg, l, core.Call{}, over)
	if !d.Admitted() || d.Reason.Base() != core.ReasonFull || l.Peek(core.Call{}).Reason != d.Reason {
		t.Fatalf("%+v", d)
	}
	if s := l.Snapshot(); s.Running != 2 || s.Shadowed != 1 || s.Admitted != 2 || s.Rejected != 0 {
		t.Errorf("%d running, %+v", s.Running, s.Status)
	}
	p.Done(0, core.Success)
	if d := acquire(bg, l, core.Call{}, p); d.Reason != 0 { // the call beside charges nothing
		t.Errorf("%+v", d)
	}
	p.Done(0, core.Success)
	over.Done(0, core.Success)
	atRest(t, l)
}

func TestDisabledCountsInFlight(t *testing.T) {
	c := fixed(1)
	c.Mode = core.Disabled
	l := limiter(t, c)
	var out []*core.Permit
	for i := range 5 {
		out = append(out, enter(t, l, core.Call{Cost: 2}))
		if s := l.Snapshot(); s.Running != int64(2*i+2) || s.Admitted != uint64(i+1) {
			t.Errorf("%d running, %+v", s.Running, s.Status)
		}
	}
	if d := l.Peek(core.Call{}); d.Reason != 0 || d.Remaining != -1 {
		t.Errorf("%+v", d)
	}
	if err := l.Override(core.Enforce, 0); err != nil {
		t.Fatal(err)
	}
	enter(t, l, core.Call{}).Done(0, core.Success)
	for _, p := range out {
		p.Done(0, core.Success)
	}
	atRest(t, l)
}

// TestModesSwitchUnderWaiters: whoever waits runs at once when the mode bounds nothing any more.
func TestModesSwitchUnderWaiters(t *testing.T) {
	for _, mode := range []core.Mode{core.Shadow, core.Disabled} {
		synctest.Test(t, func(t *testing.T) {
			l := limiter(t, fixed(1))
			p := enter(t, l, core.Call{})
			q, end := queueUp(bg, l, core.Call{})
			if err := l.Override(mode, time.Second); err != nil {
				t.Fatal(err)
			}
			if d := <-end; d.Reason != 0 || d.Remaining != -1 {
				t.Errorf("%v: %+v", mode, d)
			}
			if s := l.Snapshot(); s.Running != 2 || s.Admitted != 2 || !s.Overridden {
				t.Errorf("%v: %d running, %+v", mode, s.Running, s.Status)
			}
			time.Sleep(time.Second) // and enforced again
			third, end := queueUp(bg, l, core.Call{})
			q.Done(0, core.Success)
			still(t, end) // its slot was never this limiter's
			p.Done(0, core.Success)
			<-end
			third.Done(0, core.Success)
			l.Restore()
			atRest(t, l)
		})
	}
}

func TestOverrideRefusesModesOfBreakers(t *testing.T) {
	l := limiter(t, Config{})
	for _, mode := range []core.Mode{core.ForcedOpen, core.ForcedClosed, 99} {
		if err := l.Override(mode, 0); err == nil || !strings.Contains(err.Error(), "enforce|shadow|disabled") {
			t.Errorf("Override(%v): %v", mode, err)
		}
	}
}

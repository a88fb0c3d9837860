package breaker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

func tune(t *testing.T, b *Breaker, c Config) {
	t.Helper()
	if err := b.Tune(c); err != nil {
		t.Fatal(err)
	}
}

func TestTuneMovesTheEndOfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, strict, Hooks{})
		call(b, core.Failure)
		era := b.Snapshot().Era
		time.Sleep(2 * time.Second)
		c := strict
		c.OpenFor = time.Minute
		tune(t, b, c)
		if d := call(b, core.Success); d.RetryAfter != 58*time.Second {
			t.Errorf("longer: retry after %v, want 58s", d.RetryAfter)
		}
		c.OpenFor = time.Second
		tune(t, b, c)
		wantReason(t, b.Peek(core.Call{}), 0)
		if s := b.Snapshot(); s.State != Open || s.Era != era {
			t.Errorf("%v in era %d: a Tune changes no state", s.State, s.Era)
		}
		wantReason(t, call(b, core.Success), 0)
		wantState(t, b, Closed)

		b.Trip(30 * time.Second)
		tune(t, b, strict)
		if d := call(b, core.Success); d.RetryAfter != 30*time.Second {
			t.Errorf("a Trip of 30s became one of %v", d.RetryAfter)
		}
	})
}

// A Tune that comes while a call is about to open the breaker must not be missed by it: the open time would be that of
// the old settings for as long as it lasts.
func TestOpeningUsesTheSettingsInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, strict, Hooks{})
		old := b.live.Load() // what a call has read before
		c := strict
		c.OpenFor = time.Second
		tune(t, b, c)
		b.own.fail(b.own.phase.Load(), old, core.Now())
		if d := call(b, core.Success); d.Reason != core.ReasonOpen || d.RetryAfter != time.Second {
			t.Errorf("%+v, want open for 1s", d)
		}
	})
}

func TestTuneKeepsCountsAndMovesThemToTheNewWindow(t *testing.T) {
	for _, tt := range []struct {
		window           time.Duration
		least, most, bad int64 // results kept: good from least to most
	}{{time.Hour, 8, 8, 1}, {20 * time.Second, 8, 8, 1}, {11 * time.Second, 8, 8, 1}, {5 * time.Second, 3, 5, 1}, {time.Second, 0, 1, 1}} {
		synctest.Test(t, func(t *testing.T) {
			c := Config{MinCalls: 100}
			b := mustNew(t, c, Hooks{})
			for range 8 {
				call(b, core.Success)
				time.Sleep(time.Second)
			}
			call(b, core.Failure)
			c.Window = tt.window
			tune(t, b, c)
			if s := b.Snapshot(); s.Good < tt.least || s.Good > tt.most || s.Bad != tt.bad || s.InARow != 1 {
				t.Errorf("window %v: %d good, %d bad; want %d to %d, and %d", tt.window, s.Good, s.Bad, tt.least, tt.most, tt.bad)
			}
		})
	}
}

// A longer window begins to fill with the first result after the Tune, whatever that is.
func TestSuccessesFillALongerWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Config{MinCalls: 10, Window: time.Second}
		b := mustNew(t, c, Hooks{})
		c.Window = time.Hour
		tune(t, b, c)
		for range 20 {
			call(b, core.Success)
			time.Sleep(time.Minute)
		}
		for range 10 {
			call(b, core.Failure)
		}
		if s := b.Snapshot(); s.State != Closed || s.Good != 20 || s.Bad != 10 {
			t.Errorf("%v after %d good and %d bad of an hour, want closed after 20 and 10", s.State, s.Good, s.Bad)
		}
	})
}

func TestTuneThresholdsJudgeKeptCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, Config{FailureRate: core.None}, Hooks{})
		for range 50 {
			call(b, core.Failure)
		}
		wantState(t, b, Closed)
		tune(t, b, Config{ConsecutiveFailures: 40})
		wantState(t, b, Closed) // not the Tune itself, the next failure opens
		call(b, core.Failure)
		wantState(t, b, Open)
	})
}

func TestTuneProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Config{MinCalls: 1, Jitter: core.None, Probes: 4, ProbesAtOnce: 1, ProbeSuccesses: 4}
		b := mustNew(t, c, Hooks{})
		b.Trip(time.Second)
		time.Sleep(time.Second)
		first := enter(t, b)
		wantReason(t, b.Peek(core.Call{}), core.ReasonProbing)
		c.ProbesAtOnce = 3
		tune(t, b, c)
		second, third := enter(t, b), enter(t, b) // at once: growth needs no event
		wantReason(t, b.Peek(core.Call{}), core.ReasonProbing)
		c.ProbesAtOnce = 1
		tune(t, b, c)
		first.Done(0, core.Success)
		second.Done(0, core.Success)
		wantReason(t, b.Peek(core.Call{}), core.ReasonProbing) // it drains
		c.ProbeSuccesses = 2
		tune(t, b, c)
		wantState(t, b, HalfOpen)
		wantReason(t, call(b, core.Success), 0) // the votes suffice now; the next call finds out
		wantState(t, b, Closed)
		third.Done(0, core.Failure)
		wantState(t, b, Closed)
	})
}

func TestTuneLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := strict
		b := mustNew(t, c, Hooks{})
		b.Trip(time.Second)
		time.Sleep(time.Second)
		enter(t, b)
		time.Sleep(time.Second)
		c.ProbeTimeout = time.Second
		tune(t, b, c)
		if peek, d := b.Peek(core.Call{}), call(b, core.Success); peek.Reason != core.ReasonOpen || d.Reason != core.ReasonOpen {
			t.Errorf("peek %v, call %v: want open, by a lease that is over now", peek.Reason, d.Reason)
		}
	})
}

func TestTuneToTheSameIsNoEvent(t *testing.T) {
	var events []core.Event
	b := mustNew(t, steady, Hooks{OnEvent: func(e core.Event) { events = append(events, e) }})
	explicit := steady
	explicit.Window, explicit.Probes, explicit.ProbeSuccesses = 10*time.Second, 5, 3 // the defaults, spelt out
	tune(t, b, steady)
	tune(t, b, explicit)
	if len(events) != 0 {
		t.Errorf("events %+v", events)
	}
	explicit.Probes = 7
	if err := b.Tune(Config{Probes: -1}); err == nil || b.Config().Probes != 5 {
		t.Errorf("error %v, probes %d", err, b.Config().Probes)
	}
	commit, err := b.Prepare(explicit)
	if err != nil || b.Config().Probes != 5 || len(events) != 0 {
		t.Errorf("Prepare: error %v, probes %d, %d events", err, b.Config().Probes, len(events))
	}
	commit()
	if b.Config().Probes != 7 || len(events) != 1 || events[0].Type != core.Tuned || events[0].By.Name != "test" {
		t.Errorf("probes %d, events %+v", b.Config().Probes, events)
	}
}

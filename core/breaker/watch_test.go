package breaker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// exact opens as soon as one judgement finds that half of two calls took more than 100ms.
var exact = Config{
	MinCalls: 2, Jitter: core.None, OpenFor: 10 * time.Second,
	Latency: Latency{Watch: true, SlowCall: 100 * time.Millisecond, Slowdown: core.None, Confirm: 1, ConfirmOf: 1},
}

// after makes a call that takes d and ends with o.
func after(t *testing.T, g core.Guard, d time.Duration, o core.Outcome) {
	t.Helper()
	p := enter(t, g)
	time.Sleep(d)
	p.Done(0, o)
}

// together makes n calls at once, which take d.
func together(t *testing.T, g core.Guard, n int, d time.Duration) {
	t.Helper()
	permits := make([]*core.Permit, n)
	for i := range permits {
		permits[i] = enter(t, g)
	}
	time.Sleep(d)
	for _, p := range permits {
		p.Done(0, core.Success)
	}
}

// judged lets a slice pass, so that the next call is a judgement, makes that call and reports whether it was admitted.
func judged(g core.Guard) bool {
	time.Sleep(200 * time.Millisecond)
	return call(g, core.Ignored).Admitted()
}

func TestOutcomesAndDurations(t *testing.T) {
	const slow, fast = 101 * time.Millisecond, 100 * time.Millisecond
	for _, tt := range []struct {
		name  string
		o     core.Outcome
		takes time.Duration
		opens bool
		bad   int64 // results in the failure window after two calls
	}{
		{"slow successes", core.Success, slow, true, 0},
		{"a success that takes the threshold is not slow", core.Success, fast, false, 0},
		{"L4: callers who leave slow calls", core.Canceled, slow, true, 0},
		{"callers who leave early", core.Canceled, 99 * time.Millisecond, false, 0},
		{"slow failures are for the failure rate", core.Failure, slow, false, 2},
		{"overload", core.Overload, slow, false, 0},
		{"our own rejections", core.Ignored, slow, false, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := exact
			c.FailureRate = core.None
			b := mustNew(t, c, Hooks{})
			for range 2 {
				after(t, b, tt.takes, tt.o)
			}
			if got := b.Snapshot().Bad; got != tt.bad {
				t.Errorf("%s: %d failures, want %d", tt.name, got, tt.bad)
			}
			if opens := !judged(b); opens != tt.opens {
				t.Errorf("%s: opens is %v, want %v", tt.name, opens, tt.opens)
			}
			if n := b.Snapshot().Latency.InFlight; n != 0 {
				t.Errorf("%s: %d calls in flight", tt.name, n)
			}
		})
	}
}

// A deadline of the caller's that passes on a call that was slow already is the dependency's failure; on a quick one it
// was too short.
func TestExpiredAfterTheThresholdIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := exact
		c.FailureRate = core.None
		b := mustNew(t, c, Hooks{})
		after(t, b, 50*time.Millisecond, core.Expired)
		if bad := b.Snapshot().Bad; bad != 0 {
			t.Errorf("%d failures after a short deadline", bad)
		}
		after(t, b, 150*time.Millisecond, core.Expired)
		if snap := b.Snapshot(); snap.Bad != 1 || snap.Outcomes[core.Expired] != 2 || snap.Outcomes[core.Timeout] != 0 {
			t.Errorf("%d failures, outcomes %v", snap.Bad, snap.Outcomes)
		}
	})
}

// Calls that hang count while they run, and once only: not again when they end.
func TestOverdueCallsCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := exact
		c.MinCalls = 10
		b := mustNew(t, c, Hooks{})
		var hung []*core.Permit
		for range 4 {
			hung = append(hung, enter(t, b))
		}
		time.Sleep(time.Second)
		for range 5 {
			call(b, core.Success)
		}
		if first, second := judged(b), judged(b); !first || !second {
			t.Error("opened: four overdue calls and five quick ones are nine, fewer than ten")
		}
		if l := b.Snapshot().Latency; l.Overdue != 4 || l.InFlight != 4 || l.Count != 5 {
			t.Errorf("%+v", l)
		}
		for _, p := range hung {
			p.Done(0, core.Success)
		}
		if !judged(b) {
			t.Error("opened: still nine calls")
		}
		if l := b.Snapshot().Latency; l.Overdue != 0 || l.InFlight != 0 || l.Count != 9 {
			t.Errorf("%+v", l)
		}
	})
}

// The first response of a stream is its latency, and ends "overdue"; the stream may last.
func TestProgressIsTheLatencyOfAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, exact, Hooks{})
		for range 4 {
			p := enter(t, b)
			defer p.Done(0, core.Success)
			time.Sleep(10 * time.Millisecond)
			p.Progress(0)
		}
		time.Sleep(time.Minute)
		if !judged(b) {
			t.Error("streams that answered at once have opened it")
		}
		if l := b.Snapshot().Latency; l.InFlight != 0 || l.Overdue != 0 {
			t.Errorf("%+v", l)
		}
		p := enter(t, b)
		time.Sleep(20 * time.Millisecond)
		p.Progress(0)
		time.Sleep(time.Second)
		p.Done(0, core.Success)
		if n := b.Snapshot().Latency.Count; n != 1 {
			t.Errorf("%d durations of one stream", n)
		}
	})
}

// A wait in a later guard is not the dependency's.
func TestRestartBeginsTheCallAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, exact, Hooks{})
		for range 2 {
			p := enter(t, b)
			time.Sleep(time.Second)
			p.Restart(0)
			p.Done(0, core.Success)
		}
		if !judged(b) {
			t.Error("opened by waits elsewhere")
		}
	})
}

// L5: a probe that succeeds slowly votes against closing; one that its caller leaves late as well.
func TestSlowProbesFail(t *testing.T) {
	for _, o := range []core.Outcome{core.Success, core.Canceled, core.Expired} {
		for _, slow := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				c := exact
				c.Probes = 1
				b := mustNew(t, c, Hooks{})
				b.Trip(time.Second)
				time.Sleep(time.Second)
				takes := 50 * time.Millisecond
				if slow {
					takes = 150 * time.Millisecond
				}
				after(t, b, takes, o)
				want := HalfOpen // no verdict
				switch {
				case slow:
					want = Open
				case o == core.Success:
					want = Closed
				}
				if got := b.State(); got != want {
					t.Errorf("a probe ends with %v after %v: %v, want %v", o, takes, got, want)
				}
			})
		}
	}
}

// Thresholds change live and keep the history: what was fast enough yesterday is too slow at once.
func TestTuneOfThresholdsKeepsHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, exact, Hooks{})
		for range 10 {
			after(t, b, 80*time.Millisecond, core.Success)
		}
		if !judged(b) {
			t.Fatal("opened")
		}
		c := exact
		c.Latency.SlowCall = 40 * time.Millisecond
		c.Latency.Window = 4 * time.Second
		if err := b.Tune(c); err != nil {
			t.Fatal(err)
		}
		if judged(b) {
			t.Error("ten calls of 80ms are forgotten")
		}
		if cause := b.Snapshot().Cause; cause != "slow calls" {
			t.Errorf("cause %q", cause)
		}
	})
}

// The switch can be thrown with calls in flight, both ways, and every one of them is settled.
func TestSwitchingWatchLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := exact
		on.Latency.SlowCall = time.Second
		off := on
		off.Latency.Watch = false
		b := mustNew(t, off, Hooks{})
		var running []*core.Permit
		for i := range 8 {
			running = append(running, enter(t, b))
			c := on
			c.Latency.Watch = i%2 == 0
			if err := b.Tune(c); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Millisecond)
		}
		for _, p := range running {
			p.Done(0, core.Success)
		}
		if err := b.Tune(on); err != nil {
			t.Fatal(err)
		}
		after(t, b, 0, core.Success)
		snap := b.Snapshot()
		if snap.Latency.InFlight != 0 || snap.Good != 9 {
			t.Errorf("%d in flight, %d results, want none and 9", snap.Latency.InFlight, snap.Good)
		}
		if b.Latencies().Count() == 0 {
			t.Error("no durations")
		}
	})
}

// Without Watch, and in mode disabled, nothing is judged any more, whatever the calls that were watched are like.
func TestSwitchedOffRulesOpenNothing(t *testing.T) {
	for name, off := range map[string]func(b *Breaker) error{
		"watch": func(b *Breaker) error {
			c := exact
			c.Latency.Watch = false
			return b.Tune(c)
		},
		"mode": func(b *Breaker) error { return b.Override(core.Disabled, 0) },
	} {
		synctest.Test(t, func(t *testing.T) {
			b := mustNew(t, exact, Hooks{})
			var running []*core.Permit
			for range 4 {
				running = append(running, enter(t, b))
			}
			time.Sleep(500 * time.Millisecond)
			if err := off(b); err != nil {
				t.Fatal(err)
			}
			for _, p := range running {
				p.Done(0, core.Success)
				time.Sleep(200 * time.Millisecond)
			}
			call(b, core.Success)
			if b.State() != Closed {
				t.Errorf("%s: opened: %s", name, b.Snapshot().Cause)
			}
			if w := b.own.phase.Load().pace.Load(); w.InFlight() != 0 {
				t.Errorf("%s: %d calls in flight", name, w.InFlight())
			}
		})
	}
}

// A call that has read its settings just before the breaker is disabled, the first of its phase, is admitted all the same.
func TestDisabledInTheMiddleOfACall(t *testing.T) {
	b := mustNew(t, watching, Hooks{})
	if err := b.Override(core.Disabled, 0); err != nil {
		t.Fatal(err)
	}
	var d core.Decision
	p, ok := b.own.enter(b.own.phase.Load(), &d)
	if !ok {
		t.Error("not admitted, and asked again for ever")
	}
	p.Done(0, core.Success)
}

func TestModesAndSlowness(t *testing.T) {
	for _, tt := range []struct {
		mode   core.Mode
		opens  bool // by itself
		admits bool // after that
	}{
		{core.Enforce, true, false}, {core.Shadow, true, true}, {core.ForcedClosed, false, true}, {core.Disabled, false, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := exact
			c.Mode = tt.mode
			b := mustNew(t, c, Hooks{})
			together(t, b, 2, 150*time.Millisecond)
			admitted := judged(b)
			if admitted != tt.admits || (b.State() != Closed) != tt.opens {
				t.Errorf("%v: admitted %v, state %v", tt.mode, admitted, b.State())
			}
		})
	}
}

// Slowness is judged when a call ends as well: a single slow client opens it without another call.
func TestJudgedAtTheEndOfACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, exact, Hooks{})
		after(t, b, 250*time.Millisecond, core.Success)
		after(t, b, 250*time.Millisecond, core.Success)
		wantState(t, b, Open)
	})
}

func TestPeekSeesWhatAJudgementWouldSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, exact, Hooks{})
		together(t, b, 2, 150*time.Millisecond)
		time.Sleep(50 * time.Millisecond)
		if d := b.Peek(core.Call{}); d.Reason != core.ReasonOpen || d.RetryAfter != 10*time.Second {
			t.Errorf("Peek: %v after %v", d.Reason, d.RetryAfter)
		}
		wantState(t, b, Closed)
	})
}

// Reset forgets the baseline, for a dependency that has become slower for good.
func TestResetForgetsTheBaseline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, watching, Hooks{})
		for range 1000 {
			after(t, b, 10*time.Millisecond, core.Success)
		}
		if l := b.Snapshot().Latency; l.Baseline < 9*time.Millisecond || l.Baseline > 11*time.Millisecond || l.Limit != 3*l.Baseline {
			t.Errorf("%+v", l)
		}
		b.Trip(time.Second)
		if l := b.Snapshot().Latency; l.Baseline == 0 {
			t.Error("opening forgets the baseline")
		}
		b.Reset()
		if l := b.Snapshot().Latency; l.Baseline != 0 || l.Limit != core.Never {
			t.Errorf("%+v after Reset", l)
		}
	})
}

// A key keeps what it has learned for a while without calls, and then gives its place to others.
func TestIdleKeysKeepTheirBaselineForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := watching
		c.MaxKeys = 1
		b := mustKeyed(t, c, Hooks{})
		k := core.KeyOf("a")
		for range 1000 {
			p := new(core.Permit)
			acquire(b, core.Call{Key: k}, p)
			time.Sleep(10 * time.Millisecond)
			p.Done(0, core.Success)
		}
		time.Sleep(30 * time.Second)
		cl := b.look(k)
		if cl.idle(core.Now()) {
			t.Error("idle after three windows, with a baseline")
		}
		if b.Latencies(k).Count() != 0 || b.Latencies(core.KeyOf("never seen")).Count() != 0 {
			t.Error("durations have not expired")
		}
		time.Sleep(streak * 10 * time.Second)
		if !cl.idle(core.Now()) {
			t.Error("not idle after ten windows")
		}
	})
}

// Every run is one judgement, and two calls.
func TestWatchingDoesNotAllocate(t *testing.T) {
	b := mustNew(t, watching, Hooks{})
	now := core.Now()
	n := testing.AllocsPerRun(1000, func() {
		now = now.Add(200 * time.Millisecond)
		p, _ := b.Acquire(bg, core.Call{Now: now})
		p.Progress(now + 10)
		p.Done(now+20, core.Success)
		q, _ := b.Acquire(bg, core.Call{Now: now})
		q.Done(now+20, core.Success)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

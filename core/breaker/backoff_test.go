package breaker

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

func TestOpenTimesFlatThenDoubling(t *testing.T) {
	want := func(factor float64, flat int, secs ...float64) (times []time.Duration) {
		for range flat {
			times = append(times, time.Duration(factor*5e9))
		}
		for _, s := range secs {
			times = append(times, time.Duration(factor*s*1e9))
		}
		return times
	}
	for _, tt := range []struct {
		config Config
		jitter float64
		want   []time.Duration
	}{
		{Config{}, 0.5, want(1, 6, 10, 20, 40, 80, 160, 300, 300, 300)},
		{Config{}, 0, want(0.8, 6, 10, 20, 40, 80, 160, 300, 300, 300)},
		{Config{}, 0.75, want(1.1, 6, 10, 20, 40, 80, 160, 300, 300, 300)},
		{Config{FlatReopenings: core.None, Jitter: core.None}, 0.9, want(1, 1, 10, 20, 40, 80, 160, 300, 300)},
		{Config{FlatReopenings: 1, Jitter: 0.5}, 0, want(0.5, 2, 10, 20, 40, 80, 160, 300)},
		{Config{OpenFor: 5 * sec, MaxOpenFor: 1 * sec, Jitter: core.None}, 0, want(1, 9)},
	} {
		if got := opens(t, tt.config, len(tt.want), tt.jitter); !slices.Equal(got, tt.want) {
			t.Errorf("%+v, jitter %v: open for\n%v, want\n%v", tt.config, tt.jitter, got, tt.want)
		}
	}
	if times := opens(t, Config{MaxOpenFor: 24 * time.Hour}, 3000, 0.999999); times[2999] > 29*time.Hour || times[2999] < 28*time.Hour {
		t.Errorf("opening 3000 lasts %v, want just under 28h48m", times[2999])
	}
}

func TestOpeningsAreForgottenAfterAStableWindow(t *testing.T) {
	for _, tt := range []struct {
		closed time.Duration
		want   time.Duration
	}{{9 * sec, 20 * sec}, {10 * sec, 10 * sec}} {
		for _, how := range []string{"open", "trip"} {
			c := plain
			c.FlatReopenings = core.None
			x := newModel(c, 0)
			x.to(x.m.open(&x.config, 0, 0, "failure rate"))
			p, _, _ := x.acquire(x.m.until)
			q, _, _ := x.acquire(x.m.until)
			x.settle(p, x.m.since, success)
			x.settle(q, x.m.since, success)
			now := x.m.since.Add(tt.closed)
			if how == "trip" {
				x.trip(now, sec)
				x.to(x.m.reset(now.Add(1)))
				if x.m.opened != 0 {
					t.Error("Reset keeps the count of openings")
				}
				continue
			}
			x.to(x.m.open(&x.config, now, 0, "failure rate"))
			if got := x.m.until.Sub(now); got != tt.want {
				t.Errorf("closed for %v: opened for %v, want %v", tt.closed, got, tt.want)
			}
		}
	}
}

func TestTripCountsAsOneOpening(t *testing.T) {
	x := newModel(Config{}, 0)
	for i := range 100 { // every reply of an overloaded dependency may ask for it
		x.trip(core.Time(i), sec)
	}
	if x.m.opened != 1 || x.m.era != 1 {
		t.Errorf("a hundred Trips count as %d openings in era %d, want 1 in era 1", x.m.opened, x.m.era)
	}
	x.to(x.m.reset(1e9))
	x.m.opened = 9
	x.trip(x.m.since.Add(10*sec), sec)
	if x.m.opened != 1 {
		t.Errorf("after a stable window a Trip is opening %d, want the first", x.m.opened)
	}
}

func TestTimeRunningBackwardsStandsStill(t *testing.T) {
	x := newModel(plain, 1000)
	x.to(x.m.open(&x.config, 10, 0, "failure rate")) // before it was made
	if x.m.since != 1000 || x.m.until != core.Time(1000).Add(10*sec) {
		t.Fatalf("since %d until %d", x.m.since, x.m.until)
	}
	if _, reason, after := x.acquire(-5e9); reason != isOpen || after != 10*sec {
		t.Errorf("a call of long ago gets %v after %v, want open after 10s", reason, after)
	}
	p, _, _ := x.acquire(x.m.until)
	began := x.m.since
	q, _, _ := x.acquire(0)
	if x.m.probe.started[q.place] != began {
		t.Errorf("a probe began at %d, before the half-open state", x.m.probe.started[q.place])
	}
	x.settle(p, 0, failure)
	x.settle(q, 0, failure)
	if x.m.state != Open || x.m.since != began {
		t.Errorf("%v since %d, want open since %d", x.m.state, x.m.since, began)
	}
	x.reset(0)
	if x.m.since != began {
		t.Errorf("closed since %d, want %d", x.m.since, began)
	}
	check(t, x.m, &x.config)
}

func TestHugeGapForward(t *testing.T) {
	x := newModel(Config{MinCalls: 2, Jitter: core.None}, math.MinInt64+1)
	permit, _, _ := x.acquire(math.MinInt64 + 1)
	x.settle(permit, math.MinInt64+1, failure)
	gap := core.Time(math.MinInt64 + 1).Add(5 * 365 * 24 * time.Hour)
	if sum := x.ring.Sum(x.layout, gap); sum.Total() != 0 {
		t.Errorf("five years later the window holds %+v", sum)
	}
	permit, _, _ = x.acquire(math.MaxInt64)
	x.settle(permit, math.MaxInt64, success)
	x.to(x.m.open(&x.config, math.MaxInt64-10, 0, "failure rate"))
	check(t, x.m, &x.config)
	if x.m.until != math.MaxInt64 {
		t.Errorf("until %d, want the end of time", x.m.until)
	}
}

func TestLeaseOfAProbe(t *testing.T) {
	for _, tt := range []struct {
		config Config
		double float64
		want   time.Duration
	}{
		{Config{}, 1, 5 * sec},
		{Config{OpenFor: time.Millisecond}, 1, 5 * sec},
		{Config{OpenFor: 7 * sec}, 2, 14 * sec},
		{Config{OpenFor: 7 * sec}, math.Inf(1), 300 * sec},
		{Config{OpenFor: 7 * sec, ProbeTimeout: 1}, 8, 1},
	} {
		x := newModel(tt.config, 0)
		x.m.double = tt.double
		if got := x.m.lease(&x.config); got != tt.want {
			t.Errorf("%+v after %v doublings: %v, want %v", tt.config, tt.double, got, tt.want)
		}
	}
}

// A lease that never grew would lose every probe of a dependency that takes longer than it, and the breaker would never
// close although each call succeeds.
func TestSlowProbesCloseInTheEnd(t *testing.T) {
	x := newModel(Config{}, 0)
	x.to(x.m.open(&x.config, 0, 0, "failure rate"))
	type running struct {
		p   *modelPermit
		end core.Time
	}
	var out []running
	for now := core.Time(0); now < core.Time(time.Hour); now += core.Time(sec) {
		out = slices.DeleteFunc(out, func(r running) bool {
			if now >= r.end {
				x.settle(r.p, now, success)
			}
			return now >= r.end
		})
		if x.m.state == Closed {
			return
		}
		for range 5 {
			if p, reason, _ := x.acquire(now); reason == 0 {
				out = append(out, running{p, now.Add(30 * sec)})
			}
		}
	}
	t.Error("after an hour of successful calls of 30s the breaker is not closed")
}

// A Tune may make the votes suffice, or the wanted number unreachable, while nothing runs that could notice.
func TestTuneDecidesHalfOpenAtTheNextCall(t *testing.T) {
	wide := Config{MinCalls: 2, Jitter: core.None, Probes: 10, ProbesAtOnce: 10, ProbeSuccesses: 8}
	for _, tt := range []struct {
		passed, failed int
		tuned          Config
		want           State
		reason         core.Reason
	}{
		{3, 2, Config{Jitter: core.None, Probes: 5, ProbeSuccesses: 5}, Open, isOpen},
		{3, 0, Config{Jitter: core.None, Probes: 3, ProbeSuccesses: 3}, Closed, 0},
		{2, 1, Config{Jitter: core.None, Probes: 4, ProbeSuccesses: 3}, HalfOpen, 0},
		{0, 2, Config{Jitter: core.None, Probes: 1}, Open, isOpen},
	} {
		x := newModel(wide, 0)
		x.trip(0, sec)
		for i := range tt.passed + tt.failed {
			p, _, _ := x.acquire(core.Time(sec))
			x.settle(p, core.Time(sec), map[bool]core.Outcome{true: success, false: failure}[i < tt.passed])
		}
		wantState(t, x, HalfOpen)
		x.tune(tt.tuned)
		check(t, x.m, &x.config)
		if _, reason, _ := x.acquire(core.Time(2 * sec)); x.m.state != tt.want || reason != tt.reason {
			t.Errorf("%d passed, %d failed, then %d of %d: %v, %v, want %v", tt.passed, tt.failed,
				tt.tuned.ProbeSuccesses, tt.tuned.Probes, x.m.state, reason, tt.want)
		}
		check(t, x.m, &x.config)
	}
}

// State makes a model look like a breaker.
func (x *model) State() State { return x.m.state }

func TestStateNames(t *testing.T) {
	if got := fmt.Sprint(Closed, Open, HalfOpen, State(9)); got != "closed open half-open unknown" {
		t.Error(got)
	}
}

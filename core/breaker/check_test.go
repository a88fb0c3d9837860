package breaker

import (
	"math/bits"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// check is the one validator of a control: what holds whatever has happened. c is the settings in force, the last that
// retuned has seen.
func check(t testing.TB, m control, c *Config) {
	switch m.state {
	case Closed:
		if m.until != longAgo {
			t.Fatalf("closed, but until is %d", m.until)
		}
	case Open:
		if m.until != m.openAt.Add(m.openTime(c)) {
			t.Fatalf("open until %d, but openAt %d and openTime %v", m.until, m.openAt, m.openTime(c))
		}
		if longest := c.MaxOpenFor + c.MaxOpenFor/2; m.hold == 0 && m.openTime(c) > longest || m.openTime(c) <= 0 {
			t.Fatalf("open time %v is not in (0, %v]", m.openTime(c), longest)
		}
		if m.opened < 1 || m.openAt < m.since {
			t.Fatalf("open, but opened %d times, at %d, since %d", m.opened, m.openAt, m.since)
		}
		if next, a := m.admit(c, m.until-1, 0); m.openAt < m.until && (a.reason != core.ReasonOpen || next.era != m.era) {
			t.Fatalf("open, but a call just before until gets %v", a.reason)
		}
	case HalfOpen:
		if m.until != m.gate(c) {
			t.Fatalf("half-open until %d, but the gate is %d", m.until, m.gate(c))
		}
		if m.until != longAgo && running(m) == 0 {
			t.Fatal("half-open and rejecting with no probe running")
		}
		for place := range uint32(maxAtOnce) {
			if m.probe.running&(1<<place) != 0 && m.probe.started[place] < m.since {
				t.Fatalf("probe %d began at %d, before the half-open state at %d", place, m.probe.started[place], m.since)
			}
		}
	default:
		t.Fatalf("state %d", m.state)
	}
	if m.state != HalfOpen && m.probe != (probes{}) {
		t.Fatalf("%v, but probes are %+v", m.state, m.probe)
	}
	if m.state != Open && m.hold != 0 {
		t.Fatalf("%v, but held for %v", m.state, m.hold)
	}
	if m.probe.running >= 1<<maxAtOnce {
		t.Fatalf("running %b", m.probe.running)
	}
	checkNeverStuck(t, m, c)
}

func running(m control) int { return bits.OnesCount32(m.probe.running) }

// checkProbes holds in an era whose settings have never been wider than c.
func checkProbes(t testing.TB, m control, c *Config) {
	if running(m) > c.ProbesAtOnce {
		t.Fatalf("%d probes run, ProbesAtOnce is %d", running(m), c.ProbesAtOnce)
	}
	if all := running(m) + m.probe.passed + m.probe.failed; all > c.Probes {
		t.Fatalf("%d probes ran, Probes is %d", all, c.Probes)
	}
}

// checkNeverStuck shows that time alone lets a call through: at once when closed, after the open time when open, and
// after the lease and another open time when half-open, even if no probe ever returns.
func checkNeverStuck(t testing.TB, m control, c *Config) {
	now := max(m.since, m.until)
	for range 3 {
		next, a := m.admit(c, now, 0.5)
		if a.reason == 0 {
			return
		}
		m, now = next, max(next.since, next.until)
	}
	t.Fatalf("stuck: %+v", m)
}

// checkStep holds between a control and the next one.
func checkStep(t testing.TB, old, next control) {
	if next.era != old.era && next.era != old.era+1 {
		t.Fatalf("era went from %d to %d in one step", old.era, next.era)
	}
	if next.era == old.era && next.state != old.state {
		t.Fatalf("%v became %v in one era", old.state, next.state)
	}
	if next.since < old.since {
		t.Fatalf("since went back from %d to %d", old.since, next.since)
	}
	if next.era == old.era && next.since != old.since {
		t.Fatal("since moved within an era")
	}
}

// opens returns how long each of n openings in a row lasts when every probe fails, with the given jitter in [0,1).
func opens(t *testing.T, c Config, n int, jitter float64) (times []time.Duration) {
	t.Helper()
	x := newModel(c, 0)
	x.jitter = jitter
	x.to(x.m.open(&x.config, 0, jitter, "failure rate"))
	for range n {
		check(t, x.m, &x.config)
		times = append(times, x.m.until.Sub(x.m.since))
		for now := x.m.until; x.m.state == Open || x.m.state == HalfOpen && now >= x.m.since; {
			p, reason, _ := x.acquire(now)
			if reason != 0 {
				break
			}
			x.settle(p, now, core.Failure)
		}
	}
	return times
}

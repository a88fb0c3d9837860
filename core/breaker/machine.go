package breaker

import (
	"math"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/window"
)

// State is where a breaker stands.
type State uint8

// The states.
const (
	Closed State = iota
	Open
	HalfOpen
)

var stateNames = [...]string{"closed", "open", "half-open"}

// String returns the name used in logs and metrics.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// control is the part of a cell that decides: everything but the counts of the closed state. A plain value: each
// transition takes one and returns the next. Time and randomness are arguments; time that runs backwards stands still.
type control struct {
	state  State
	era    uint32 // one more with every change of state; permits of another era have no vote
	cause  string // of the last change
	since  core.Time
	openAt core.Time     // Open: when the open time began
	double float64       // factor of the open time, kept so that a Tune can move the end
	jitter float64       // another, applied after the cap
	until  core.Time     // before this every call is rejected: the end of open, or of a full half-open's oldest lease
	opened int           // openings since the breaker was last stable
	hold   time.Duration // how long an operator's Trip holds it open; 0 if it opened by itself
	probe  probes
}

const (
	longAgo = core.Time(math.MinInt64)
	never   = core.Time(math.MaxInt64)
)

// admission is what admit decided.
type admission struct {
	reason core.Reason   // 0: admitted
	after  time.Duration // when rejected
	place  uint32        // of a probe; noPlace in the closed state
}

// admit decides on a call at time now.
func (m control) admit(c *Config, now core.Time, jitter float64) (control, admission) {
	now = max(now, m.since)
	switch {
	case m.state == Open && now >= m.until:
		m = m.to(HalfOpen, now, "open time is over")
	case m.state == HalfOpen:
		// Probes vote when they end; that their votes suffice already is the doing of a Tune.
		if m = m.decide(c, now, jitter); m.state == HalfOpen && m.full(c) && now >= m.until {
			m = m.open(c, now, jitter, "probe lost")
		}
	}
	switch {
	case m.state == Closed:
		return m, admission{place: noPlace}
	case m.state == Open:
		return m, admission{reason: core.ReasonOpen, after: m.until.Sub(now)}
	case m.full(c):
		return m, admission{reason: core.ReasonProbing, after: probing(m.until, now)}
	}
	place := m.probe.start(now)
	m.until = m.gate(c)
	return m, admission{place: place}
}

// settle takes a probe's place back and counts its vote. The permit is of this era and the state is half-open.
func (m control) settle(c *Config, now core.Time, place uint32, v vote, jitter float64) control {
	m.probe.end(c, place, v)
	return m.decide(c, max(now, m.since), jitter)
}

// decide leaves the half-open state if the votes suffice.
func (m control) decide(c *Config, now core.Time, jitter float64) control {
	switch {
	case m.probe.passed >= c.ProbeSuccesses:
		return m.to(Closed, now, "probes succeeded")
	case m.probe.failed > c.Probes-c.ProbeSuccesses:
		return m.open(c, now, jitter, "probe failed")
	}
	m.until = m.gate(c)
	return m
}

// tripped says why the closed breaker must open on these counts; empty if it need not.
func tripped(c *Config, sum window.Sum, inARow int64) string {
	if c.ConsecutiveFailures != core.None && inARow >= int64(c.ConsecutiveFailures) {
		return "consecutive failures"
	}
	if c.FailureRate != core.None && sum.Total() >= int64(c.MinCalls) &&
		float64(sum.Bad) >= float64(c.FailureRate)*float64(sum.Total()) {
		return "failure rate"
	}
	return ""
}

// to enters a state with everything of the old one forgotten.
func (m control) to(s State, now core.Time, cause string) control {
	m.state, m.since, m.cause = s, now, cause
	m.era++
	m.hold = 0
	m.probe = probes{}
	m.until = longAgo
	return m
}

// open opens the breaker for OpenFor, doubled by how often it has come back, and jittered.
func (m control) open(c *Config, now core.Time, jitter float64, cause string) control {
	m = m.opening(c, max(now, m.since), cause)
	m.jitter = spread(c, jitter)
	m.until = m.openAt.Add(m.openTime(c))
	return m
}

// trip opens the breaker by hand for d, whatever it was. One that is open stays in its era and ends when d is over.
func (m control) trip(c *Config, now core.Time, d time.Duration) control {
	now = max(now, m.since)
	if m.state != Open {
		m = m.opening(c, now, operator)
	}
	m.cause, m.openAt = operator, now
	m.hold = min(max(d, time.Millisecond), c.MaxOpenFor)
	m.until = now.Add(m.openTime(c))
	return m
}

// operator is the cause of what somebody did by hand.
const operator = "operator"

// opening enters the open state and counts the opening: the first, if the breaker has been closed for a window.
func (m control) opening(c *Config, now core.Time, cause string) control {
	if m.state == Closed && now.Sub(m.since) >= c.Window {
		m.opened = 0
	}
	m = m.to(Open, now, cause)
	m.double = math.Exp2(float64(max(m.opened-int(max(c.FlatReopenings, 0)), 0)))
	m.opened++
	m.openAt = now
	return m
}

// spread maps a random number in [0,1) to the jitter's factor.
func spread(c *Config, jitter float64) float64 {
	if c.Jitter == core.None {
		return 1
	}
	return 1 + float64(c.Jitter)*(2*jitter-1)
}

// backoff is how long this opening lasts under c before jitter.
func (m control) backoff(c *Config) float64 {
	return min(float64(c.OpenFor)*m.double, float64(c.MaxOpenFor))
}

// openTime is how long this opening lasts under c.
func (m control) openTime(c *Config) time.Duration {
	if m.hold > 0 {
		return m.hold
	}
	return time.Duration(m.backoff(c) * m.jitter)
}

// reset closes the breaker by hand. The era changes even if it was closed: calls that run have no vote.
func (m control) reset(now core.Time) control {
	m = m.to(Closed, max(now, m.since), operator)
	m.opened = 0
	return m
}

// retuned moves what depends on the settings. It changes no state: that is for the next call.
func (m control) retuned(c *Config) control {
	switch m.state {
	case Open:
		m.until = m.openAt.Add(m.openTime(c))
	case HalfOpen:
		m.until = m.gate(c)
	}
	return m
}

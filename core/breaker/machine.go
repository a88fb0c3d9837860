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
// transition takes one and returns the next. Time and randomness are arguments.
type control struct {
	state  State
	era    uint32 // one more with every change of state; permits of another era have no vote
	cause  string // of the last change
	since  core.Time
	openAt core.Time     // when the breaker opened (Open)
	double float64       // factor of the open time, kept so that a Tune can move the end
	jitter float64       // another, applied after the cap
	until  core.Time     // before this every call is rejected: the end of open, or of a full half-open's oldest lease
	opened int           // openings since the breaker was last stable
	hold   time.Duration // how long an operator's Trip holds it open; 0 if it opened by itself
	probe  probes
}

// probes is the bookkeeping of the half-open state.
type probes struct {
	running uint32 // bit i: place i is taken
	started [maxAtOnce]core.Time
	passed  int
	failed  int
	neutral int // answers without a verdict, before the first verdict
}

const (
	maxAtOnce = 16
	noPlace   = 1<<5 - 1 // a permit that is no probe
	longAgo   = core.Time(math.MinInt64)
	never     = core.Time(math.MaxInt64)
	patience  = 10 // neutral answers a probe that are taken for a success
)

// admission is what admit decided.
type admission struct {
	reason core.Reason   // 0: admitted
	after  time.Duration // when rejected
	place  uint32        // of a probe; noPlace in the closed state
}

// admit decides on a call at time now.
func (m control) admit(c *Config, now core.Time, jitter float64) (control, admission) {
	switch m.state {
	case Closed:
		return m, admission{place: noPlace}
	case Open:
		if now < m.until {
			return m, admission{reason: core.ReasonOpen, after: m.until.Sub(now)}
		}
		m = m.to(HalfOpen, now, "open time is over")
	case HalfOpen:
		if now >= m.until && m.full(c) {
			m = m.open(c, now, jitter, "probe lost")
			return m, admission{reason: core.ReasonOpen, after: m.until.Sub(now)}
		}
	}
	if m.full(c) {
		return m, admission{reason: core.ReasonProbing, after: probing(m.until, now)}
	}
	place := uint32(0)
	for m.probe.running&(1<<place) != 0 {
		place++
	}
	m.probe.running |= 1 << place
	m.probe.started[place] = now
	m.until = m.gate(c)
	return m, admission{place: place}
}

// full reports that no probe may start.
func (m control) full(c *Config) bool {
	running := count(m.probe.running)
	return running >= c.ProbesAtOnce || running+m.probe.passed+m.probe.failed >= c.Probes
}

// gate is the time before which a half-open breaker rejects without thinking: the end of the oldest lease if it is full.
func (m control) gate(c *Config) core.Time {
	if !m.full(c) {
		return longAgo
	}
	return m.oldest().Add(c.ProbeTimeout)
}

func (m control) oldest() core.Time {
	oldest := never
	for i, t := range m.probe.started {
		if m.probe.running&(1<<i) != 0 {
			oldest = min(oldest, t)
		}
	}
	return oldest
}

// probing is the RetryAfter while every probe is taken: nobody knows when one ends, but soon, and at the latest with
// its lease.
func probing(until, now core.Time) time.Duration {
	return min(max(until.Sub(now), time.Millisecond), time.Second)
}

// vote is what an outcome says to the breaker.
type vote int8

const (
	noVote  vote = iota // the call says nothing, but something answered
	silence             // the caller went away; nothing answered
	good
	bad
)

// voteOf is the breaker's column of the table in package core.
func voteOf(c *Config, o core.Outcome) vote {
	switch o {
	case core.Success:
		return good
	case core.Failure, core.Timeout:
		return bad
	case core.Overload:
		if c.OverloadTrips {
			return bad
		}
		return noVote
	case core.Ignored:
		return noVote
	default:
		return silence
	}
}

// settle takes a probe's place back and counts its vote. The permit is of this era and the state is half-open.
func (m control) settle(c *Config, now core.Time, place uint32, v vote, jitter float64) control {
	m.probe.running &^= 1 << place
	if v == noVote && m.probe.passed+m.probe.failed == 0 {
		// A dependency that only ever gives answers without a verdict (not found, say) is up all the same.
		if m.probe.neutral++; m.probe.neutral > patience*c.Probes {
			v = good
		}
	}
	switch v {
	case good:
		m.probe.passed++
	case bad:
		m.probe.failed++
	}
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

// open opens the breaker: from closed (k = 0 if it has been stable for a window), or again after probes.
func (m control) open(c *Config, now core.Time, jitter float64, cause string) control {
	if m.state == Closed && now.Sub(m.since) >= c.Window {
		m.opened = 0
	}
	m = m.to(Open, now, cause)
	m.double = math.Exp2(float64(max(m.opened-int(max(c.FlatReopenings, 0)), 0)))
	m.jitter = spread(c, jitter)
	m.openAt = now
	m.opened++
	m.until = now.Add(m.openTime(c))
	return m
}

// spread maps a random number in [0,1) to the jitter's factor.
func spread(c *Config, jitter float64) float64 {
	if c.Jitter == core.None {
		return 1
	}
	return 1 + float64(c.Jitter)*(2*jitter-1)
}

// openTime is how long this opening lasts under c.
func (m control) openTime(c *Config) time.Duration {
	if m.hold > 0 {
		return m.hold
	}
	return time.Duration(min(float64(c.OpenFor)*m.double, float64(c.MaxOpenFor)) * m.jitter)
}

// trip opens the breaker by hand for a given time, whatever it was.
func (m control) trip(now core.Time, d time.Duration) control {
	m = m.to(Open, now, "operator")
	m.opened++
	m.openAt, m.hold = now, d
	m.until = now.Add(d)
	return m
}

// reset closes the breaker by hand.
func (m control) reset(now core.Time) control {
	m = m.to(Closed, now, "operator")
	m.opened = 0
	return m
}

// retuned moves what depends on the settings.
func (m control) retuned(c *Config) control {
	switch m.state {
	case Open:
		m.until = m.openAt.Add(m.openTime(c))
	case HalfOpen:
		m.until = m.gate(c)
	}
	return m
}

func count(set uint32) (n int) {
	for ; set != 0; set &= set - 1 {
		n++
	}
	return n
}

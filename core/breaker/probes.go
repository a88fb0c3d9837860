package breaker

import (
	"math/bits"
	"time"

	"github.com/mw-go/mw/core"
)

// probes is the bookkeeping of the half-open state.
type probes struct {
	running uint32 // bit i: place i is taken
	started [maxAtOnce]core.Time
	passed  int
	failed  int
	neutral int // answers without a verdict
}

const (
	maxAtOnce  = 16
	noPlace    = 1<<5 - 1        // a permit that is no probe
	patience   = 10              // neutral answers a probe; further ones are taken for successes
	leastLease = 5 * time.Second // of a probe, by default
)

// start takes a free place. There is one.
func (p *probes) start(now core.Time) (place uint32) {
	place = uint32(bits.TrailingZeros32(^p.running))
	p.running |= 1 << place
	p.started[place] = now
	return place
}

// restart begins a probe's lease anew.
func (p *probes) restart(place uint32, now core.Time) {
	p.started[place] = max(now, p.started[place])
}

// end gives a place back and counts the vote. A dependency that gives mostly answers without a verdict is up all the
// same: without patience it would be probed for ever.
func (p *probes) end(c *Config, place uint32, v vote) {
	p.running &^= 1 << place
	if v == noVote {
		if p.neutral++; p.neutral > patience*c.Probes {
			v = good
		}
	}
	switch v {
	case good:
		p.passed++
	case bad:
		p.failed++
	}
}

// oldest is when the probe that has been running longest began.
func (p *probes) oldest() core.Time {
	oldest := never
	for i, t := range p.started {
		if p.running&(1<<i) != 0 {
			oldest = min(oldest, t)
		}
	}
	return oldest
}

// full reports that no probe may start.
func (m control) full(c *Config) bool {
	running := bits.OnesCount32(m.probe.running)
	return running >= c.ProbesAtOnce || running+m.probe.passed+m.probe.failed >= c.Probes
}

// gate is the time before which a half-open breaker rejects without thinking: the end of the oldest lease if it is full.
// A breaker whose votes suffice, after a Tune, has to think.
func (m control) gate(c *Config) core.Time {
	if !m.full(c) || m.probe.passed >= c.ProbeSuccesses || m.probe.failed > c.Probes-c.ProbeSuccesses {
		return longAgo
	}
	return m.probe.oldest().Add(m.lease(c)) // full and undecided: at least one is running
}

// lease is how long a probe may run before it counts as lost. By default it grows with the open time: with a fixed
// lease, a dependency that takes longer than it would be probed, given up and probed again for ever.
func (m control) lease(c *Config) time.Duration {
	if c.ProbeTimeout > 0 {
		return c.ProbeTimeout
	}
	return max(time.Duration(m.backoff(c)), leastLease)
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

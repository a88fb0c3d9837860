package breaker

import (
	"math"
	"math/bits"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/latency"
)

// rule is one of the three rules on slow calls. Each says: of the calls of the window, too large a share has taken longer
// than a threshold.
type rule int

const (
	slowCalls rule = iota // SlowRate of all took longer than SlowCall
	tooSlow               // the Quantile exceeds Max
	slowed                // the Quantile exceeds Slowdown times the baseline
	ruleCount
)

var ruleCauses = [ruleCount]string{"slow calls", "latency", "slowdown"}

// pace is what the rules on slow calls have learned and concluded. A plain value, as control is.
type pace struct {
	baseline float64          // ns; the quantile of healthy traffic
	of       float64          // which quantile
	lessons  int              // judgements that it was learned from, up to learnt
	agreed   [ruleCount]uint8 // whether the rule complained, the latest judgement that had enough to judge in bit 0
	seen     core.Time        // the last judgement that had anything to judge
	judged   core.Time        // the last judgement
}

const (
	learnt     = 10          // judgements that a baseline takes before it counts: a window's worth
	few        = 5           // calls below which nothing is said
	memory     = 10          // windows after which a complaint is forgotten
	furthest   = time.Minute // beyond which a threshold that was learned does not go: core/latency sees to 64s
	confidence = 2           // standard deviations by which a share must be exceeded, to be no chance
	rounding   = 1e-9
)

// reading is what one look at the window of latencies has found, with the calls that are longer than each rule's threshold:
// those that have ended, those of them that ended last, and those that are still in flight and so count before they end.
type reading struct {
	n        float64
	newest   float64       // of the slice that has just ended, and the running one
	quantile time.Duration // 0 if there are too few calls for it
	slow     [ruleCount]float64
	late     [ruleCount]float64 // slow ones of the newest
	overdue  [ruleCount]float64
}

// tolerated is the share of slow calls that a rule lets pass.
func (l *Latency) tolerated(k rule) float64 {
	if k == slowCalls {
		return l.SlowRate
	}
	return 1 - l.Quantile
}

// thresholds returns from which duration on a call is slow to each rule; 0 if the rule is off.
func (p pace) thresholds(l *Latency) (t [ruleCount]time.Duration) {
	t[slowCalls], t[tooSlow] = max(l.SlowCall, 0), max(l.Max, 0)
	if l.Slowdown > 0 && p.lessons >= learnt && p.of == l.Quantile {
		base := min(max(p.baseline, float64(l.MinBaseline)), float64(l.MaxBaseline))
		t[slowed] = min(time.Duration(l.Slowdown*base), latency.Spans*l.Window, furthest)
	}
	return t
}

// limit is the shortest threshold; never if there is none.
func (p pace) limit(l *Latency) time.Duration { return p.shortest(l, 1) }

// probeLimit is from which duration on a probe is a bad sign: the shortest threshold of the rules that let pass no more than
// half of the calls. To the others a slow probe says nothing.
func (p pace) probeLimit(l *Latency) time.Duration { return p.shortest(l, 0.5) }

func (p pace) shortest(l *Latency, tolerated float64) time.Duration {
	shortest := core.Never
	for k, t := range p.thresholds(l) {
		if t > 0 && l.tolerated(rule(k)) <= tolerated {
			shortest = min(shortest, t)
		}
	}
	return shortest
}

// judge takes a reading and says why the closed breaker must open; empty if it need not.
func (p pace) judge(c *Config, r reading, now core.Time) (pace, string) {
	l, cause, calm := &c.Latency, "", true
	if now.Sub(p.seen) > memory*l.Window {
		p = p.opened() // what was concluded then says nothing of now
	}
	for k, t := range p.thresholds(l) {
		if r.n+r.overdue[k] < c.least(rule(k)) { // nothing to conclude, either way
			continue
		}
		complains := t > 0 && r.complains(c, rule(k))
		calm = calm && !complains
		p.agreed[k] <<= 1
		switch {
		case complains && r.overdue[k] >= few && now.Sub(p.judged) >= l.Window:
			p.agreed[k] = 1<<8 - 1 // calls hang, and nobody came to judge: what every judgement since would have said
		case complains:
			p.agreed[k] |= 1
		}
		if bits.OnesCount8(p.agreed[k]&(1<<l.ConfirmOf-1)) >= l.Confirm && complains && cause == "" {
			cause = ruleCauses[k]
		}
	}
	if calm && r.quantile > 0 {
		p = p.learn(l, r.quantile, now)
	}
	if r.n > 0 {
		p.seen = now
	}
	p.judged = now
	return p, cause
}

// least is how many calls a rule needs to conclude anything.
func (c *Config) least(k rule) float64 {
	if k == slowCalls {
		return float64(min(few, c.MinCalls))
	}
	return few
}

// complains reports whether too many calls are slow to a rule: in the window, and still.
func (r *reading) complains(c *Config, k rule) bool {
	share := c.Latency.tolerated(k)
	n, slow := r.n+r.overdue[k], r.slow[k]+r.overdue[k]
	if now := r.newest + r.overdue[k]; now >= few && r.late[k]+r.overdue[k] <= share*now+rounding {
		return false // it was; the calls that ended last are well
	}
	if k == slowCalls {
		return n >= float64(c.MinCalls) && slow >= share*n-rounding
	}
	if n*share < few-rounding { // too few for the quantile to speak, unless even the median is beyond
		return slow >= few && slow >= n/2
	}
	return slow > share*n+confidence*math.Sqrt(n*share*(1-share))+rounding
}

// learn moves the baseline towards q: the average of the first judgements, and from then on one that forgets over
// BaselineOver, ten times as fast downwards: what was learned while the dependency warmed up must not hide a slowdown.
func (p pace) learn(l *Latency, q time.Duration, now core.Time) pace {
	if p.of != l.Quantile {
		p.baseline, p.lessons, p.of = 0, 0, l.Quantile
	}
	if p.lessons < learnt {
		p.lessons++
		p.baseline += (float64(q) - p.baseline) / float64(p.lessons)
		return p
	}
	over := float64(l.BaselineOver)
	if float64(q) < p.baseline {
		over /= 10
	}
	passed := min(max(now.Sub(p.seen), 0), l.Window) // a pause teaches nothing
	p.baseline += (float64(q) - p.baseline) * -math.Expm1(-float64(passed)/over)
	return p
}

// opened forgets the conclusions, for the next closed state to draw its own; what was learned stays.
func (p pace) opened() pace {
	p.agreed = [ruleCount]uint8{}
	return p
}

// lasting is how many doublings of the open time make slowness the new normal: at the seventh the baseline is forgotten.
const lasting = 6

// resigned is p after an opening: the baseline is forgotten if the breaker has reopened for so long.
func (p pace) resigned(c *Config, m control) pace {
	if m.state == Open && m.opened > int(max(c.FlatReopenings, 0))+lasting {
		return pace{}
	}
	return p
}

// late turns the vote of a probe that has taken longer than a rule on slow calls allows: the dependency is not back yet.
func (p pace) late(c *Config, start, now core.Time, o core.Outcome, v vote) vote {
	if !c.Latency.Watch || now.Sub(start) < p.probeLimit(&c.Latency) {
		return v
	}
	if v == good || o == core.Canceled || o == core.Expired {
		return bad
	}
	return v
}

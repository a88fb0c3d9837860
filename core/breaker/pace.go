package breaker

import (
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

// learnt is how many judgements a baseline takes before it counts: a window's worth.
const learnt = 10

// pace is what the rules on slow calls have learned and concluded. A plain value, as control is.
type pace struct {
	baseline float64          // ns; the Quantile of healthy traffic
	lessons  int              // judgements that it was learned from
	agreed   [ruleCount]uint8 // whether the rule complained, the latest judgement in bit 0
	seen     core.Time        // the last judgement that had anything to judge
}

// reading is what one look at the window of latencies has found, with the calls that are longer than each rule's threshold:
// those that have ended, and those that are still in flight and so count before they end.
type reading struct {
	n        float64
	quantile time.Duration // 0 if there are too few calls for it
	slow     [ruleCount]float64
	overdue  [ruleCount]float64
}

// thresholds returns from which duration on a call is slow to each rule; 0 if the rule is off.
func (p pace) thresholds(l *Latency) (t [ruleCount]time.Duration) {
	t[slowCalls], t[tooSlow] = max(l.SlowCall, 0), max(l.Max, 0)
	if l.Slowdown > 0 && p.lessons >= learnt {
		base := min(max(p.baseline, float64(l.MinBaseline)), float64(l.MaxBaseline))
		t[slowed] = min(time.Duration(l.Slowdown*base), latency.Spans*l.Window)
	}
	return t
}

// limit is the shortest threshold; never if there is none.
func (p pace) limit(l *Latency) time.Duration {
	shortest := core.Never
	for _, t := range p.thresholds(l) {
		if t > 0 {
			shortest = min(shortest, t)
		}
	}
	return shortest
}

// judge takes a reading and says why the closed breaker must open; empty if it need not.
func (p pace) judge(c *Config, r reading, now core.Time) (pace, string) {
	l, cause, calm := &c.Latency, "", true
	for k, t := range p.thresholds(l) {
		n, slow := r.n+r.overdue[k], r.slow[k]+r.overdue[k]
		complains := t > 0 && complains(c, rule(k), n, slow)
		calm = calm && !complains
		p.agreed[k] <<= 1
		if complains {
			p.agreed[k] |= 1
		}
		if bits.OnesCount8(p.agreed[k]&(1<<l.ConfirmOf-1)) >= l.Confirm && complains && cause == "" {
			cause = ruleCauses[k]
		}
	}
	if r.n > 0 {
		p.seen = now
	}
	if calm && r.quantile > 0 {
		p = p.learn(l, r.quantile)
	}
	return p, cause
}

// complains reports whether slow of n calls are too many for a rule.
func complains(c *Config, k rule, n, slow float64) bool {
	if n < float64(c.MinCalls) {
		return false
	}
	if k == slowCalls {
		return slow >= c.Latency.SlowRate*n
	}
	const rounding = 1e-9
	beyond := n * (1 - c.Latency.Quantile)
	return beyond >= 5-rounding && slow > beyond+rounding
}

// learn moves the baseline towards q: an average of the first judgements, later one that forgets over BaselineOver.
func (p pace) learn(l *Latency, q time.Duration) pace {
	p.lessons = min(p.lessons+1, 1<<30)
	weight := max(1/float64(p.lessons), float64(l.Window/10)/float64(l.BaselineOver))
	p.baseline += (float64(q) - p.baseline) * weight
	return p
}

// opened forgets the conclusions, for the next closed state to draw its own; what was learned stays.
func (p pace) opened() pace {
	p.agreed = [ruleCount]uint8{}
	return p
}

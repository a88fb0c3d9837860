package budget

import (
	"math"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/window"
)

// token is one extra attempt in the unit that everything is counted in, so that sums of ratios are exact.
const token = 1_000_000

// rates is what the machine needs of a Config, in parts of a token.
type rates struct {
	rule    Rule
	ratio   int64 // a deposit
	size    int64 // of the bucket
	reserve int64 // of the window, over a whole TTL
}

func (c *Config) rates() rates {
	r := rates{rule: c.Rule, ratio: int64(math.Round(float64(c.Ratio) * token)), size: int64(c.Size) * token}
	if c.Reserve != core.None {
		r.reserve = int64(float64(c.Reserve) * c.TTL.Seconds() * token)
	}
	return r
}

// bucket is the state of the rules success and throttle. A plain value: each transition takes one and returns the next.
// One that is fuller than its size, because a Tune came in between, counts as full.
type bucket int64

// end is the end of an attempt.
func (b bucket) end(r *rates, o core.Outcome) bucket {
	switch {
	case o == core.Success:
		return b.put(r, r.ratio)
	case r.rule == Throttle && failed(o):
		return max(b.put(r, 0)-token, 0)
	default:
		return b
	}
}

// failed says which outcomes are the backend's fault.
func failed(o core.Outcome) bool { return o == core.Failure || o == core.Timeout || o == core.Overload }

// put adds parts of a token, up to the size.
func (b bucket) put(r *rates, parts int64) bucket { return bucket(min(int64(b)+parts, r.size)) }

// withdraw pays for an extra attempt, if there is enough.
func (b bucket) withdraw(r *rates) (next bucket, ok bool) {
	b = b.put(r, 0)
	switch {
	case r.rule == Throttle:
		return b, b > bucket(r.size/2)
	case b < token:
		return b, false
	default:
		return b - token, true
	}
}

// refund undoes a withdrawal.
func (b bucket) refund(r *rates) bucket {
	if r.rule == Throttle {
		return b
	}
	return b.put(r, token)
}

// spending is the withdrawals of the window rule: what was withdrawn counts as bad, what was refunded as good, each in
// the slice of its withdrawal, so that both expire together. Time that runs backwards stands still.
type spending struct {
	layout window.Layout
	ring   window.Ring
	last   core.Time
}

// balance is what the window holds of a number of deposits and of the withdrawals as of now.
func (s *spending) balance(r *rates, deposits int64, now core.Time) int64 {
	sum := s.ring.Sum(s.layout, s.clamp(now))
	return r.reserve + min(deposits, math.MaxInt64/2/token)*r.ratio - (sum.Bad-sum.Good)*token
}

func (s *spending) withdraw(r *rates, deposits int64, now core.Time) bool {
	s.last = s.clamp(now)
	if s.balance(r, deposits, s.last) < token {
		return false
	}
	s.ring.Add(s.layout, s.last, true)
	return true
}

// refund undoes the withdrawal of time at, if it has not expired. What another rule has let go of is not in the window, and
// must not be more in it than was taken out.
func (s *spending) refund(at core.Time) {
	if sum := s.ring.Sum(s.layout, s.last); sum.Good < sum.Bad {
		s.ring.Add(s.layout, at, false)
	}
}

func (s *spending) clamp(now core.Time) core.Time { return max(now, s.last) }

// resize puts the withdrawals into another layout.
func (s *spending) resize(to window.Layout, now core.Time) {
	s.ring = s.ring.Resize(s.layout, to, s.clamp(now))
	s.layout = to
}

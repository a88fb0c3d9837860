package hedge

import (
	"math"
	"time"

	"github.com/mw-go/mw/core"
)

// state is where a call with several attempts stands. A plain value: each transition takes one and returns the next.
type state struct {
	begun   uint8 // attempts, the first one included
	running uint8 // those of them that have not ended
	closed  bool  // there must be no further one
	decided bool  // how the call ends is known: those that still run have lost
}

// more reports whether there may be another attempt, if somebody pays for it.
func (s state) more(c *Config) bool { return !s.decided && !s.closed && int(s.begun) <= c.MaxExtra }

// begin is the start of an attempt.
func (s state) begin() state {
	s.begun++
	s.running++
	return s
}

// end is the end of an attempt, with the verdict on it.
func (s state) end(v verdict) state {
	s.running--
	switch {
	case s.decided:
	case v == wins || v == fatal:
		s.decided = true
	case v == hold || v == later && s.running == 0:
		s.closed = true
	}
	return s
}

// rest decides a call that nobody works on any more: all attempts have failed.
func (s state) rest() state {
	s.decided = s.decided || s.running == 0
	return s
}

// losers is how many attempts are going to lose, or have lost, and run: all but the one that may still win.
func (s state) losers() int {
	if s.decided {
		return int(s.running)
	}
	return max(int(s.running)-1, 0)
}

// verdict says what the end of an attempt means for its call.
type verdict uint8

const (
	wins  verdict = iota // it is the answer
	fatal                // it is the end of the call
	next                 // it failed; another one might do better, at once
	later                // the same, after the time that the error asks for
	hold                 // it failed, and another one would not help; those under way may
)

// failure is what is known of an attempt that has returned an error.
type failure struct {
	outcome core.Outcome
	gone    bool          // the caller is
	fatal   bool          // the error, or Hooks.Fatal, says so
	hint    time.Duration // what the server asks for; 0 nothing, below 0 no further attempt
}

// judge is the verdict on a failed attempt. A rejection of a further attempt, or an overload that it met, must not undo
// the first one, which is still waiting for its answer: they stop there being more.
func judge(c *Config, f failure) verdict {
	switch {
	case f.gone:
		return fatal
	case f.outcome == core.Success:
		return wins
	case f.fatal:
		return fatal
	case f.outcome == core.Ignored || f.hint < 0 || f.hint > c.Max:
		return hold
	case f.hint > 0:
		return later
	case f.outcome == core.Overload:
		return hold
	default:
		return next
	}
}

// delay is the delay that follows from the quantile q; ok is false while there are too few samples for one.
func delay(c *Config, q time.Duration, ok bool) (time.Duration, bool) {
	if c.Delay != core.None {
		return c.Delay, true
	}
	return min(max(q, c.Min), c.Max), ok
}

// token is one extra attempt in the unit that the tokens are counted in, so that sums of ratios are exact.
const token = 1_000_000

// rates is what the tokens need of a Config, in parts of a token.
type rates struct {
	ratio int64 // what a call brings
	burst int64 // what is saved up at most
}

func (c *Config) rates() rates {
	return rates{ratio: int64(math.Round(float64(c.Ratio) * token)), burst: int64(c.Burst) * token}
}

// bucket is the hedge's own bound on extra attempts: between any two moments there are at most Burst of them, and Ratio
// of the calls begun in between. One that is fuller than its size, because a Tune came in between, counts as full.
type bucket int64

// put adds parts of a token, up to the burst.
func (b bucket) put(r rates, parts int64) bucket { return bucket(min(int64(b)+parts, r.burst)) }

// take pays for an extra attempt, if there is enough.
func (b bucket) take(r rates) (next bucket, ok bool) {
	b = b.put(r, 0)
	if b < token {
		return b, false
	}
	return b - token, true
}

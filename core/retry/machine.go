package retry

import (
	"math"
	"time"

	"github.com/mw-go/mw/core"
)

// state is where a call stands between two attempts. A plain value.
type state struct {
	attempts int           // made so far
	drawn    time.Duration // the last delay of the backoff, whatever the hint made of it; 0 before the first
}

// failure is what is known of an attempt that has just failed, and of the caller.
type failure struct {
	gone      Reason        // ReasonLeft or ReasonExpired if the caller is gone
	permanent bool          // the error says not to retry
	rejected  bool          // by a guard of this module
	retryable bool          // by its outcome, or Hooks.Retryable
	nested    bool          // the call is part of a retry further out
	hint      time.Duration // what the server asks for; 0 nothing, below 0 not to retry
	left      time.Duration // until the caller's deadline; core.Never without one
}

// veto says why there must be no further attempt, as far as it does not depend on the delay; 0 if there may be one. The
// budget is asked last, by the shell.
func (s state) veto(c *Config, f failure) Reason {
	switch {
	case f.gone != 0:
		return f.gone
	case f.permanent || f.hint < 0:
		return ReasonPermanent
	case f.rejected && !c.RetryRejections:
		return ReasonRejected
	case !f.retryable:
		return ReasonNotRetryable
	case s.attempts >= c.MaxAttempts:
		return ReasonAttempts
	case f.nested:
		return ReasonNested
	case f.hint > c.MaxHint:
		return ReasonHint
	default:
		return 0
	}
}

// draw returns the next delay of the backoff, for u in [0,1). It is between 0 and MaxDelay.
func (s state) draw(c *Config, u float64) time.Duration {
	if c.Backoff == Decorrelated {
		low, high := float64(c.Base), 3*float64(max(s.drawn, c.Base))
		return c.hold(low + u*(high-low))
	}
	return c.spread(c.grow(s.attempts-1), u)
}

// grow is the delay of retry n, counted from 0, before jitter and at most MaxDelay. It compares before it multiplies,
// so that no n overflows.
func (c *Config) grow(n int) float64 {
	times := float64(n) + 1
	if c.Backoff == Exponential {
		times = math.Pow(c.Factor, float64(n))
	}
	if times >= float64(c.MaxDelay)/float64(c.Base) {
		return float64(c.MaxDelay)
	}
	return float64(c.Base) * times
}

// spread is the jitter of a delay, held to MaxDelay once more: proportional jitter goes upwards too.
func (c *Config) spread(delay, u float64) time.Duration {
	switch c.Jitter {
	case Full:
		delay *= u
	case Equal:
		delay = delay/2 + u*delay/2
	case Proportional:
		delay *= 1 + float64(c.Spread)*(2*u-1)
	}
	return c.hold(delay)
}

func (c *Config) hold(delay float64) time.Duration {
	if delay >= float64(c.MaxDelay) {
		return c.MaxDelay
	}
	return time.Duration(max(delay, 0))
}

// wait returns how long to wait before the next attempt, for a delay of the backoff and u in [0,1): that delay, and
// never less than the server's hint, which jitter only exceeds. Or it says why there must be none after all.
func (s state) wait(c *Config, f failure, own time.Duration, u float64) (delay time.Duration, why Reason) {
	if own < 0 {
		return 0, ReasonPermanent
	}
	delay = min(own, c.MaxDelay)
	if f.hint > 0 {
		hint := f.hint
		if c.Jitter != NoJitter {
			hint = min(hint+time.Duration(float64(hint)*float64(c.Spread)*u), c.MaxHint)
		}
		delay = max(delay, hint)
	}
	if f.left != core.Never && delay+c.MinAttempt >= f.left {
		return 0, ReasonDeadline
	}
	return delay, 0
}

// retried are the outcomes that are retried unless Hooks.Retryable says otherwise.
func retried(o core.Outcome) bool {
	return o == core.Failure || o == core.Timeout || o == core.Overload
}

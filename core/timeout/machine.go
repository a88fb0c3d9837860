package timeout

import (
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/latency"
)

// allow decides on a call before it begins: how long it may take (rest), and whether it is our limit that ends it then,
// or the time that its caller has left. That is incoming, core.Never if the caller has no deadline; margin of it is kept
// back, and less than floor is not worth beginning with.
//
// The margin comes off the caller's time alone, and the floor looks at it alone. Our limit bounds the call itself, and
// an adaptive one may be small: it must not turn calls away.
func allow(limit, incoming, margin, floor time.Duration) (rest time.Duration, own bool, reason core.Reason) {
	if incoming == core.Never {
		return limit, true, 0
	}
	if incoming <= 0 {
		return 0, false, core.ReasonExpired
	}
	switch rest = incoming - margin; {
	case rest <= 0 || rest < floor:
		return 0, false, core.ReasonTooLong
	case rest <= limit:
		return rest, false, 0
	default:
		return limit, true, 0
	}
}

// unmeasured is where the longest bucket of the samples begins: a quantile in it may be any time from here on.
const unmeasured = latency.Longest / 16 * 15

// adapt is the limit that follows from the quantile q; ok is false while there are too few samples for one.
func adapt(c *Config, q time.Duration, ok bool) time.Duration {
	if !c.Adaptive || !ok || q >= unmeasured {
		return c.Limit
	}
	if f := float64(q) * c.Factor; f < float64(c.Limit) {
		return max(time.Duration(f), c.Min)
	}
	return c.Limit
}

// sample is what a call that took so long teaches; ok is false if nothing. One that the limit ended would have taken
// longer, nobody knows how long: its sample is the limit. That is too little, but were it left out, a limit that is too
// short would see only what it lets through and never grow again; in this way it grows by Factor, and again, until the
// calls fit or Limit is reached.
func sample(o core.Outcome, took, limit time.Duration) (d time.Duration, ok bool) {
	switch o {
	case core.Success:
		return max(took, 0), true
	case core.Timeout:
		return limit, true
	default:
		return 0, false
	}
}

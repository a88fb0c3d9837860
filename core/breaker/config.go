package breaker

import (
	"fmt"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/latency"
	"github.com/mw-go/mw/core/schema"
)

// Config tunes a Breaker. The zero Config is valid; an absent field means its default. Comparable, data only.
type Config struct {
	// Window is the time over which the failure rate is taken, in ten slices. Default 10s (Hystrix). Range 1s to 1h.
	Window time.Duration `default:"10s" range:"1s..1h"`
	// MinCalls is how many results the window must hold before the failure rate may open the breaker. Default 20
	// (Hystrix). Range 1 to 1e6.
	MinCalls int `default:"20" range:"1..1000000"`
	// FailureRate is the share of failures in the window at which the breaker opens, compared with >=. Default 0.5
	// (Hystrix, resilience4j). Range 0.01 to 1, or none.
	FailureRate core.Ratio `default:"0.5" range:"0.01..1|none"`
	// ConsecutiveFailures is how many failures in a row open the breaker, however far apart: for traffic too thin for a
	// rate. Default none. Range 1 to 1e6, or none.
	ConsecutiveFailures core.Count `default:"none" range:"1..1000000|none"`
	// OverloadTrips counts Overload outcomes (429, ResourceExhausted) as failures. Default false: they are for throttling
	// and adaptive limits.
	OverloadTrips bool
	// Latency opens the breaker when calls are slow, though they succeed.
	Latency Latency
	// OpenFor is how long the breaker stays open before it probes, before jitter. Default 5s (Finagle). Range 1ms to 1h.
	OpenFor time.Duration `default:"5s" range:"1ms..1h"`
	// MaxOpenFor is where the doubling of OpenFor ends. Default 5m (Finagle); OpenFor if that is longer. Range 1ms to
	// 24h.
	MaxOpenFor time.Duration `default:"5m" range:"1ms..24h"`
	// Jitter spreads the open time evenly over OpenFor*(1-Jitter) to OpenFor*(1+Jitter), so that a fleet does not probe in
	// step. Default 0.2. Range 0.01 to 0.5, or none.
	Jitter core.Ratio `default:"0.2" range:"0.01..0.5|none"`
	// FlatReopenings is how many reopenings after failed probes keep OpenFor; each further one doubles it. Default 5.
	// Range 1 to 1000, or none: the first reopening doubles already. Closed for a whole Window, the count starts anew.
	FlatReopenings core.Count `default:"5" range:"1..1000|none"`
	// Probes is how many calls a half-open breaker admits before it must have decided. Default 5. Range 1 to 1000.
	Probes int `default:"5" range:"1..1000"`
	// ProbesAtOnce is how many probes may run at a time. Default 2; Probes if that is less. Range 1 to 16.
	ProbesAtOnce int `default:"2" range:"1..16"`
	// ProbeSuccesses is how many successful probes close the breaker; it reopens as soon as they cannot be reached any
	// more. Default 0: more than half of Probes. Range 0 to 1000, at most Probes.
	ProbeSuccesses int `range:"0..1000"`
	// ProbeTimeout is the lease of a probe: when every place is taken and the oldest probe is older than this, the breaker
	// takes it for lost and reopens. A value below the longest honest call keeps the breaker from closing. Default 0: as
	// long as the open time before it, which grows, and at least 5s. Range 0 to 24h.
	ProbeTimeout time.Duration `range:"0s..24h"`
	// MaxKeys is how many active keys a Keyed breaker tells apart; further new ones share one cell. A Breaker without keys
	// ignores it. Default 4096, about 2 MB when all are in use, 65 MB with Latency.Watch. Range 1 to 1048576.
	MaxKeys int `default:"4096" range:"1..1048576"`
	// Mode is enforce, shadow, disabled, forced-open or forced-closed. Default enforce.
	Mode core.Mode `range:"enforce|shadow|disabled|forced-open|forced-closed"`
}

// Latency holds the rules on slow calls. Watch is the one switch, with defaults that suit most dependencies: the breaker
// opens when the 90th percentile of two seconds is three times what it usually is. See the package comment.
type Latency struct {
	// Watch switches the rules on. Default false: durations are not looked at, and nothing below matters.
	Watch bool
	// Window is the time over which durations are judged, in ten slices, with one judgement a slice. Default 2s. Range
	// 500ms to 5m.
	Window time.Duration `default:"2s" range:"500ms..5m"`
	// Quantile is the one that Slowdown and Max speak of. It speaks once five calls of the window lie beyond it: p90 needs 50
	// calls in a Window, p99 needs 500; see the package comment for fewer. Default 0.9. Range 0.5 to 0.999.
	Quantile float64 `default:"0.9" range:"0.5..0.999"`
	// Slowdown opens the breaker when the Quantile exceeds this many times its baseline, the value that it has learned. Default
	// 3. Range 1.2 to 100, or none.
	Slowdown float64 `default:"3" range:"1.2..100|none"`
	// BaselineOver is the time over which the baseline follows the Quantile upwards, while the breaker is closed and no rule
	// complains; downwards it takes a tenth of that. Default 1m. Range 10s to 24h.
	BaselineOver time.Duration `default:"1m" range:"10s..24h"`
	// MinBaseline is what a lower baseline counts as, so that jitter of a fast dependency opens nothing. Default 5ms. Range
	// 10us to 10s.
	MinBaseline time.Duration `default:"5ms" range:"10us..10s"`
	// MaxBaseline is what a higher baseline counts as: slower than that is never taken for healthy. Default 10s. Range 1ms to
	// 1m, at least MinBaseline.
	MaxBaseline time.Duration `default:"10s" range:"1ms..1m"`
	// Max opens the breaker when the Quantile exceeds it. Default none. Range 1ms to 1m, or none; at most 50 Windows.
	Max time.Duration `default:"none" range:"1ms..1m|none"`
	// SlowCall is the duration beyond which a call is slow, for SlowRate. Fewer callers than MinCalls that all wait are not
	// enough for it. Default none. Range 1ms to 1m, or none; at most 50
	// Windows.
	SlowCall time.Duration `default:"none" range:"1ms..1m|none"`
	// SlowRate is the share of slow calls, of at least MinCalls, at which the breaker opens, compared with >=. Default
	// 0.5. Range 0.01 to 1.
	SlowRate float64 `default:"0.5" range:"0.01..1"`
	// Confirm is how many of the last ConfirmOf judgements must agree before a rule opens the breaker. Default 2. Range 1
	// to 8, at most ConfirmOf.
	Confirm int `default:"2" range:"1..8"`
	// ConfirmOf is how many judgements, one a tenth of Window, Confirm looks back at. Default 3. Range 1 to 8.
	ConfirmOf int `default:"3" range:"1..8"`
}

// Validate reports every field out of range at once, each with its name, value and what is allowed.
func (c Config) Validate() error {
	var successes error
	if full := schema.Fill(c); c.ProbeSuccesses > full.Probes && full.Probes > 0 {
		successes = schema.Fault("probe_successes", c.ProbeSuccesses, fmt.Sprintf("at most probes (%d)", full.Probes))
	}
	return schema.Validate(c, successes)
}

// Validate reports every field out of range at once, each with its name, value and what is allowed.
func (l Latency) Validate() error {
	full, faults := schema.Fill(l), []error(nil)
	fault := func(wrong bool, field string, value any, want string) {
		if wrong {
			faults = append(faults, schema.Fault(field, value, want))
		}
	}
	furthest := latency.Spans * max(full.Window, 0)
	within := fmt.Sprintf("at most %d windows (%v)", latency.Spans, furthest)
	fault(full.MaxBaseline < full.MinBaseline, "max_baseline", full.MaxBaseline, fmt.Sprintf("at least min_baseline (%v)", full.MinBaseline))
	fault(full.Max > furthest, "max", full.Max, within)
	fault(full.SlowCall > furthest, "slow_call", full.SlowCall, within)
	fault(full.Confirm > full.ConfirmOf, "confirm", full.Confirm, fmt.Sprintf("at most confirm_of (%d)", full.ConfirmOf))
	return schema.Validate(l, faults...)
}

// Hooks are the functions that a breaker calls.
type Hooks = core.Hooks

// prepare checks c and fills in what depends on other fields.
func prepare(c Config) (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	c = schema.Fill(c)
	if c.ProbeSuccesses == 0 {
		c.ProbeSuccesses = c.Probes/2 + 1
	}
	c.ProbesAtOnce = min(c.ProbesAtOnce, c.Probes)
	c.MaxOpenFor = max(c.MaxOpenFor, c.OpenFor)
	return c, nil
}

func describe(c Config) core.Policy { return core.Policy{Mode: c.Mode} }

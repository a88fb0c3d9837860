package breaker

import (
	"fmt"
	"time"

	"github.com/mw-go/mw/core"
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
	// ignores it. Default 4096, about 2 MB when all are in use. Range 1 to 1048576.
	MaxKeys int `default:"4096" range:"1..1048576"`
	// Mode is enforce, shadow, disabled, forced-open or forced-closed. Default enforce.
	Mode core.Mode `range:"enforce|shadow|disabled|forced-open|forced-closed"`
}

// Validate reports every field out of range at once, each with its name, value and what is allowed.
func (c Config) Validate() error {
	var successes error
	if full := schema.Fill(c); c.ProbeSuccesses > full.Probes && full.Probes > 0 {
		successes = schema.Fault("probe_successes", c.ProbeSuccesses, fmt.Sprintf("at most probes (%d)", full.Probes))
	}
	return schema.Validate(c, successes)
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

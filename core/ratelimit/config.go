package ratelimit

import (
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// Config tunes a Limiter. Limit is required; an absent field means its default. Comparable, data only.
type Config struct {
	// Limit is how many tokens are granted a Period. Required. Range 1 to 1e9, and Limit a Period at most 1e9 a second.
	Limit int64 `required:"true" range:"1..1000000000" example:"100"`
	// Period is the time over which Limit tokens are granted, evenly. Default 1s. Range 1ms to 24h.
	Period time.Duration `default:"1s" range:"1ms..24h"`
	// Burst is how many tokens an idle key has saved up, and so the most that one call may cost. Default 0: the same as
	// Limit. Range 0 to 1e9.
	Burst int64 `range:"0..1000000000"`
	// MaxWait is how long Acquire may wait for tokens; a call that would wait longer is rejected at once. Default 0: it
	// does not wait. Range 0 to 1h.
	MaxWait time.Duration `range:"0s..1h"`
	// MaxKeys is how many active keys a Keyed limiter tells apart; further new ones share one cell. A Limiter without
	// keys ignores it. Default 65536, about 3 MB when all are in use. Range 1 to 16777216.
	MaxKeys int `default:"65536" range:"1..16777216"`
	// Mode is enforce, shadow or disabled. Default enforce.
	Mode core.Mode `range:"enforce|shadow|disabled"`
}

// Validate reports every field out of range at once, each with its name, value and what is allowed.
func (c Config) Validate() error {
	var tooFast error
	if c.Limit > 0 && c.Period > 0 && float64(c.Limit)/c.Period.Seconds() > maxRate {
		tooFast = schema.Fault("limit", c.Limit, "at most 1000000000 a second, over the period of "+c.Period.String())
	}
	return schema.Validate(c, tooFast)
}

const maxRate = 1e9 // tokens a second

// Hooks are the functions that a limiter calls.
type Hooks = core.Hooks

func prepare(c Config) (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	c = schema.Fill(c)
	if c.Burst == 0 {
		c.Burst = c.Limit
	}
	return c, nil
}

func describe(c Config) core.Policy {
	return core.Policy{Mode: c.Mode, Limit: c.Limit, Period: c.Period, Burst: c.Burst}
}

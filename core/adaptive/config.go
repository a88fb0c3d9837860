package adaptive

import (
	"errors"
	"fmt"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// Config tunes a Limiter. The zero Config is valid; an absent field means its default. Comparable, data only.
type Config struct {
	// Algorithm says how the limit follows the latency: gradient2, vegas or aimd. Default gradient2. See package doc.
	Algorithm Algorithm `range:"gradient2|vegas|aimd"`
	// InitialLimit is the limit to begin with, and what Headroom never takes the limit below. Default 20 (Netflix).
	// Held to MinLimit and MaxLimit. Range 1 to 100000.
	InitialLimit int `default:"20" range:"1..100000"`
	// MinLimit is where the limit stops falling. Default 2; MaxLimit if that is less. Range 1 to 100000, at most
	// MaxLimit.
	MinLimit int `default:"2" range:"1..100000"`
	// MaxLimit is where the limit stops growing, calls at once. Default 1000. Range 1 to 100000.
	MaxLimit int `default:"1000" range:"1..100000"`
	// Window is the shortest time after which the limit moves; it moves no faster than calls end. Default 100ms. Range
	// 10ms to 10s.
	Window time.Duration `default:"100ms" range:"10ms..10s"`
	// MinSamples is how many latencies a window must have; after ten times its length one with fewer is dropped. Default
	// 20; Netflix has 10. Range 1 to 10000.
	MinSamples int `default:"20" range:"1..10000"`
	// Smoothing is the weight of a window in the limit of gradient2. Default 0.2 (Netflix). Range 0.01 to 1.
	Smoothing core.Ratio `default:"0.2" range:"0.01..1"`
	// Tolerance is how many times the unloaded latency gradient2 accepts before it lowers the limit. Default 1.2; Netflix
	// has 1.5. Range 1.05 to 10.
	Tolerance float64 `default:"1.2" range:"1.05..10"`
	// Backoff is the factor by which aimd lowers the limit. Default 0.9 (Netflix). Range 0.1 to 0.99.
	Backoff core.Ratio `default:"0.9" range:"0.1..0.99"`
	// DropShare is the share of calls dropped (Timeout, Overload) at which a window lowers the limit whatever its
	// latency; with fewer, but some, it does not raise it. Default 0.1. Range 0.001 to 1.
	DropShare core.Ratio `default:"0.1" range:"0.001..1"`
	// FailureDrops counts Failure as dropped. Default false: an error says nothing about load.
	FailureDrops bool
	// MaxHealthyLatency is a latency that is never healthy: the unloaded latency is not learned above it, and aimd lowers
	// the limit beyond it. Default none. Range 100us to 1h, or none.
	MaxHealthyLatency time.Duration `default:"none" range:"100us..1h|none"`
	// Headroom keeps the limit below that many times the most calls in flight of late, so that a quiet hour does not end
	// with a limit that nobody has tried. Default 3. Range 1.5 to 100, or none.
	Headroom float64 `default:"3" range:"1.5..100|none"`
	// Probe is how often a limiter under lasting overload lowers its limit for a moment to see how quick calls are
	// without the load, give or take a quarter. Default 30s. Range 1s to 1h, or none.
	Probe time.Duration `default:"30s" range:"1s..1h|none"`
	// Queue is how many calls may wait for a slot. Default 64. Range 1 to 100000, or none.
	Queue core.Count `default:"64" range:"1..100000|none"`
	// QueueInterval is how long a call may wait in a queue that has been empty at some time during that long. Default
	// 100ms (CoDel). Range 1ms to 1m.
	QueueInterval time.Duration `default:"100ms" range:"1ms..1m"`
	// QueueTarget is how long it may wait in one that has not. Default 5ms (CoDel); QueueInterval if that is shorter.
	// Range 100us to 1m.
	QueueTarget time.Duration `default:"5ms" range:"100us..1m"`
	// ShareCritical, ShareSheddablePlus and ShareSheddable are the parts of the limit that calls of a class may fill
	// while more critical calls come. Defaults 0.9, 0.8 and 0.7. Range 0.01 to 1.
	ShareCritical      core.Ratio `default:"0.9" range:"0.01..1"`
	ShareSheddablePlus core.Ratio `default:"0.8" range:"0.01..1"`
	ShareSheddable     core.Ratio `default:"0.7" range:"0.01..1"`
	// RetryAfter is what a rejected call is told at least, give or take a half, so that the rejected do not come back in
	// step. The more are rejected the longer it gets, up to 60 times that; see package doc. Default 1s. Range 1ms to 1h, or
	// none.
	RetryAfter time.Duration `default:"1s" range:"1ms..1h|none"`
	// Mode is enforce, shadow or disabled. Default enforce.
	Mode core.Mode `range:"enforce|shadow|disabled"`
}

// Algorithm is a way to find the limit. The zero Algorithm is Gradient2.
type Algorithm uint8

// The algorithms.
const (
	Gradient2 Algorithm = iota
	Vegas
	AIMD
)

var algorithmNames = [...]string{"gradient2", "vegas", "aimd"}

// String returns the name used in configuration.
func (a Algorithm) String() string {
	if int(a) < len(algorithmNames) {
		return algorithmNames[a]
	}
	return "unknown"
}

// MarshalText returns the name.
func (a Algorithm) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText accepts the names that String returns, nothing else.
func (a *Algorithm) UnmarshalText(text []byte) error {
	for i, name := range algorithmNames {
		if name == string(text) {
			*a = Algorithm(i)
			return nil
		}
	}
	return errors.New("write gradient2, vegas or aimd")
}

// Validate reports every field out of range at once, each with its name, value and what is allowed.
func (c Config) Validate() error {
	var crossed error
	if full := schema.Fill(c); c.MinLimit > full.MaxLimit && full.MaxLimit > 0 {
		crossed = schema.Fault("min_limit", c.MinLimit, fmt.Sprintf("at most max_limit (%d)", full.MaxLimit))
	}
	return schema.Validate(c, crossed)
}

// Hooks are the functions that a limiter calls.
type Hooks = core.Hooks

// prepare checks c and fills in what depends on other fields.
func prepare(c Config) (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	c = schema.Fill(c)
	c.MinLimit = min(c.MinLimit, c.MaxLimit)
	c.InitialLimit = min(max(c.InitialLimit, c.MinLimit), c.MaxLimit)
	c.QueueTarget = min(c.QueueTarget, c.QueueInterval)
	return c, nil
}

func describe(c Config) core.Policy { return core.Policy{Mode: c.Mode, Limit: int64(c.MaxLimit)} }

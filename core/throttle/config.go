package throttle

import (
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// Config tunes a Throttle. The zero Config is valid; an absent field means its default. Comparable, data only.
type Config struct {
	// K is how many calls are sent for one that is accepted. Default 2 (SRE book). Range 1 to 100.
	K float64 `default:"2" range:"1..100"`
	// Window is the time over which calls are counted, in ten slices. Default 30s (Envoy). Range 1s to 1h.
	Window time.Duration `default:"30s" range:"1s..1h"`
	// MinCalls is how many calls of the window are let off before any is rejected. Default 5 (go-zero). Range 1 to
	// 1e6, or none.
	MinCalls core.Count `default:"5" range:"1..1000000|none"`
	// ForcePass is the time after which a call passes whatever the odds, if none of its class has, so that a recovery is
	// noticed. Default 1s (go-zero). Range 10ms to 1h, or none.
	ForcePass time.Duration `default:"1s" range:"10ms..1h|none"`
	// FailureRejects counts Failure as not accepted. Default false: a backend that fails has accepted the call.
	FailureRejects bool
	// Mode is enforce, shadow or disabled. Default enforce.
	Mode core.Mode `range:"enforce|shadow|disabled"`
}

// Validate reports every field out of range at once, each with its name, value and what is allowed.
func (c Config) Validate() error { return schema.Validate(c) }

// Hooks are the functions that a throttle calls.
type Hooks = core.Hooks

func prepare(c Config) (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	return schema.Fill(c), nil
}

func describe(c Config) core.Policy { return core.Policy{Mode: c.Mode} }

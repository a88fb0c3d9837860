package bulkhead

import (
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// Config tunes a Bulkhead. Limit is required; an absent field means its default. Comparable, data only.
type Config struct {
	// Limit is how many slots there are: calls at once, if each costs 1. Required. Range 1 to 1e6.
	Limit int `required:"true" range:"1..1000000" example:"64"`
	// Queue is how many calls may wait for a slot. Default 0: none waits. Range 0 to 1e6.
	Queue int `range:"0..1000000"`
	// MaxWait is how long a queued call waits at most. Default 1s. Range 1ms to 1h.
	MaxWait time.Duration `default:"1s" range:"1ms..1h"`
	// MaxKeys is how many active keys a Keyed bulkhead tells apart; further new ones share one cell. A Bulkhead without
	// keys ignores it. Default 4096, about 0.5 MB when all are in use. Range 1 to 1048576.
	MaxKeys int `default:"4096" range:"1..1048576"`
	// Mode is enforce, shadow or disabled. Default enforce.
	Mode core.Mode `range:"enforce|shadow|disabled"`
}

// Validate reports every field out of range at once, each with its name, value and what is allowed.
func (c Config) Validate() error { return schema.Validate(c) }

// Hooks are the functions that a bulkhead calls.
type Hooks = core.Hooks

func prepare(c Config) (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	return schema.Fill(c), nil
}

func describe(c Config) core.Policy { return core.Policy{Mode: c.Mode, Limit: int64(c.Limit)} }

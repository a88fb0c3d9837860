package fallback

import (
	"context"
	"errors"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// Config tunes a Fallback. The zero Config is valid; an absent field means its default. Comparable, data only.
type Config struct {
	// Timeout is how long the step may take. Default 1s. Range 1ms to 1h, or none: as long as its caller waits, and no timer.
	Timeout time.Duration `default:"1s" range:"1ms..1h|none"`
	// Limit is how many calls may be in the step at once; further ones go on to the next step. Default 10 (Hystrix). Range 1
	// to 1e6, or none.
	Limit core.Count `default:"10" range:"1..1000000|none"`
	// Mode is enforce, shadow or disabled. Default enforce.
	Mode core.Mode `range:"enforce|shadow|disabled"`
}

// Validate reports every field out of range at once, each with its name, value and what is allowed.
func (c Config) Validate() error { return schema.Validate(c) }

// Hooks are the functions that a Fallback calls. The zero Hooks is valid.
type Hooks struct {
	core.Hooks
	// When is the step's condition: whether it answers for what came before it, which failed with err, or with o as
	// Classify says. nil means every failure that somebody still waits for; package doc has the list. It runs in the
	// caller's goroutine, under no lock and before the step takes a place.
	When func(o core.Outcome, err error) bool
}

// usual is the default of Hooks.When.
func usual(o core.Outcome, err error) bool {
	switch o {
	case core.Success, core.Canceled, core.Expired:
		return false
	case core.Ignored:
		return !errors.Is(err, context.Canceled)
	default:
		return true
	}
}

func prepare(c Config) (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	return schema.Fill(c), nil
}

func describe(c Config) core.Policy {
	return core.Policy{Mode: c.Mode, Limit: max(int64(c.Limit), 0)}
}

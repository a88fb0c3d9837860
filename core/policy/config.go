package policy

import (
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/core/schema"
)

// Config is the settings of every named machine, by kind and name: what a configuration file holds. A name that is not
// in it means the defaults of its kind, and is an error where the kind has a required field. Data only.
type Config struct {
	Breakers   map[string]breaker.Config
	RateLimits map[string]ratelimit.Config
	Bulkheads  map[string]bulkhead.Config
}

// Validate reports every bad field of every machine at once, each with its path, such as
// rate_limits.login.limit.
func (c Config) Validate() error { return schema.Validate(c) }

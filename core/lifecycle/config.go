package lifecycle

import (
	"time"

	"github.com/mw-go/mw/core/schema"
)

// Config tunes a Lifecycle. The zero Config is valid; an absent field means its default. Comparable, data only.
type Config struct {
	// Wait is how long the process serves on after it has said that it is not ready. Default 5s. Range 1ms to 5m, or none.
	Wait time.Duration `default:"5s" range:"1ms..5m|none"`
	// Grace is how long servers and calls have to come to an end, after Wait. Default 20s. Range 1ms to 1h.
	Grace time.Duration `default:"20s" range:"1ms..1h"`
}

// Validate reports every field out of range at once, each with its name, value and what is allowed.
func (c Config) Validate() error { return schema.Validate(c) }

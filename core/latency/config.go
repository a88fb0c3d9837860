package latency

import (
	"math/bits"
	"time"

	"github.com/mw-go/mw/core/schema"
	"github.com/mw-go/mw/core/simd"
)

// Config is the shape of a Window. The zero Config is valid; an absent field means its default. Comparable, data only.
type Config struct {
	// Window is the time over which durations are kept, in ten slices: what is reported is never older than this, and at
	// times a tenth less is seen. Default 10s. Range 100ms to 5m.
	Window time.Duration `default:"10s" range:"100ms..5m"`
	// Buckets is how finely durations are told apart: 8, 16 or 32 buckets an octave. Fixed when the Window is made. Default 208,
	// which bounds the error of a duration to 6.25 %; 416 to 3.2 %, 832 to 1.6 %.
	Buckets int `default:"208" range:"208|416|832"`
	// InFlight keeps track of calls that have begun and not ended as well, for Overdue; another 2 KB a stripe. Fixed when
	// the Window is made. Default false.
	InFlight bool
}

// Validate reports every field out of range at once, each with its name, value and what is allowed.
func (c Config) Validate() error { return schema.Validate(c) }

// prepare checks c and fills in what is absent.
func prepare(c Config) (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	return schema.Fill(c), nil
}

// retuned checks that a Window made with c may become one of next.
func (c Config) retuned(next Config) (Config, error) {
	next, err := prepare(next)
	switch {
	case err != nil:
	case next.Buckets != c.Buckets:
		err = schema.Errors{schema.Fault("buckets", next.Buckets, "what it was made with: a Window keeps its layout")}
	case next.InFlight != c.InFlight:
		err = schema.Errors{schema.Fault("in_flight", next.InFlight, "what it was made with: a Window keeps its layout")}
	}
	return next, err
}

// scale returns the number of bits that tell the buckets of an octave apart.
func (c Config) scale() scale { return scale(bits.Len(uint(c.Buckets/simd.Octaves)) - 1) }

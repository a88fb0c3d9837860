package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mw-go/mw/core/schema"
)

// Config says what is measured and where it is shown. The zero Config is valid.
type Config struct {
	// Registerer gets the collectors. nil means prometheus.DefaultRegisterer. A further Server or Client at the same one
	// shares the metrics of the first; each has its own MaxSeries.
	Registerer prometheus.Registerer `key:"-"`
	// MaxSeries is how many combinations of labels have series of their own. Default 1000. Range 1 to 100000.
	MaxSeries int `default:"1000" range:"1..100000"`
	// MaxHosts is how many hosts Client tells apart. Default 100. Range 1 to 10000.
	MaxHosts int `default:"100" range:"1..10000"`
	// Sizes measures the bodies of requests and responses as well: twice the cost and three times the series. Default
	// false.
	Sizes bool
	// Native adds a native histogram (factor 1.1, at most 160 buckets) to the duration. Scrapes must ask for it, and it
	// allocates at times. Default false.
	Native bool
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c Config) Validate() error { return schema.Validate(c) }

// check returns c with its defaults.
func (c Config) check() (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	c = schema.Fill(c)
	if c.Registerer == nil {
		c.Registerer = prometheus.DefaultRegisterer
	}
	return c, nil
}

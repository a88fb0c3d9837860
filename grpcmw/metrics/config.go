package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/mw-go/mw/core/schema"
)

// Config says what is measured and where it is shown. The zero Config is valid.
type Config struct {
	// Registerer gets the collectors. nil means prometheus.DefaultRegisterer. A further Server or Client at the same one
	// shares the metrics of the first; each has its own bounds.
	Registerer prometheus.Registerer `key:"-"`
	// Services are those whose methods have names of their own; all others are _OTHER. nil means whatever comes first. Their
	// series of Compatible are there from the beginning, at 0.
	Services []*grpc.ServiceDesc `key:"-"`
	// MaxMethods is how many methods are told apart; no fewer than the Services have. Default 500. Range 1 to 10000.
	MaxMethods int `default:"500" range:"1..10000"`
	// MaxTargets is how many targets Client tells apart. Default 100. Range 1 to 10000.
	MaxTargets int `default:"100" range:"1..10000"`
	// MaxSeries is how many combinations of labels have series of their own; no fewer than one for each method and code of the
	// Services. Default 1000. Range 1 to 100000.
	MaxSeries int `default:"1000" range:"1..100000"`
	// Native adds a native histogram (factor 1.1, at most 160 buckets) to the duration. Scrapes must ask for it, and it
	// allocates at times. Default false.
	Native bool
	// Compatible has the names of go-grpc-middleware instead. Default false.
	Compatible bool
	// HandlingTime adds the histogram of durations to Compatible. Default false.
	HandlingTime bool
	// Everything measures health checks, reflection and channelz as well, as go-grpc-middleware does. Default false.
	Everything bool
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c Config) Validate() error {
	var faults []error
	for _, s := range c.Services {
		if s == nil {
			faults = append(faults, schema.Fault("services", "nil", "a *grpc.ServiceDesc"))
			break
		}
	}
	if c.HandlingTime && !c.Compatible {
		faults = append(faults, schema.Fault("handling_time", "true", "false unless compatible is true"))
	}
	return schema.Validate(c, faults...)
}

// codesOf is how many codes gRPC knows.
const codesOf = int(codes.Unauthenticated) + 1

// check returns c with its defaults.
func (c Config) check() (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	c = schema.Fill(c)
	known := len(c.known())
	c.MaxMethods, c.MaxSeries = max(c.MaxMethods, known), max(c.MaxSeries, known*(codesOf+1))
	if c.Registerer == nil {
		c.Registerer = prometheus.DefaultRegisterer
	}
	return c, nil
}

// known are the methods of the Services, such as /shop.Orders/Place.
func (c *Config) known() (methods []string) {
	for _, s := range c.Services {
		for _, m := range s.Methods {
			methods = append(methods, "/"+s.ServiceName+"/"+m.MethodName)
		}
		for _, m := range s.Streams {
			methods = append(methods, "/"+s.ServiceName+"/"+m.StreamName)
		}
	}
	return methods
}

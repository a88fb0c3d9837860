package otelmetrics

import (
	"context"

	"github.com/mw-go/mw/grpcmw"
	"github.com/mw-go/mw/internal/series"
)

// Server returns the policy that measures calls to a server. Its place in the chain makes no difference to what is measured,
// but for the calls that a policy outside turns away.
//
// Errors: a Config that does not validate, and what the Meter says.
func Server(c Config) (*grpcmw.Interceptor, error) { return policy(c, "server", "Metrics") }

// Client returns the policy that measures the calls that a client makes. Inside a Retry it measures attempts, outside calls.
//
// Errors: a Config that does not validate, and what the Meter says.
func Client(c Config) (*grpcmw.Interceptor, error) { return policy(c, "client", "ClientMetrics") }

func policy(c Config, side, name string) (*grpcmw.Interceptor, error) {
	c, err := c.check()
	if err != nil {
		return nil, err
	}
	methods := series.NewRPCMethods(c.MaxMethods, c.known())
	duration, err := register(c, side, methods)
	if err != nil {
		return nil, err
	}
	targets := series.NewTargets(c.MaxTargets)
	cells := series.New(c.MaxSeries, optionsFor, func() options {
		return optionsOf(attrMethod.String(series.Other), attrCode.String(series.Other), attrError.String(series.Other))
	})
	end := func(s grpcmw.Summary) {
		m := methods.Of(s.Method)
		m.Add(-1)
		code, name := uint32(s.Code), grpcmw.CodeName(s.Code)
		key := series.RPC{
			Method: m.Name, Code: series.RPCCode(code, name), ErrorType: series.RPCError(s.Server, code, name, s.ErrorType),
		}
		if !s.Server {
			key.Target = targets.Of(s.Target)
		}
		duration.Record(context.Background(), s.Duration.Seconds(), cells.Get(key, nil)...)
	}
	return grpcmw.Observe(end, grpcmw.ObserveConfig{
		Name: name, Begin: func(s grpcmw.Summary) { methods.Of(s.Method).Add(1) }, Everything: c.Everything,
	}), nil
}

package metrics

import (
	"github.com/mw-go/mw/grpcmw"
	"github.com/mw-go/mw/internal/series"
)

// Server returns the policy that measures calls to a server. Its place in the chain makes no difference to what is measured,
// but for the calls that a policy outside turns away.
//
// Errors: a Config that does not validate, and what the Registerer says.
func Server(c Config) (*grpcmw.Interceptor, error) {
	c, err := c.check()
	if err != nil {
		return nil, err
	}
	if c.Compatible {
		return compatible(c, "server")
	}
	v, err := register(c, "server", labelMethod, labelCode, labelError)
	if err != nil {
		return nil, err
	}
	cells := series.New(c.MaxSeries,
		func(k series.RPC) cell { return v.cell(k.Method, k.Code, k.ErrorType) },
		func() cell { return v.cell(series.Other, series.Other, series.Other) })
	return v.policy(c, "Metrics", cells, series.Targets{}), nil
}

// Client returns the policy that measures the calls that a client makes. Inside a Retry it measures attempts, outside calls.
//
// Errors: a Config that does not validate, and what the Registerer says.
func Client(c Config) (*grpcmw.Interceptor, error) {
	c, err := c.check()
	if err != nil {
		return nil, err
	}
	if c.Compatible {
		return compatible(c, "client")
	}
	v, err := register(c, "client", labelMethod, labelHost, labelPort, labelCode, labelError)
	if err != nil {
		return nil, err
	}
	cells := series.New(c.MaxSeries,
		func(k series.RPC) cell { return v.cell(k.Method, k.Target.Name, k.Target.Port, k.Code, k.ErrorType) },
		func() cell { return v.cell(series.Other, series.Other, series.Other, series.Other, series.Other) })
	return v.policy(c, "ClientMetrics", cells, series.NewTargets(c.MaxTargets)), nil
}

// policy is the Interceptor of one side, which finds the cell of a call by its key.
func (v *vectors) policy(c Config, name string, cells *series.Table[series.RPC, cell], targets series.Targets) *grpcmw.Interceptor {
	methods := series.NewRPCMethods(c.MaxMethods, c.known())
	v.active.add(methods)
	end := func(s grpcmw.Summary) {
		m := methods.Of(s.Method)
		m.Add(-1)
		key := keyOf(&s, m)
		if !s.Server {
			key.Target = targets.Of(s.Target)
		}
		cells.Get(key, nil).Observe(s.Duration.Seconds())
	}
	return grpcmw.Observe(end, grpcmw.ObserveConfig{
		Name: name, Begin: func(s grpcmw.Summary) { methods.Of(s.Method).Add(1) }, Everything: c.Everything,
	})
}

func keyOf(s *grpcmw.Summary, m *series.RPCMethod) series.RPC {
	code, name := uint32(s.Code), grpcmw.CodeName(s.Code)
	return series.RPC{
		Method: m.Name, Code: series.RPCCode(code, name), ErrorType: series.RPCError(s.Server, code, name, s.ErrorType),
	}
}

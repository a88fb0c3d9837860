package httpmw

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/policy"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/timeout"
)

// ClientConfig is what only code can say of a client. The zero value is the default.
type ClientConfig struct {
	// Base sends the requests, such as a *Transport that the configuration tunes. nil means a Transport with its defaults.
	Base http.RoundTripper
	// Key says which cell of a keyed guard a request belongs to. nil means ByHost.
	Key KeyFunc
	// Retry and Hedge say which requests are sent again, and twice.
	Retry ClientRetryConfig
	Hedge ClientHedgeConfig
	// Budget tells servers how long their caller will wait. nil does not.
	Budget *ClientDeadlineConfig
	// Pace keeps to what the server's RateLimit fields say. nil does not.
	Pace *Pacer

	// What follows is left out if it is nil: outermost a fallback and a cache, then what sees each call, and innermost what sees
	// each attempt.
	Fallback       func(http.RoundTripper) http.RoundTripper
	Cache          func(http.RoundTripper) http.RoundTripper
	Metrics        func(http.RoundTripper) http.RoundTripper
	AttemptMetrics func(http.RoundTripper) http.RoundTripper
	Trace          func(http.RoundTripper) http.RoundTripper // a span an attempt
}

// Client returns one http.RoundTripper that holds all policies of the dependency of that name, outermost first:
//
//	ClientRequestID > Fallback > Cache > Metrics > ClientTimeout (total) > ClientRetry > ClientHedge > Pace >
//	ClientGuard(throttle, rate limit, breaker, bulkhead) > ClientTimeout (attempt) > ClientDeadline > AttemptMetrics > Trace > Base
//
// Which policies there are says the configuration in force: those that have settings under name, and timeouts.<name>-attempt
// for the time of an attempt, see policy.Set.ClientPlan. Retry and hedge share the budget of that name. A machine that has
// been asked for before under name, keyed or with hooks, is used as it is; a keyed breaker has a state for each host. All
// follow the configuration.
//
// Give it to an http.Client without a Timeout: that of the configuration covers the body too. Layers of RoundTrippers are
// unwrapped by Unwrap() http.RoundTripper.
//
// Errors: those of the machines and of the Configs, an order or times that make no sense, a nil Set, and a name that the
// configuration has nothing for.
func Client(set *policy.Set, name string, c ClientConfig) (http.RoundTripper, error) {
	if set == nil {
		return nil, errors.New("httpmw: Client: nil Set")
	}
	plan := set.ClientPlan(name)
	if plan.Empty() {
		return nil, fmt.Errorf("httpmw: Client: the configuration has no policy of the name %q", name)
	}
	stack, err := set.Client(plan)
	if err != nil {
		return nil, err
	}
	if c.Key == nil {
		c.Key = ByHost
	}
	if c.Base == nil {
		if c.Base, err = NewTransport(TransportConfig{}, TransportHooks{}); err != nil {
			return nil, err
		}
	}
	layers, err := c.layers(stack.Machines())
	if err != nil {
		return nil, err
	}
	rt := c.Base
	for i := len(layers) - 1; i >= 0; i-- {
		if layers[i] != nil {
			rt = layers[i](rt)
		}
	}
	return rt, nil
}

// layers puts the machines in front of a RoundTripper, with what is no machine in its place.
func (c *ClientConfig) layers(machines []core.Machine) ([]func(http.RoundTripper) http.RoundTripper, error) {
	list := []func(http.RoundTripper) http.RoundTripper{ClientRequestID(), c.Fallback, c.Cache, c.Metrics}
	var guards []Guarded
	var times []func(http.RoundTripper) http.RoundTripper // of attempts
	for _, m := range machines {
		switch m := m.(type) {
		case *timeout.Timeout:
			if m == machines[0] {
				list = append(list, ClientTimeout(m))
			} else {
				times = append(times, ClientTimeout(m))
			}
		case *retry.Retry:
			list = append(list, ClientRetry(m, c.Retry))
		case *hedge.Hedge:
			list = append(list, ClientHedge(m, c.Hedge))
		case core.Guard:
			guards = append(guards, Guarded{m, GuardConfig{Key: c.Key}})
		}
	}
	if c.Pace != nil {
		list = append(list, ClientPace(c.Pace))
	}
	if len(guards) > 0 {
		list = append(list, ClientGuard(guards...))
	}
	list = append(list, times...)
	if c.Budget != nil {
		budget, err := ClientDeadline(*c.Budget)
		if err != nil {
			return nil, err
		}
		list = append(list, budget)
	}
	return append(list, c.AttemptMetrics, c.Trace), nil
}

// ClientLayers returns the names of the layers of rt, outermost first, as Layers does for handlers.
func ClientLayers(rt http.RoundTripper) []string {
	var names []string
	for range maxLayers {
		if named, ok := rt.(interface{ Layer() string }); ok {
			names = append(names, named.Layer())
		}
		inner, ok := rt.(interface{ Unwrap() http.RoundTripper })
		if !ok {
			break
		}
		rt = inner.Unwrap()
	}
	return names
}

package grpcmw

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"google.golang.org/grpc"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/lifecycle"
	"github.com/mw-go/mw/core/policy"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/timeout"
)

// StreamPlan names the policies of streams, whose whole life says nothing of a service. An empty name leaves it out.
type StreamPlan struct {
	Bulkhead string // slots of streams; without it they take those of unary calls
	First    string // timeout of the first response
	Idle     string // timeout between messages
	MaxAge   string // timeout of the whole; on a client it gives back what a stream that nobody ends would keep
}

// The suffixes by which ServerOptions and DialOptions find the policies of streams in the configuration: bulkheads.api-streams,
// timeouts.api-first, timeouts.api-idle and timeouts.api-age for the name api.
const (
	StreamsSuffix = "-streams"
	FirstSuffix   = "-first"
	IdleSuffix    = "-idle"
	AgeSuffix     = "-age"
)

// ServerConfig is the Config of ServerOptions. The zero value is the default.
type ServerConfig struct {
	// Name is what the policies are called in the configuration. Default "grpc".
	Name string
	// Logger is that of Recover and Log. nil means slog.Default().
	Logger *slog.Logger
	// TrustRequestID takes over sane ids of callers. Default false.
	TrustRequestID bool
	// NoLog leaves Log out. Default false.
	NoLog bool
	// Key is the key function of keyed guards. nil means ByMethod.
	Key KeyFunc
	// Class says how critical a call is, such as ByClass. nil leaves it unclassified.
	Class func(ctx context.Context, i Info) core.Class
	// Tap turns calls away that the guards would not admit before they are read. nil does nothing.
	Tap *Tap
	// Observe are policies that observe the calls, such as metrics; they stand outside of Log.
	Observe []*Interceptor
	// Life turns calls away that begin when it drains, and tells the handlers of it. nil does nothing. Drain stops the server.
	Life *lifecycle.Lifecycle
	// Inside are policies for which a call must have been admitted, such as authentication and validation, outermost first.
	Inside []*Interceptor
}

// ServerOptions returns the recommended policies for a server as one interceptor for unary calls and one for streams:
//
//	Recover > RequestID > Observe > Log > Draining > Retry's mark > Timeout > Guard(rate limit, adaptive limit, bulkhead, breaker) > Inside
//
// Which guards and timeouts there are says the configuration in force: those that have settings under the Name, see
// policy.Set.ServerPlan and StreamPlan; a machine that has been asked for before under that name, keyed or with hooks, is
// used as it is. Settings of the name with /package.Service or /package.Service/Method behind it, such as
// timeouts."grpc/shop.Orders/Place", take the place of the general ones for those methods. All of them follow the
// configuration; settings for further methods, or of further kinds, need a restart.
//
// Errors: those of the machines, and an order that makes no sense.
func ServerOptions(set *policy.Set, c ServerConfig) ([]grpc.ServerOption, error) {
	if c.Name == "" {
		c.Name = "grpc"
	}
	if c.Key == nil {
		c.Key = ByMethod
	}
	i, err := routed(set, c.Name, func(names naming) (*Interceptor, error) { return c.chain(set, names) })
	if err != nil {
		return nil, err
	}
	return append(c.Tap.option(i), grpc.ChainUnaryInterceptor(i.UnaryServer), grpc.ChainStreamInterceptor(i.StreamServer)), nil
}

func (c *ServerConfig) chain(set *policy.Set, names naming) (*Interceptor, error) {
	plan := policy.ServerPlan{
		Timeout: names.timeout(""), RateLimit: names.rateLimit(), AdaptiveLimit: names.adaptive(), Bulkhead: names.bulkhead(""),
		Breaker: names.breaker(),
	}
	list := []*Interceptor{
		Recover(RecoverConfig{Logger: c.Logger}), RequestID(RequestIDConfig{TrustIncoming: c.TrustRequestID}),
	}
	list = append(list, c.Observe...)
	if !c.NoLog {
		list = append(list, Log(LogConfig{Logger: c.Logger}))
	}
	if c.Life != nil {
		list = append(list, Draining(c.Life))
	}
	list = append(list, single(&retries{}))
	var machines []core.Machine
	if !plan.Empty() {
		stack, err := set.Server(plan)
		if err != nil {
			return nil, err
		}
		machines = stack.Machines()
	}
	policies, err := layers(set, machines, names.streams(), GuardConfig{Key: c.Key, Class: c.Class})
	if err != nil {
		return nil, err
	}
	return Chain(append(append(list, policies...), c.Inside...)...), nil
}

// ClientConfig is the Config of DialOptions. The zero value is the default.
type ClientConfig struct {
	// Key is the key function of keyed guards. nil means ByTargetMethod.
	Key KeyFunc
	// Class says how critical a call is. nil leaves it unclassified.
	Class func(ctx context.Context, i Info) core.Class
	// Retry and Hedge say which calls are made again, and twice.
	Retry RetryConfig
	Hedge HedgeConfig
	// Observe are policies that observe the calls, such as metrics; ObserveAttempts those that observe each attempt.
	Observe, ObserveAttempts []*Interceptor
	// Outside are policies that may answer without a call, Fallback before Cache, outermost first.
	Outside []*Interceptor
}

// DialOptions returns the recommended policies for a client of the dependency of that name as one interceptor for unary calls
// and one for streams, and turns gRPC's own retries off if ours are on, for they would multiply:
//
//	RequestID > Observe > Outside > Timeout > Retry > Hedge > ObserveAttempts > Guard(throttle, rate limit, breaker, bulkhead) > Timeout
//
// Which of them there are says the configuration, as with ServerOptions: see policy.Set.ClientPlan and StreamPlan. The times
// of a stream are those of each attempt.
//
// Errors: those of the machines, and an order that makes no sense.
func DialOptions(set *policy.Set, name string, c ClientConfig) ([]grpc.DialOption, error) {
	if c.Key == nil {
		c.Key = ByTargetMethod
	}
	retries := false
	i, err := routed(set, name, func(names naming) (*Interceptor, error) {
		retries = retries || names.retry() != ""
		return c.chain(set, names)
	})
	if err != nil {
		return nil, err
	}
	options := []grpc.DialOption{grpc.WithChainUnaryInterceptor(i.UnaryClient), grpc.WithChainStreamInterceptor(i.StreamClient)}
	if retries {
		options = append(options, grpc.WithDisableRetry())
	}
	return options, nil
}

func (c *ClientConfig) chain(set *policy.Set, names naming) (*Interceptor, error) {
	plan := policy.ClientPlan{
		Timeout: names.timeout(""), Retry: names.retry(), Hedge: names.hedge(), Throttle: names.throttle(), RateLimit: names.rateLimit(),
		Breaker: names.breaker(), Bulkhead: names.bulkhead(""), AttemptTimeout: names.timeout(policy.AttemptSuffix),
		Budget: names.name, // one for all methods: it belongs to the backend
	}
	list := append([]*Interceptor{RequestID()}, c.Observe...)
	list = append(list, c.Outside...)
	var outside, inside []core.Machine
	if !plan.Empty() {
		stack, err := set.Client(plan)
		if err != nil {
			return nil, err
		}
		outside, inside = split(stack.Machines())
	}
	for _, m := range outside {
		switch m := m.(type) {
		case *timeout.Timeout:
			list = append(list, Timeout(m))
		case *retry.Retry:
			list = append(list, Retry(m, c.Retry))
		case *hedge.Hedge:
			list = append(list, Hedge(m, c.Hedge))
		}
	}
	list = append(list, c.ObserveAttempts...)
	policies, err := layers(set, inside, names.streams(), GuardConfig{Key: c.Key, Class: c.Class})
	if err != nil {
		return nil, err
	}
	return Chain(append(list, policies...)...), nil
}

// split divides a client's stack into what makes attempts, with what is outside of that, and what each attempt passes. Without
// anything that makes attempts a first timeout is that of the whole.
func split(machines []core.Machine) (outside, inside []core.Machine) {
	n := 0
	for i, m := range machines {
		switch m.(type) {
		case *retry.Retry, *hedge.Hedge:
			n = i + 1
		case *timeout.Timeout:
			if i == 0 {
				n = 1
			}
		}
	}
	return machines[:n], machines[n:]
}

// layers puts machines into policies: guards that follow each other into one, in which streams have a bulkhead of their own
// if the plan names one, and the timeouts of streams round them.
func layers(set *policy.Set, machines []core.Machine, plan StreamPlan, conf GuardConfig) ([]*Interceptor, error) {
	var list, inner []*Interceptor
	var guards []Guarded
	var err error
	var streams TimeoutConfig
	get := func(name string) *timeout.Timeout {
		if name == "" || err != nil {
			return nil
		}
		var t *timeout.Timeout
		t, err = set.Timeout(name, timeout.Hooks{})
		return t
	}
	streams.First, streams.Idle, streams.MaxAge = get(plan.First), get(plan.Idle), get(plan.MaxAge)
	if streams.First != nil || streams.Idle != nil || streams.MaxAge != nil {
		list = append(list, Timeout(nil, streams))
	}
	for _, m := range machines {
		switch m := m.(type) {
		case *timeout.Timeout:
			if len(guards) == 0 {
				list = append(list, Timeout(m))
			} else {
				inner = append(inner, Timeout(m))
			}
		case core.Guard:
			g := Guarded{m, conf}
			if plan.Bulkhead != "" && m.(core.Machine).Status().Policy.Kind == core.KindBulkhead {
				g.Only = Unary
			}
			guards = append(guards, g)
		}
	}
	if plan.Bulkhead != "" && err == nil {
		var slots core.Guard
		slots, err = set.Bulkhead(plan.Bulkhead, core.Hooks{})
		conf.Only = Streams
		guards = append(guards, Guarded{slots, conf})
	}
	if err != nil {
		return nil, err
	}
	if len(guards) > 0 {
		list = append(list, Guard(guards...))
	}
	return append(list, inner...), nil
}

// naming finds the most specific name that a section of the configuration has settings for.
type naming struct {
	config policy.Config
	name   string   // general
	extra  []string // the more specific ones, the most specific first
}

func find[C any](n naming, settings map[string]C, suffix string) string {
	for _, name := range append(n.extra, n.name) {
		if _, ok := settings[name+suffix]; ok {
			return name + suffix
		}
	}
	return ""
}

func (n naming) timeout(suffix string) string  { return find(n, n.config.Timeouts, suffix) }
func (n naming) bulkhead(suffix string) string { return find(n, n.config.Bulkheads, suffix) }
func (n naming) retry() string                 { return find(n, n.config.Retries, "") }
func (n naming) hedge() string                 { return find(n, n.config.Hedges, "") }
func (n naming) throttle() string              { return find(n, n.config.Throttles, "") }
func (n naming) rateLimit() string             { return find(n, n.config.RateLimits, "") }
func (n naming) adaptive() string              { return find(n, n.config.AdaptiveLimits, "") }
func (n naming) breaker() string               { return find(n, n.config.Breakers, "") }

func (n naming) streams() StreamPlan {
	return StreamPlan{
		Bulkhead: n.bulkhead(StreamsSuffix), First: n.timeout(FirstSuffix), Idle: n.timeout(IdleSuffix), MaxAge: n.timeout(AgeSuffix),
	}
}

// routed builds the interceptor for all methods, and one for each service and each method that the configuration names.
func routed(set *policy.Set, name string, build func(naming) (*Interceptor, error)) (*Interceptor, error) {
	if set == nil {
		return nil, errors.New("grpcmw: nil Set")
	}
	config := set.Config()
	general, err := build(naming{config: config, name: name})
	if err != nil {
		return nil, err
	}
	for _, specific := range config.Names() {
		path, ok := strings.CutPrefix(specific, name+"/")
		if !ok {
			continue
		}
		service, method, _ := strings.Cut(trimSuffixes(path), "/")
		if service == "" || strings.Contains(method, "/") {
			return nil, fmt.Errorf("grpcmw: %q names no method: write %s/package.Service or %s/package.Service/Method", specific, name, name)
		}
		extra := []string{name + "/" + service}
		key := "/" + service + "/"
		if method != "" {
			extra = []string{name + "/" + service + "/" + method, extra[0]}
			key += method
		}
		if general.routes[key] != nil {
			continue
		}
		one, err := build(naming{config: config, name: name, extra: extra})
		if err != nil {
			return nil, err
		}
		if general.routes == nil {
			general.routes = make(map[string]*Interceptor)
		}
		general.routes[key] = one
	}
	return general, nil
}

// trimSuffixes takes off what stands behind the name of a method in the names of policies.
func trimSuffixes(path string) string {
	for _, s := range []string{policy.AttemptSuffix, StreamsSuffix, FirstSuffix, IdleSuffix, AgeSuffix} {
		if rest, ok := strings.CutSuffix(path, s); ok {
			return rest
		}
	}
	return path
}

package httpmw

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/policy"
	"github.com/mw-go/mw/core/timeout"
)

// ServerConfig is what only code can say of a server's stack. The zero value is the default, but for Trust behind a proxy.
type ServerConfig struct {
	// Name is what the policies are called in the configuration. Default "http".
	Name string
	// Trust says whom to believe about the address of a client, for the log, for keys and for TLS. Default nobody.
	Trust Trust
	// TrustRequestID takes over sane ids of callers. Default false.
	TrustRequestID bool
	// Logger is that of Recover and of the access log. nil means slog.Default().
	Logger *slog.Logger
	// LogJSON is where the access log is written as lines of JSON, past Logger. nil means Logger.
	LogJSON io.Writer
	// NoAccessLog leaves the access log out. Default false.
	NoAccessLog bool
	// Health are the paths, exact ones, of health checks: no guard sees them, and the access log leaves them out. nil means
	// /healthz, /livez and /readyz; an empty list exempts none.
	Health []string
	// Key says which cell of a keyed guard a request belongs to. nil means ByClientIP(Trust).
	Key KeyFunc
	// Criticality says how critical a request is, for an adaptive limit. The zero value leaves it open.
	Criticality CriticalityConfig
	// Budget takes the time that callers say they will wait into account: Deadline in place of Timeout. nil does not.
	Budget *DeadlineConfig
	// Timeout is that of Timeout, such as for the enforced form.
	Timeout TimeoutConfig
	// SecureHeaders are the security fields; their Trust is Trust. Default the preset for APIs.
	SecureHeaders SecureHeadersConfig
	// NoSecureHeaders leaves them out, such as behind a proxy that sets them. Default false.
	NoSecureHeaders bool
	// BodyLimit bounds bodies. Default 1 MiB.
	BodyLimit BodyLimitConfig

	// What follows is left out if it is nil. Those that bring a dependency are in subpackages: metrics, otelmetrics, trace,
	// cors, compress.
	Metrics      func(http.Handler) http.Handler
	Trace        func(http.Handler) http.Handler
	CORS         func(http.Handler) http.Handler
	CSRF         func(http.Handler) http.Handler
	Fallback     func(http.Handler) http.Handler
	Authenticate func(http.Handler) http.Handler // who may, and who asks; it runs for requests that the guards have admitted
	Decompress   func(http.Handler) http.Handler
	Cache        func(http.Handler) http.Handler
	Compress     func(http.Handler) http.Handler
	ETag         func(http.Handler) http.Handler
	// Inside stand nearest to the handlers, outermost first, such as IdempotencyKey and Validate.
	Inside []func(http.Handler) http.Handler
}

// Server returns the recommended stack of a server, outermost first, for mw.Chain:
//
//	Recover > RequestID > ClientIP > Metrics > Trace > AccessLog > SecureHeaders > CORS > HeaderLimits > CSRF > Criticality >
//	Timeout or Deadline > Fallback > Guard(rate limit, adaptive limit, bulkhead, breaker) > Authenticate > BodyLimit >
//	Decompress > Cache > Compress > ETag > Inside > handler
//
// Which guards there are, and whether there is a time, says the configuration in force: those that have settings under the
// Name, see policy.Set.ServerPlan; a machine that has been asked for before under that name, keyed or with hooks, is used as it
// is. All follow the configuration.
//
// Why so: Recover covers all others. The client, the log and the metrics come before whatever may answer, so that they see
// refusals too, and so do the security fields and CORS, for refusals have to carry them. The time bounds the queues of the
// guards. What is expensive, a login or a body, comes after the guards; the cache after the login, so that nobody is served
// what is another's, and outside of Compress, so that hits are compressed already.
//
// Errors: those of the machines and of the Configs, an order of policies that makes no sense, and a nil Set.
func Server(set *policy.Set, c ServerConfig) ([]func(http.Handler) http.Handler, error) {
	if set == nil {
		return nil, errors.New("httpmw: Server: nil Set")
	}
	b := &stackBuilder{}
	c.fill()
	b.add(Recover(RecoverConfig{Logger: c.Logger}), RequestID(RequestIDConfig{TrustIncoming: c.TrustRequestID}))
	b.add(ClientIP(c.Trust, ClientIPConfig{Logger: c.Logger}), c.Metrics, c.Trace)
	if !c.NoAccessLog {
		log := AccessLogConfig{Logger: c.Logger, Skip: c.healthy}
		if c.LogJSON != nil {
			log.Logger, log.JSON = nil, c.LogJSON // one of the two; the Logger is Recover's as well
		}
		b.add(AccessLog(log))
	}
	if !c.NoSecureHeaders {
		c.SecureHeaders.Trust = c.Trust
		b.try(SecureHeaders(c.SecureHeaders))
	}
	b.add(c.CORS)
	b.try(HeaderLimits(HeaderLimitsConfig{}))
	b.add(c.CSRF)
	if c.Criticality.Class != nil || c.Criticality.Trusted != nil {
		b.try(Criticality(c.Criticality))
	}
	c.guard(b, set)
	b.add(c.Authenticate)
	b.try(BodyLimit(c.BodyLimit))
	b.add(c.Decompress, c.Cache, c.Compress, c.ETag)
	b.add(c.Inside...)
	return b.list, errors.Join(b.faults...)
}

// fill puts the defaults in.
func (c *ServerConfig) fill() {
	if c.Name == "" {
		c.Name = "http"
	}
	if c.Health == nil {
		c.Health = []string{"/healthz", "/livez", "/readyz"}
	}
	if c.Key == nil {
		c.Key = ByClientIP(c.Trust)
	}
}

// healthy reports whether r is a health check.
func (c *ServerConfig) healthy(r *http.Request) bool { return slices.Contains(c.Health, r.URL.Path) }

// guard adds what the configuration says: the time, the fallback inside of it, and the guards.
func (c *ServerConfig) guard(b *stackBuilder, set *policy.Set) {
	plan := set.ServerPlan(c.Name)
	if plan.Empty() {
		b.add(c.Fallback)
		return
	}
	stack, err := set.Server(plan)
	if err != nil {
		b.faults = append(b.faults, err)
		return
	}
	var guards []Guarded
	for _, m := range stack.Machines() {
		switch m := m.(type) {
		case *timeout.Timeout:
			if c.Budget != nil {
				b.try(Deadline(m, *c.Budget))
			} else {
				b.try(Timeout(m, c.Timeout))
			}
		case core.Guard:
			guards = append(guards, Guarded{m, GuardConfig{Key: c.Key, Skip: c.healthy}})
		}
	}
	b.add(c.Fallback)
	if len(guards) > 0 {
		b.add(Guard(guards...))
	}
}

// stackBuilder collects a stack, and what is wrong with it.
type stackBuilder struct {
	list   []func(http.Handler) http.Handler
	faults []error
}

// add leaves nil ones out.
func (b *stackBuilder) add(layers ...func(http.Handler) http.Handler) {
	for _, l := range layers {
		if l != nil {
			b.list = append(b.list, l)
		}
	}
}

func (b *stackBuilder) try(l func(http.Handler) http.Handler, err error) {
	if err != nil {
		b.faults = append(b.faults, err)
		return
	}
	b.add(l)
}

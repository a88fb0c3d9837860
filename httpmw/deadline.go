package httpmw

import (
	"errors"
	"net/http"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
	"github.com/mw-go/mw/core/timeout"
)

// DeadlineConfig is the Config of Deadline. The zero value is the default.
type DeadlineConfig struct {
	// Header is the field in which callers say how long they will wait: milliseconds (1500) or a duration with units
	// (1.5s, 250ms). What cannot be read, and a field that occurs twice, is taken for absent. Grpc-Timeout is read as well, in
	// the syntax of gRPC; of both the shorter counts. Default Request-Timeout.
	Header string `default:"Request-Timeout"`
	// Trusted tells which requests are believed, such as FromPeers. nil believes all: a caller can only make its own time
	// shorter.
	Trusted func(*http.Request) bool `key:"-"`
	// Skip exempts requests. nil exempts none.
	Skip func(*http.Request) bool `key:"-"`
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c DeadlineConfig) Validate() error { return schema.Validate(c, checkField("header", c.Header)) }

// checkField reports a name that is no field name. Empty means the default.
func checkField(key, name string) error {
	if name != "" && !isToken(name) {
		return schema.Fault(key, name, "the name of a header field")
	}
	return nil
}

// Deadline is the cooperative Timeout for a service whose callers say how long they will wait: the handler has the time
// of t, or what the caller has left less t's Margin if that is shorter, and its context says so to everything behind it,
// ClientDeadline for one. A handler that gives up when the caller's time is over is answered for with 503, like
// one that t's limit ends; guards outside are told that it was the caller's time.
//
// What is not worth beginning with is turned away at the door, with 503 and Retry-After: a request whose caller has
// less left than t's MinRest, or than its RestQuantile of how long good answers took (0.5 is the median), or nothing.
//
// It is best near the outside of the chain, and one t for routes that take about as long. The deadline is as good as the
// way here is short: what a request has waited in the server's own queues before is not known.
//
// It fails if t is nil or the Config does not validate. At most one Config.
func Deadline(t *timeout.Timeout, c ...DeadlineConfig) (func(http.Handler) http.Handler, error) {
	config := atMostOne("Deadline", c)
	if t == nil {
		return nil, errors.New("httpmw: Deadline: nil timeout")
	}
	if err := config.Validate(); err != nil {
		return nil, err
	}
	field := http.CanonicalHeaderKey(schema.Fill(config).Header)
	parse := parserOf(field)
	told := func(r *http.Request) time.Duration {
		if config.Trusted != nil && !config.Trusted(r) {
			return core.Never
		}
		left := budgetOf(r.Header, field, parse)
		if field == fieldGRPCTimeout {
			return left
		}
		return min(left, budgetOf(r.Header, fieldGRPCTimeout, parseGRPCTimeout))
	}
	return wrap("Deadline", &timeLimit{t: t, skip: config.Skip, told: told}), nil
}

// FromPeers tells whether a request comes straight from one of the proxies of trust, for what is believed of nobody else:
// DeadlineConfig.Trusted, ShedConfig.Trusted. With TrustNone it is never true, with TrustHops always.
func FromPeers(trust Trust) func(*http.Request) bool {
	return func(r *http.Request) bool {
		_, trusted := trust.peer(r)
		return trusted
	}
}

package httpmw

import (
	"net/http"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// ClientDeadlineConfig is the Config of ClientDeadline. The zero value is the default.
type ClientDeadlineConfig struct {
	// Header is the field that tells the server how long its caller will wait, in milliseconds (1500ms); Grpc-Timeout is
	// written in the syntax of gRPC. Default Request-Timeout.
	Header string `default:"Request-Timeout"`
	// Margin is kept back for the way there and back: at most half of what is left. Default 10ms. Range 1ms to 1m, or none.
	Margin time.Duration `default:"10ms" range:"1ms..1m|none"`
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c ClientDeadlineConfig) Validate() error {
	return schema.Validate(c, checkField("header", c.Header))
}

// ClientDeadline tells the server how long its caller will wait: what is left until the deadline of the request's context,
// less Margin. So a budget shrinks from hop to hop, and work that nobody waits for is not begun: a service behind
// Deadline has it in its requests' contexts, from where the next ClientDeadline takes it.
//
// A field that the request has already, such as a proxy passes on, is made shorter and never longer. A request without a
// deadline is sent as it is. http.Client.Timeout is a deadline too. Put it inside of retries and of the timeouts of
// attempts, so that each attempt says what is left for it.
//
// It fails if the Config does not validate. At most one Config.
func ClientDeadline(c ...ClientDeadlineConfig) (func(http.RoundTripper) http.RoundTripper, error) {
	config := atMostOne("ClientDeadline", c)
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config = schema.Fill(config)
	field := http.CanonicalHeaderKey(config.Header)
	format := formatBudget
	if field == fieldGRPCTimeout {
		format = formatGRPCTimeout
	}
	return func(next http.RoundTripper) http.RoundTripper {
		return &clientDeadline{newClientLayer("ClientDeadline", next), field, max(config.Margin, 0), format}
	}, nil
}

type clientDeadline struct {
	clientLayer
	field  string
	margin time.Duration
	format func(time.Duration) string
}

// RoundTrip implements http.RoundTripper.
func (t *clientDeadline) RoundTrip(r *http.Request) (*http.Response, error) {
	deadline, ok := r.Context().Deadline()
	if !ok {
		return t.next.RoundTrip(r)
	}
	left := max(time.Until(deadline), 0)
	left -= min(t.margin, left/2)
	if told := budgetOf(r.Header, t.field, parserOf(t.field)); told < left && told != core.Never {
		return t.next.RoundTrip(r)
	}
	r = withHeader(r)
	r.Header[t.field] = []string{t.format(left)}
	return t.next.RoundTrip(r)
}

// withHeader returns a copy of r with a header of its own: a RoundTripper must not change its caller's.
func withHeader(r *http.Request) *http.Request {
	r = r.WithContext(r.Context())
	if r.Header = r.Header.Clone(); r.Header == nil {
		r.Header = http.Header{}
	}
	return r
}

package httpmw

import (
	"net/http"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// ClientCriticalityConfig is the Config of ClientCriticality. The zero value is the default.
type ClientCriticalityConfig struct {
	// Header is the field that tells the server how critical the request is. Default Request-Criticality.
	Header string `default:"Request-Criticality"`
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c ClientCriticalityConfig) Validate() error {
	return schema.Validate(c, checkField("header", c.Header))
}

// ClientCriticality tells the server how critical the request is, by ClassOf of its context, so that what a handler
// calls is shed with the handler's own request. Without a class the field is taken off: a proxy would otherwise pass on, as
// its own word, what its client wrote.
//
// It fails if the Config does not validate. At most one Config.
func ClientCriticality(c ...ClientCriticalityConfig) (func(http.RoundTripper) http.RoundTripper, error) {
	config := atMostOne("ClientCriticality", c)
	if err := config.Validate(); err != nil {
		return nil, err
	}
	field := http.CanonicalHeaderKey(schema.Fill(config).Header)
	return func(next http.RoundTripper) http.RoundTripper {
		return &clientCriticality{newClientLayer("ClientCriticality", next), field}
	}, nil
}

type clientCriticality struct {
	clientLayer
	field string
}

// RoundTrip implements http.RoundTripper.
func (t *clientCriticality) RoundTrip(r *http.Request) (*http.Response, error) {
	class := ClassOf(r.Context())
	_, has := r.Header[t.field]
	switch {
	case class != core.Unclassified && int(class) < len(classNames):
		r = withHeader(r)
		r.Header[t.field] = []string{classNames[class]}
	case has:
		r = withHeader(r)
		delete(r.Header, t.field)
	}
	return t.next.RoundTrip(r)
}

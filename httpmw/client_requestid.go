package httpmw

import (
	"net/http"

	"github.com/mw-go/mw/internal/reqid"
)

// ClientRequestIDConfig is the Config of ClientRequestID. The zero value is the default.
type ClientRequestIDConfig struct {
	// Generate gives a new id to requests that are made outside of any request with one, such as those of a job. Default
	// false: they are sent without.
	Generate bool
}

// ClientRequestID sends the id of the request that is being served on, as X-Request-ID: RequestIDFrom of the context. A
// request that has the field already keeps it.
//
// Put it outside a ClientRetry, so that all attempts have one id. It costs the copy of a request and its header where it
// adds a field, and nothing elsewhere. At most one Config.
func ClientRequestID(c ...ClientRequestIDConfig) func(http.RoundTripper) http.RoundTripper {
	conf := atMostOne("ClientRequestID", c)
	return func(next http.RoundTripper) http.RoundTripper {
		return &clientRequestID{clientLayer: newClientLayer("ClientRequestID", next), conf: conf}
	}
}

type clientRequestID struct {
	clientLayer
	conf ClientRequestIDConfig
}

// RoundTrip implements http.RoundTripper.
func (t *clientRequestID) RoundTrip(r *http.Request) (*http.Response, error) {
	id := RequestIDFrom(r.Context())
	if id == "" && t.conf.Generate {
		id = reqid.New()
	}
	if _, has := r.Header[headerRequestID]; has || id == "" {
		return t.next.RoundTrip(r)
	}
	down := r.WithContext(r.Context())
	down.Header = make(http.Header, len(r.Header)+1) // the values are shared: nobody may change them
	for name, values := range r.Header {
		down.Header[name] = values
	}
	down.Header[headerRequestID] = []string{id}
	return t.next.RoundTrip(down)
}

package httpmw

import (
	"net/http"

	"github.com/mw-go/mw/internal/reqid"
)

// RequestIDConfig is the Config of RequestID. The zero value is the default.
type RequestIDConfig struct {
	// TrustIncoming takes over the X-Request-ID of the request, if there is exactly one and it is sane: 1 to 128
	// bytes of A-Z a-z 0-9 . _ ~ + / = : -. Anything else is replaced. Set it behind a proxy that sets the field. Default
	// false: the field is ignored, for whoever can choose ids can make two requests look like one in the logs.
	TrustIncoming bool
}

// RequestID returns a middleware that gives each request an id, for RequestIDFrom and the logs, and sends it to the
// client as X-Request-ID, on errors too.
//
// A new id is 128 random bits in 32 hexadecimal digits, the form of a W3C trace id. The bits come from crypto/rand
// and not from math/rand/v2: ids end up in places where somebody relies on their not being guessable, such as links
// to a support case, and the difference is some 50 ns a request. A request that already has an id, because the
// middleware stands in the chain twice, keeps it.
//
// It costs one allocation, the id. At most one Config.
func RequestID(c ...RequestIDConfig) func(http.Handler) http.Handler {
	return wrap("RequestID", &requestID{trust: atMostOne("RequestID", c).TrustIncoming})
}

// headerRequestID is in canonical form, for direct use of the header map.
const headerRequestID = "X-Request-Id"

type requestID struct{ trust bool }

func (m *requestID) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	rec := x.rec
	if rec.id == "" {
		rec.id = m.incoming(r)
		if rec.id == "" {
			rec.id = reqid.New()
		}
		rec.idField[0] = rec.id
		w.Header()[headerRequestID] = rec.idField[:]
	}
	next.ServeHTTP(w, r)
}

// incoming returns the request's own id, "" if it is not to be used.
func (m *requestID) incoming(r *http.Request) string {
	if !m.trust {
		return ""
	}
	v := r.Header[headerRequestID]
	if len(v) != 1 || !reqid.Sane(v[0]) {
		return ""
	}
	return v[0]
}

package httpmw

import (
	"net/http"

	"github.com/mw-go/mw/core"
)

// refuse answers r with p for a middleware that rejects by a rule of its own and has not called the handler. It does not
// read the body. In shadow mode it takes note for the access log and returns false: the request passes.
//
// Trailers that somebody outside has announced do not keep it from answering, as with guards. If a part of the
// response was sent outside, the response is aborted.
func (x *exchange) refuse(w http.ResponseWriter, r *http.Request, mode core.Mode, p *problem, errorType string) bool {
	if mode == core.Shadow {
		x.rec.shadow(errorType)
		return false
	}
	x.rec.rejected = true
	x.rec.fail(errorType)
	if hasBegun(w) {
		if !x.hijacked {
			panic(http.ErrAbortHandler)
		}
		return true
	}
	delete(w.Header(), "Retry-After") // whoever set it spoke of something else
	sendProblem(w, r, p)
	return true
}

// isSafe reports whether a standard defines the method m as safe (RFC 9110 section 9.2.1, QUERY).
func isSafe(m string) bool {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, "QUERY":
		return true
	default:
		return false
	}
}

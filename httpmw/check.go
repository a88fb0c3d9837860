package httpmw

import (
	"errors"
	"net/http"
	"slices"
)

// OrderError is two middlewares in an order that makes no sense. Immutable.
type OrderError struct {
	Outer string // the name of the middleware, such as "Bulkhead"
	Inner string // of the one inside it
	Why   string // a sentence
}

// Error returns such as `httpmw: Bulkhead outside ClientIP: ...`.
func (e *OrderError) Error() string {
	return "httpmw: " + e.Outer + " outside " + e.Inner + ": " + e.Why
}

// Layers returns the names of the middlewares in front of h, outermost first. It finds those whose handlers have the
// methods Layer() string and Unwrap() http.Handler, as all of this module's have; it ends at the first handler without
// Unwrap, such as a mux or another package's middleware.
func Layers(h http.Handler) []string {
	var names []string
	for range maxLayers {
		if named, ok := h.(interface{ Layer() string }); ok {
			names = append(names, named.Layer())
		}
		inner, ok := h.(interface{ Unwrap() http.Handler })
		if !ok {
			break
		}
		h = inner.Unwrap()
	}
	return names
}

// maxLayers is a bound, in case a handler unwraps to itself.
const maxLayers = 256

// Check reports, each as an *OrderError with the reason, the middlewares in front of h that stand in an order that makes no
// sense, and those that stand there twice. nil if there is nothing to report. Call it once, when the wiring is done:
//
//	handler := mw.Chain(...)(mux)
//	if err := httpmw.Check(handler); err != nil { ... }
//
// It sees what Layers sees. What it does not report is not thereby recommended; Server has the order that is.
func Check(h http.Handler) error {
	names := Layers(h)
	var faults []error
	for i, outer := range names {
		for _, inner := range names[i+1:] {
			if why := misplaced(outer, inner); why != "" {
				faults = append(faults, &OrderError{outer, inner, why})
			}
		}
	}
	return errors.Join(faults...)
}

// answersEarly are the middlewares that may answer a request themselves.
var answersEarly = []string{
	"Timeout", "Deadline", "RateLimit", "Bulkhead", "Breaker", "Shed", "Guard", "Fallback", "BodyLimit", "Decompress", "Cache",
	"CSRF", "Validate", "IdempotencyKey", "EarlyData", "HeaderLimits", "ETag",
}

// guarding are the guards' middlewares.
var guarding = []string{"RateLimit", "Bulkhead", "Breaker", "Shed", "Guard"}

// once are the middlewares of which a second has no effect, or a bad one.
var once = map[string]string{
	"Recover":        "the inner one takes every panic, the outer none",
	"RequestID":      "the request keeps the id of the outer one",
	"AccessLog":      "every request is logged twice",
	"ClientIP":       "the inner one's trust replaces the outer one's",
	"Metrics":        "every request is counted twice",
	"Trace":          "every request has two spans",
	"Compress":       "the inner one has decided already, the outer one does nothing",
	"Decompress":     "the body is decoded when the inner one comes",
	"CORS":           "the fields of one overwrite those of the other",
	"CSRF":           "every request is judged twice",
	"SecureHeaders":  "the outer one never overrides what the inner one has set",
	"ETag":           "the response is held and hashed twice",
	"Cache":          "the outer one answers, and what the inner one knows grows old",
	"IdempotencyKey": "the inner one sees only what the outer one has let pass",
	"Shed":           "two adaptive limits take each other's queues for the latency of the handler",
}

// misplaced returns what is wrong with the two, or "".
func misplaced(outer, inner string) string {
	if outer == inner {
		return once[outer]
	}
	in := func(name string, list []string) bool { return slices.Contains(list, name) }
	switch {
	case inner == "Recover" && (outer == "AccessLog" || outer == "CORS" || outer == "SecureHeaders" || in(outer, answersEarly)):
		return "a panic between them is not recovered: Recover covers what is inside of it, and belongs outermost; AccessLog sees what the client got from any place"
	case inner == "ClientIP" && in(outer, guarding):
		return "the limit would look for the client by itself, before ClientIP has found it"
	case inner == "CORS" && (in(outer, guarding) || outer == "CSRF" || outer == "Authenticate" || outer == "Authorize"):
		return "a preflight carries no credentials and is refused, and a page cannot read a refusal without the fields of CORS"
	case inner == "SecureHeaders" && in(outer, answersEarly):
		return "what it answers by itself would lack the security fields"
	case outer == "Compress" && inner == "Cache":
		return "every hit would be compressed anew; with Cache outside, what is stored is compressed already"
	case inner == "Fallback" && (outer == "Breaker" || outer == "Guard"):
		return "it would hear of the fallback's success and never of the failure"
	case (outer == "Validate" || outer == "IdempotencyKey") && inner == "Decompress":
		return "it would read a body that is still compressed"
	case outer == "Cache" && (inner == "Authenticate" || inner == "Authorize"):
		return "a response would be served without asking who wants it"
	case outer == "Validate" && inner == "BodyLimit", outer == "IdempotencyKey" && inner == "BodyLimit":
		return "the body would be read before it is bounded"
	case outer == "ETag" && inner == "Compress":
		return "it would hash what the compressor makes of the response, which differs between its versions"
	default:
		return ""
	}
}

package httpmw

import (
	"net/http"

	"github.com/mw-go/mw/core"
)

// The answers of this package that need no facts, ready to be sent. They are never written to.
var (
	problemPanic   = newProblem(problemSpec{Status: http.StatusInternalServerError})
	problemTimeout = newProblem(problemSpec{
		Status: http.StatusServiceUnavailable,
		Detail: "the request took too long",
	})
	problemGateway   = newProblem(problemSpec{Status: http.StatusBadGateway})
	problemTooLarge  = newProblem(problemSpec{Status: http.StatusRequestEntityTooLarge, Title: "Content Too Large"})
	problemHeader    = newProblem(problemSpec{Status: http.StatusRequestHeaderFieldsTooLarge})
	problemTooEarly  = newProblem(problemSpec{Status: http.StatusTooEarly})
	problemForbidden = newProblem(problemSpec{
		Status: http.StatusForbidden,
		Detail: "the request comes from another site",
	})
)

// The error.type of what goes wrong in this package, for access logs and metrics. A guard's rejection has the name of
// its reason; an error status has its number.
const (
	errorPanic    = "panic"
	errorTimeout  = "timeout"
	errorAborted  = "aborted"
	errorCanceled = "canceled"

	errorTooLarge    = "body_too_large"
	errorHeader      = "header_too_large"
	errorEarlyData   = "early_data"
	errorCrossOrigin = "csrf_cross_origin"
	errorNoOrigin    = "csrf_no_origin"
	errorBadOrigin   = "csrf_bad_origin"
	errorIsolated    = "csrf_isolated"
)

// rejectionTable is the one table of HTTP answers to rejections. Kinds that are not in it, those of guards of your own,
// are answered like a bulkhead.
var rejectionTable = map[core.Kind]problemSpec{
	core.KindRateLimit: {
		Status: http.StatusTooManyRequests,
		Type:   problemTypes + "quota-exceeded",
		Title:  "Request cannot be satisfied as assigned quota has been exceeded",
	},
	core.KindBreaker:  {Status: http.StatusServiceUnavailable},
	core.KindBulkhead: reducedCapacity,
	core.KindAdaptive: reducedCapacity,
}

// problemTypes is the registry of problem types that draft-ietf-httpapi-ratelimit-headers adds to.
const problemTypes = "https://iana.org/assignments/http-problem-types#"

var reducedCapacity = problemSpec{
	Status: http.StatusServiceUnavailable,
	Type:   problemTypes + "temporary-reduced-capacity",
	Title:  "Request cannot be satisfied due to temporary server capacity constraints",
}

// rejectionProblem is the answer to a rejection by p. It names the policy if the problem's type has a member for it.
func rejectionProblem(p *core.Policy) *problem {
	spec, ok := rejectionTable[p.Kind]
	if !ok {
		spec = reducedCapacity
	}
	if spec.Type != "" {
		spec.Members = []member{{Name: "violated-policies", Value: []string{p.Name}}}
	}
	return newProblem(spec)
}

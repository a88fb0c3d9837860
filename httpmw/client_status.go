package httpmw

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/mw-go/mw/core"
)

// StatusError is what a retry or a hedge is told of a response that counts as a failure, so that their hooks can look at it
// by errors.As. Who sent the request gets the response itself and no error, unless they left before the next attempt.
type StatusError struct {
	Status int
	Header http.Header // of the response; not to be changed

	outcome core.Outcome
	after   time.Duration
	final   bool
	resp    *http.Response
}

// Error returns such as "503 Service Unavailable".
func (e *StatusError) Error() string {
	return strconv.Itoa(e.Status) + " " + http.StatusText(e.Status)
}

// Outcome returns what the response was classified as.
func (e *StatusError) Outcome() core.Outcome { return e.outcome }

// RetryAfter returns what the Retry-After of the response asks for; 0 if it has none.
func (e *StatusError) RetryAfter() time.Duration { return e.after }

// Permanent reports whether the request cannot or must not be sent again, or the status says that it is of no use.
func (e *StatusError) Permanent() bool { return e.final }

func asStatus(err error) (*StatusError, bool) { return errors.AsType[*StatusError](err) }

// failed returns the error of a response that is a failure, nil if it is none. classify nil means ClassifyStatus, and 408
// and 425 are failures as well.
func failed(resp *http.Response, classify func(int, http.Header) core.Outcome) *StatusError {
	var o core.Outcome
	switch status := resp.StatusCode; {
	case classify != nil:
		o = classify(status, resp.Header)
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		o = core.Failure
	default:
		o = ClassifyStatus(status, resp.Header)
	}
	if o == core.Success {
		return nil
	}
	e := &StatusError{Status: resp.StatusCode, Header: resp.Header, outcome: o, resp: resp}
	e.after, _ = retryAfter(resp.Header, time.Now())
	if classify == nil {
		e.final = hopelessStatus(resp.StatusCode)
	}
	return e
}

// hopelessStatus holds for the server errors that the same request would meet again.
func hopelessStatus(status int) bool {
	switch status {
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusVariantAlsoNegotiates,
		http.StatusLoopDetected, http.StatusNotExtended, http.StatusNetworkAuthenticationRequired:
		return true
	}
	return false
}

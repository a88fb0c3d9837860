package httpmw

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/mw-go/mw/core"
)

// The fields that make a request idempotent; net/http takes them so too.
const (
	fieldIdempotencyKey  = "Idempotency-Key"
	fieldXIdempotencyKey = "X-Idempotency-Key"
)

// safe holds for the methods that change nothing on the server (RFC 9110 section 9.2.1, and QUERY). "" is GET.
func safe(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, "QUERY":
		return true
	}
	return false
}

// idempotent holds for the methods that change the same, however often they arrive (section 9.2.2).
func idempotent(method string) bool {
	return safe(method) || method == http.MethodPut || method == http.MethodDelete
}

// hasKey reports whether the request has an Idempotency-Key; as for net/http, one without values counts and is not sent.
func hasKey(r *http.Request) bool {
	_, key := r.Header[fieldIdempotencyKey]
	_, old := r.Header[fieldXIdempotencyKey]
	return key || old
}

// hasBody reports whether there is something to send again.
func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }

// unprocessed reports whether an error proves that the server has not begun to work on the request: a guard of ours has
// rejected it, there was no connection to send it over, or the server refused the stream of HTTP/2, which net/http itself
// repeats some times.
func unprocessed(err error) bool {
	if _, ok := errors.AsType[*core.Rejection](err); ok {
		return true
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && (e.Op == "dial" || e.Op == "proxyconnect") {
		return true
	}
	e, ok := errors.AsType[streamError](err)
	return ok && e.Code == refusedStream
}

// refusedStream is REFUSED_STREAM (RFC 9113 section 8.7).
const refusedStream = 7

// streamError has the shape of the error of that name in golang.org/x/net/http2, by which net/http lets errors.As find its own.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return "http2: stream error" }

// hopeless reports whether the same request would fail the same way again: for its certificate, its scheme, its fields or
// its redirects.
func hopeless(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	if alert, ok := errors.AsType[tls.AlertError](err); ok {
		return slices.Contains(hopelessAlerts, uint8(alert))
	}
	return slices.ContainsFunc(hopelessTexts, func(text string) bool { return strings.Contains(err.Error(), text) })
}

// hopelessAlerts are what a peer says of certificates, versions and names (RFC 8446 section 6).
var hopelessAlerts = []uint8{40, 42, 43, 44, 45, 46, 48, 49, 70, 71, 112, 116, 120}

// hopelessTexts are the errors of net/http that have no type. They come before a connection is asked for, or from a
// client further in.
var hopelessTexts = []string{
	"unsupported protocol scheme", "net/http: invalid header", "net/http: invalid trailer", "net/http: invalid method",
	"http: no Host in request URL", "http: nil Request.", "http: ContentLength=", "http: Request.ContentLength=",
	"http: Request.RequestURI", "stopped after 10 redirects",
}

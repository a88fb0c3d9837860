// Package seam is what packages under httpmw may ask of the wrapped writer of a request, and others need not know.
package seam

import "net/http"

// HeaderHook is called once, right before the header of the final response is sent; never for a hijacked connection.
type HeaderHook interface {
	BeforeHeader(h http.Header, status int)
}

// Writer is a ResponseWriter of httpmw.
type Writer interface {
	OnHeader(HeaderHook)
}

// OnHeader asks for a call of hook. It reports whether w is a writer that makes one.
func OnHeader(w http.ResponseWriter, hook HeaderHook) bool {
	s, ok := w.(Writer)
	if ok {
		s.OnHeader(hook)
	}
	return ok
}

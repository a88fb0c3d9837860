package httpmw

import (
	"fmt"
	"net/http"
)

// A middleware of this package is a value that serves through a layer: the handler behind it is an argument, so one
// value serves every handler it was put in front of.
type middleware interface {
	// serve handles the request: it calls next or answers itself. x is the exchange as seen through w.
	serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler)
}

// layer is the handler that every middleware of this package returns.
type layer struct {
	name string
	mw   middleware
	next http.Handler
}

// wrap returns the middleware that puts m in front of a handler.
func wrap(name string, m middleware) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if f, ok := next.(http.HandlerFunc); next == nil || ok && f == nil {
			panic("httpmw: " + name + ": nil handler")
		}
		return &layer{name: name, mw: m, next: next}
	}
}

// Unwrap returns the handler behind this layer.
func (l *layer) Unwrap() http.Handler { return l.next }

// Layer returns the name of the middleware, such as "Recover".
func (l *layer) Layer() string { return l.name }

// ServeHTTP finds the exchange or, in the first layer, begins one and ends it.
func (l *layer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s, ok := w.(recorded); ok {
		x := s.state()
		x.deep = r
		l.mw.serve(x, w, r, l.next)
		return
	}
	x, down := begin(w, r)
	finished := false
	// A flag and not recover: a panic keeps its stack, and runtime.Goexit passes as well.
	defer func() {
		x.close(finished)
		handBack(r, down)
	}()
	l.mw.serve(x, x.shape(), down, l.next)
	finished = true
}

// handBack carries the route and the parsed form up from the request that was passed on to the request it is a copy of.
// ServeMux sets Pattern on the request it is given; without this the layers outside a copy, ours or not, would never see
// it. And net/http removes the files of a multipart form from the request that it knows, or they stay for ever.
func handBack(r, down *http.Request) {
	if r.Pattern != down.Pattern {
		r.Pattern = down.Pattern
	}
	if down.MultipartForm != nil {
		r.MultipartForm = down.MultipartForm
	}
}

// atMostOne returns the only Config given, or the zero Config. More than one is a mistake of the program.
func atMostOne[C any](name string, c []C) (zero C) {
	switch len(c) {
	case 0:
		return zero
	case 1:
		return c[0]
	default:
		panic(fmt.Sprintf("httpmw: %s: %d Configs given, at most one is meant", name, len(c)))
	}
}

package httpmw

import (
	"net/http"
	"time"
)

// ObserveConfig is the Config of Observe. The zero value is the default.
type ObserveConfig struct {
	// Name is what the layer is called in reports on the order of a chain. Default "Observe".
	Name string
	// Begin is called on the way in, before the handler, with what is known by then: Request, Method, Start. nil calls
	// nothing. If it panics there is no end to tell of.
	Begin func(Summary)
}

// Observe returns a middleware that calls end once for each request, when its response is over: complete, aborted,
// hijacked, or left by a panic or runtime.Goexit. It is the seam for metrics and for whatever else wants to know how
// requests went.
//
// The Summary is the outermost view: it is made when the outermost middleware of this package is done, and says what the
// client got, wherever in the chain Observe stands. BytesIn alone counts from where it stands inwards.
//
// end runs in the serving goroutine, after those of observers further out, and the client may be waiting for the end of
// the response: it must be short. A panic in it goes on to the server once the other observers were told.
// It must be safe for concurrent use. Observe costs no allocation. It panics if end is nil. At most one Config.
func Observe(end func(Summary), c ...ObserveConfig) func(http.Handler) http.Handler {
	config := atMostOne("Observe", c)
	if config.Name == "" {
		config.Name = "Observe"
	}
	if end == nil {
		panic("httpmw: " + config.Name + ": nil function")
	}
	return wrap(config.Name, &observer{begin: config.Begin, end: end})
}

// Summary is what became of a request. It is a value; the Request is shared and must not be kept longer than the call,
// nor changed. Method is the one that came over the wire, also if something further in has changed the Request's.
type Summary struct {
	Request    *http.Request // as the outermost middleware passed it on; its Pattern is set
	Method     string        // GET, HEAD, ...; _OTHER for methods that no standard knows
	Route      string        // the pattern's path, Unmatched without one
	Status     int           // the final status; 0 if none was sent: the connection was hijacked, or broke off before
	BytesIn    int64         // of the request's body, as far as it was read
	BytesOut   int64         // of the response's body on the wire, before the framing of the protocol
	Start      time.Time     // when the first middleware of this package saw the request
	Duration   time.Duration // from Start to the end
	ErrorType  string        // as the access log's error.type; empty if nothing went wrong
	Completion Completion
	Rejected   bool // answered by one of our own guards
}

// Completion tells how a response ended.
type Completion uint8

// The completions.
const (
	Complete Completion = iota // finished, whatever its status
	Aborted                    // left by a panic or runtime.Goexit: the client saw it break off, or nothing
	Hijacked                   // the handler took the connection
)

// String returns complete, aborted or hijacked.
func (c Completion) String() string {
	switch c {
	case Complete:
		return "complete"
	case Aborted:
		return "aborted"
	default:
		return "hijacked"
	}
}

// observer is the middleware, and the ender of every request it has seen.
type observer struct {
	begin func(Summary)
	end   func(Summary)
}

func (m *observer) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	if m.begin != nil {
		m.begin(Summary{Request: r, Method: method(x.rec.wire.method), Route: Unmatched, Start: x.rec.start})
	}
	x.rec.countBody(r)
	x.rec.atEnd(m)
	next.ServeHTTP(w, r)
}

func (m *observer) ended(rec *record) { m.end(rec.summary()) }

// summary is made anew for each observer: it is small, and most chains have one or two.
func (rec *record) summary() Summary {
	x := &rec.wire
	return Summary{
		Request:    x.req,
		Method:     method(x.method),
		Route:      x.route(),
		Status:     x.status,
		BytesIn:    rec.incoming.read.Load(),
		BytesOut:   x.bytes,
		Start:      rec.start,
		Duration:   rec.duration(),
		ErrorType:  errorType(rec),
		Completion: x.completion(),
		Rejected:   rec.rejected,
	}
}

func (x *exchange) completion() Completion {
	switch {
	case x.hijacked:
		return Hijacked
	case x.aborted:
		return Aborted
	default:
		return Complete
	}
}

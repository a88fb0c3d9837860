package httpmw

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/mw-go/mw/core"
)

// record is what this package knows of one request. It is the request's context value and holds the state of the
// wrapped ResponseWriter and the copy of the request that is passed on, so that all cost one allocation. It is not
// pooled: a handler may keep its context for ever.
//
// What handlers can read through the context is written on the way in and never again, so goroutines that outlive the
// handler read it safely. The rest belongs to the serving goroutine.
type record struct {
	context.Context // of the request that the first layer was given

	// Written on the way in.
	start   time.Time
	arrived core.Time // start, on the clock of the guards
	id      string
	idField [1]string // backs the response field, so that setting it costs no allocation
	limits  [2]string // the same, for the fields of a rate limit
	client  netip.Addr
	trust   Trust         // that client was found by; meaningful if located
	located bool          // the ClientIP layer ran
	waited  time.Duration // from start to the time of the guards: in their queues, or before one that was asked again

	admission admission // of the first Guard layer

	// Written on the way out.
	failure  string // the error.type of the access log, set by the layer that knows it; empty if none
	rejected bool   // answered by one of our own guards
	shadowed string // the error.type that a middleware in shadow mode would have answered with; empty if none
	late     bool   // the response began after the deadline of a Timeout
	ended    bool
	took     time.Duration // start to end, meaningful if ended

	nonce   *nonce        // of SecureHeaders
	timings *timings      // of ServerTiming
	begun   time.Duration // start to the response's header, if SlowLog watched

	singles   int
	singleBuf [maxSingles]string

	ends    []ender
	endsBuf [4]ender

	incoming bodyCount // of the request, if an observer counts it

	wire    exchange // as the first layer saw it
	request http.Request
}

// ender is told when the first layer is done, whichever way: the response is complete, aborted or hijacked.
type ender interface{ ended(rec *record) }

// recordKey finds the record in a context.
type recordKey struct{}

// Value answers recordKey and leaves other keys to the parent.
func (rec *record) Value(key any) any {
	if _, ok := key.(recordKey); ok {
		return rec
	}
	return rec.Context.Value(key)
}

// String keeps the request out of logs that print a context.
func (rec *record) String() string { return "httpmw.record" }

func recordOf(ctx context.Context) *record {
	rec, _ := ctx.Value(recordKey{}).(*record)
	return rec
}

// begin makes the exchange for a writer that is not ours, and the request to pass on. If the writer unwraps to the
// writer of the request's record, they share that record. A record that is not beneath the writer may belong to
// another goroutine (http.TimeoutHandler) or another response: what it knows is copied, and nothing is written to it.
func begin(w http.ResponseWriter, r *http.Request) (x *exchange, down *http.Request) {
	outer := recordOf(r.Context())
	if outer != nil && unwrapsTo(w, outer) {
		x = &exchange{}
		x.init(outer, w, r)
		return x, r
	}
	rec := &record{Context: r.Context(), start: time.Now()}
	rec.arrived = core.TimeOf(rec.start)
	if outer != nil {
		rec.id = outer.id
		rec.client, rec.trust, rec.located = outer.client, outer.trust, outer.located
		rec.nonce, rec.timings = outer.nonce, outer.timings
	}
	rec.request = *r.WithContext(rec) // which is inlined, so that its copy never leaves the stack
	rec.wire.init(rec, w, &rec.request)
	return &rec.wire, &rec.request
}

// unwrapsTo reports whether w leads to the writer of rec.
func unwrapsTo(w http.ResponseWriter, rec *record) bool {
	x := exchangeOf(w)
	return x != nil && x.rec == rec
}

// exchangeOf returns the exchange that w leads to first, nil if there is none.
func exchangeOf(w http.ResponseWriter) *exchange {
	for range 64 { // a bound, in case a writer unwraps to itself
		if s, ok := w.(recorded); ok {
			return s.state()
		}
		u, ok := w.(unwrapper)
		if !ok {
			return nil
		}
		w = u.Unwrap()
	}
	return nil
}

// limitValues takes the place that the record brings along for the fields of a rate limit, or makes a further one.
func (rec *record) limitValues() *[2]string {
	if rec.limits[0] != "" {
		return &[2]string{}
	}
	return &rec.limits
}

// atEnd asks for e.ended when the first layer is done. In order of the calls.
func (rec *record) atEnd(e ender) {
	if rec.ends == nil {
		rec.ends = rec.endsBuf[:0]
	}
	rec.ends = append(rec.ends, e)
}

// tell tells the enders, in order. One that panics keeps none of the others from being told.
func (rec *record) tell() {
	for len(rec.ends) > 0 {
		e := rec.ends[0]
		rec.ends = rec.ends[1:]
		rec.tellOne(e)
	}
}

// tellOne is a call of its own so that its defer is not one of a loop, which would allocate.
func (rec *record) tellOne(e ender) {
	told := false
	defer func() {
		if !told {
			rec.tell()
		}
	}()
	e.ended(rec)
	told = true
}

// fail names what went wrong, for the access log. The first name stays: it is the one nearest to the cause.
func (rec *record) fail(errorType string) {
	if rec.failure == "" {
		rec.failure = errorType
	}
}

// shadow notes that a middleware in shadow mode lets a request pass that it would have rejected. The first stays.
func (rec *record) shadow(errorType string) {
	if rec.shadowed == "" {
		rec.shadowed = errorType
	}
}

// maxSingles is how many field values a record holds: the widest set of SecureHeaders.
const maxSingles = 14

// single returns value as the one element of a slice for a header map. It shares it with nothing, for handlers may change
// values in place, and costs an allocation only beyond maxSingles.
func (rec *record) single(value string) []string {
	i := rec.singles
	if i == maxSingles {
		return []string{value}
	}
	rec.singles++
	rec.singleBuf[i] = value
	return rec.singleBuf[i : i+1 : i+1]
}

// duration reads the clock once, when it is first asked, and returns the time from start to then. To be asked after the
// handler.
func (rec *record) duration() time.Duration {
	if !rec.ended {
		rec.ended = true
		rec.took = time.Since(rec.start)
	}
	return rec.took
}

// startTime is the start on the clock of the guards.
func (rec *record) startTime() core.Time { return rec.arrived }

// endTime is the end on the clock of the guards. To be asked after the handler.
func (rec *record) endTime() core.Time { return rec.startTime().Add(rec.duration()) }

// now is the guards' time on the way in: the start, or later once a guard has made the request wait or was done with it.
func (rec *record) now() core.Time { return rec.startTime().Add(rec.waited) }

// admit takes the admission that the record brings along, or makes a further one, so that the first Guard layer of a
// request costs no allocation.
func (rec *record) admit(m *guards) *admission {
	a := &rec.admission
	if a.m != nil {
		a = &admission{}
	}
	if rec.ended { // the end of a guarded part of the response, and here comes another: it has a time of its own
		rec.ended = false
		rec.waited = time.Since(rec.start)
	}
	a.m, a.rec = m, rec
	return a
}

// RequestIDFrom returns the id that RequestID gave the request, or "" if that middleware did not run. ctx is the
// request's context or one derived from it. Safe for concurrent use, also after the handler has returned.
func RequestIDFrom(ctx context.Context) string {
	if rec := recordOf(ctx); rec != nil {
		return rec.id
	}
	return ""
}

// ClientAddr returns the client's address as ClientIP found it: unmapped, without zone. It is false if that middleware did
// not run or no address is known, as for a peer on a unix socket that named none. Safe for concurrent use, also
// after the handler has returned.
func ClientAddr(ctx context.Context) (netip.Addr, bool) {
	if rec := recordOf(ctx); rec != nil {
		return rec.client, rec.client.IsValid()
	}
	return netip.Addr{}, false
}

// StartTime returns when the first middleware of this package saw the request; false if none did. Safe for concurrent
// use, also after the handler has returned.
func StartTime(ctx context.Context) (time.Time, bool) {
	if rec := recordOf(ctx); rec != nil {
		return rec.start, true
	}
	return time.Time{}, false
}

// Unmatched is the route of a request that no pattern matched.
const Unmatched = "unmatched"

// RouteOf returns the path part of the pattern that http.ServeMux matched, such as "/users/{id}": without method and
// host. It is Unmatched if there is none, and never the path of the request, so the number of routes is bounded by the
// program. Before the mux has run it is Unmatched as well.
func RouteOf(r *http.Request) string { return route(r.Pattern) }

// route cuts [METHOD ][HOST]/PATH down to /PATH.
func route(pattern string) string {
	if i := strings.IndexByte(pattern, '/'); i >= 0 {
		return pattern[i:]
	}
	return Unmatched
}

package httpmw

import (
	"fmt"
	"net/http"
	"reflect"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/ratelimit"
)

// GuardConfig says what a request means to a guard. The zero value is the default.
type GuardConfig struct {
	// Key says which cell of a keyed guard the request belongs to, such as ByClientIP(trust). Required for a keyed guard,
	// ignored by others.
	Key KeyFunc
	// Cost says how many tokens or slots the request takes. nil means 1 for every request.
	Cost func(*http.Request) uint32
	// Classify turns the final status into the outcome that the guard is told. nil means ClassifyStatus.
	Classify func(status int, h http.Header) core.Outcome
	// Skip exempts requests, such as health checks. nil exempts none.
	Skip func(*http.Request) bool
	// NoFields leaves out the RateLimit and RateLimit-Policy fields of a rate limit.
	NoFields bool
}

// Guarded is a guard in a list for Guard.
type Guarded struct {
	Guard core.Guard
	GuardConfig
}

// maxGuards is how many guards one layer holds, so that their permits fit the request's record.
const maxGuards = 6

// Guard returns a middleware that asks the guards in order and runs the handler if all admit the request. If one of
// them made it wait, those before it are told, so that a queue is never billed to the handler. When the handler is
// done, however it ends, they are told how it went, the last first.
//
// A request that is not admitted is answered with a problem document and the status of its rejection: 429 from a rate
// limit, 503 from any other guard, with Retry-After when the guard knows it. A panic or runtime.Goexit of the handler
// is a failure, or a cancellation if the client has gone; it passes through untouched. A handler that gives up at the
// deadline of a Timeout outside, in silence or in the middle of its answer, has timed out.
//
// If the response has begun already when a guard does not admit, because a handler outside serves it in parts, the
// response is aborted.
//
// Put all guards of a chain into one Guard: it reads no clock of its own between them. Its time is when the first
// middleware of this package saw the request, so what may be slow before the guards, such as a login, belongs behind
// them. RateLimit, Bulkhead and Breaker are Guard with one entry. It panics on a mistake of the program: no guard, more
// than six, a nil one or a nil pointer, or a keyed one without a Key. It does not allocate for a request that is
// admitted, but for the fields of a rate limit.
func Guard(list ...Guarded) func(http.Handler) http.Handler { return newGuards("Guard", list) }

// RateLimit is Guard for a rate limit. Admitted and rejected responses carry the RateLimit and RateLimit-Policy fields
// (draft-ietf-httpapi-ratelimit-headers), unless NoFields is set. At most one Config.
func RateLimit(g core.Guard, c ...GuardConfig) func(http.Handler) http.Handler {
	return newGuards("RateLimit", []Guarded{{g, atMostOne("RateLimit", c)}})
}

// Bulkhead is Guard for a bulkhead. At most one Config.
func Bulkhead(g core.Guard, c ...GuardConfig) func(http.Handler) http.Handler {
	return newGuards("Bulkhead", []Guarded{{g, atMostOne("Bulkhead", c)}})
}

// Breaker is Guard for a circuit breaker: it sees the statuses and panics of the handlers behind it. At most one Config.
func Breaker(g core.Guard, c ...GuardConfig) func(http.Handler) http.Handler {
	return newGuards("Breaker", []Guarded{{g, atMostOne("Breaker", c)}})
}

func newGuards(name string, list []Guarded) func(http.Handler) http.Handler {
	m := &guards{list: make([]guarded, len(list))}
	checkGuards(name, list)
	for i, g := range list {
		m.list[i].Guarded = g
	}
	return wrap(name, m)
}

// checkGuards panics on mistakes of the program.
func checkGuards(name string, list []Guarded) {
	if len(list) == 0 || len(list) > maxGuards {
		panic(fmt.Sprintf("httpmw: %s: %d guards given, 1 to %d are meant", name, len(list), maxGuards))
	}
	for _, g := range list {
		if g.Guard == nil || isNilPointer(g.Guard) {
			panic("httpmw: " + name + ": nil guard")
		}
		switch g.Guard.(type) {
		case *ratelimit.Keyed, *breaker.Keyed, *bulkhead.Keyed:
			if g.Key == nil {
				panic("httpmw: " + name + ": a keyed guard needs a Key, such as ByClientIP")
			}
		}
	}
}

// isNilPointer finds what is left of `b, _ := breaker.New(...)` after an error.
func isNilPointer(g core.Guard) bool {
	v := reflect.ValueOf(g)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// guards is the one adapter between guards and handlers.
type guards struct{ list []guarded }

// guarded is an entry with what can be prepared for its answers.
type guarded struct {
	Guarded
	answers answers
}

// call describes r to the guard.
func (g *Guarded) call(r *http.Request, now core.Time) core.Call {
	c := core.Call{Now: now}
	if g.Key != nil {
		c.Key = g.Key(r)
	}
	if g.Cost != nil {
		c.Cost = g.Cost(r)
	}
	return c
}

// admission is the permits of one request in one Guard layer.
type admission struct {
	m        *guards
	rec      *record
	permits  [maxGuards]core.Permit
	began    bool // all guards have admitted
	finished bool // and the handler has returned
}

func (m *guards) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	a := x.rec.admit(m)
	defer a.settle(x, r)
	if i, d := a.acquire(x, r); i >= 0 {
		x.rec.rejected = true
		x.rec.fail(d.Reason.String())
		if !m.list[i].reject(w, r, &d) && !x.hijacked {
			panic(http.ErrAbortHandler) // a part of the response is missing
		}
		return
	}
	a.began = true
	next.ServeHTTP(w, r)
	a.finished = true
}

// acquire asks the guards in order. It returns the index and the decision of the one that rejects, or -1.
func (a *admission) acquire(x *exchange, r *http.Request) (rejecting int, d core.Decision) {
	now, ctx := a.rec.now(), r.Context()
	watched := false
	for i := range a.m.list {
		g := &a.m.list[i]
		if g.Skip != nil && g.Skip(r) {
			continue
		}
		a.permits[i], d = g.Guard.Acquire(ctx, g.call(r, now))
		if d.By != nil && d.By.Kind == core.KindRateLimit && !g.NoFields && !x.sent() {
			g.answers.fields(x, &d)
		}
		if !d.Admitted() {
			return i, d
		}
		watched = watched || a.permits[i].Tracked()
		then := d.Restart(a.permits[:i], now)
		a.rec.waited += then.Sub(now)
		now = then
	}
	if watched {
		x.beforeHeader(a)
		x.careful = true
	}
	return -1, d
}

// beforeHeader tells the guards that the handler has answered, long before a stream ends.
func (a *admission) beforeHeader(x *exchange, status int) {
	if a.rec.rejected {
		return
	}
	now := core.Now()
	for i := range a.m.list {
		if a.m.list[i].classify(status, x.Header()) == core.Success {
			a.permits[i].Progress(now)
		}
	}
}

// afterHijack tells the guards that a connection was taken: it may live for days and sends no header of ours.
func (a *admission) afterHijack() {
	now := core.Now()
	for i := range a.m.list {
		a.permits[i].Progress(now)
	}
}

// settle gives the permits back. It runs deferred: a panic and runtime.Goexit come through here as well, untouched.
func (a *admission) settle(x *exchange, r *http.Request) {
	now, i := a.rec.endTime(), len(a.m.list)-1
	defer func() { // a Classify that does not return keeps no permit
		for ; i >= 0; i-- {
			a.permits[i].Done(now, core.Failure)
		}
	}()
	for ; i >= 0; i-- {
		a.permits[i].Done(now, a.outcome(&a.m.list[i].GuardConfig, x, r))
	}
}

package grpcmw

import (
	"context"
	"fmt"
	"reflect"

	"google.golang.org/grpc"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/adaptive"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/ratelimit"
)

// Info is what is known of a call before it is made.
type Info struct {
	Method string // such as "/shop.Orders/Place"
	Target string // whom a client's call goes to, as dialled; empty on a server
	Stream bool
}

// KeyFunc says which cell of a keyed guard a call belongs to. It runs once a call and must be safe for concurrent use.
type KeyFunc = func(ctx context.Context, i Info) core.Key

// Shape is a set of kinds of calls. The zero Shape is the default of whoever uses it.
type Shape uint8

// The shapes.
const (
	Unary Shape = 1 << iota
	Streams
)

// GuardConfig says what a call means to a guard. The zero value is the default.
type GuardConfig struct {
	// Key says which cell of a keyed guard the call belongs to, such as ByMethod. Required for a keyed guard, ignored by
	// others.
	Key KeyFunc
	// Cost says how many tokens or slots the call takes. nil means 1 for every call.
	Cost func(ctx context.Context, i Info) uint32
	// Class says how critical the call is, for guards that shed. nil leaves it unclassified.
	Class func(ctx context.Context, i Info) core.Class
	// Classify turns the error that a call ended with into the outcome that the guard is told. nil means Classify. If it panics
	// the outcome is Failure; at the end of a client's stream, which is in a goroutine of gRPC's, the panic is dropped.
	Classify func(ctx context.Context, err error) core.Outcome
	// Only restricts the guard to unary calls or to streams. Default both; for an adaptive limit unary calls, since how long a
	// stream lasts says nothing of the service. A bulkhead for streams of their own keeps watches from taking every slot.
	Only Shape
	// Skip exempts calls. nil exempts none. Health checks, reflection and channelz are exempt before it is asked, unless
	// Everything is set.
	Skip func(i Info) bool
	// Everything lets the guard see health checks, reflection and channelz as well. Default false.
	Everything bool
}

// Guarded is a guard in a list for Guard.
type Guarded struct {
	Guard core.Guard
	GuardConfig
}

// maxGuards is how many guards one policy holds, so that their permits fit the call.
const maxGuards = 6

// Guard returns the guards as one policy that asks them in order and lets the call through if all admit it, on servers and
// clients, for unary calls and streams. If one of them made it wait, those before it are told, so that a queue is never
// billed to whoever serves the call. When it is over, however it ends, they are told how it went, the last first: exactly
// once a call.
//
// On a server a call that is not admitted ends with the status of its rejection, with ErrorInfo, RetryInfo and the pushback
// trailer when it is known when to come again, and without response headers, so that clients may retry. A panic or
// runtime.Goexit of the handler is a failure, or a cancellation if the client has gone; it passes through untouched.
//
// A stream on a server holds its permits until its handler returns; one on a client until gRPC says that it is over
// (grpc.OnFinish), whether or not anybody reads it to the end. A client's stream that nobody ends holds its permits for
// ever: give it a context that ends, or a Timeout with a MaxAge. The first response of a stream settles a breaker's probe;
// its final status is the one record in the window.
//
// Put all guards of a chain into one Guard: it reads no clock of its own between them. It panics on a mistake of the
// program: no guard, more than six, a nil one or a nil pointer, or a keyed one without a Key. On a server it does not
// allocate for a unary call that is admitted; on a client such a call costs two allocations.
func Guard(list ...Guarded) *Interceptor { return newGuards("Guard", list) }

// RateLimit is Guard for a rate limit. At most one Config.
func RateLimit(g core.Guard, c ...GuardConfig) *Interceptor {
	return newGuards("RateLimit", []Guarded{{g, atMostOne("RateLimit", c)}})
}

// Bulkhead is Guard for a bulkhead. At most one Config.
func Bulkhead(g core.Guard, c ...GuardConfig) *Interceptor {
	return newGuards("Bulkhead", []Guarded{{g, atMostOne("Bulkhead", c)}})
}

// Breaker is Guard for a circuit breaker. At most one Config.
func Breaker(g core.Guard, c ...GuardConfig) *Interceptor {
	return newGuards("Breaker", []Guarded{{g, atMostOne("Breaker", c)}})
}

// Shed is Guard for an adaptive limit, or for a throttle on a client. At most one Config.
func Shed(g core.Guard, c ...GuardConfig) *Interceptor {
	return newGuards("Shed", []Guarded{{g, atMostOne("Shed", c)}})
}

func newGuards(name string, list []Guarded) *Interceptor {
	if len(list) == 0 || len(list) > maxGuards {
		panic(fmt.Sprintf("grpcmw: %s: %d guards given, 1 to %d are meant", name, len(list), maxGuards))
	}
	m := &guards{name: name, list: append([]Guarded(nil), list...)}
	for i := range m.list {
		g := &m.list[i]
		if v := reflect.ValueOf(g.Guard); g.Guard == nil || v.Kind() == reflect.Pointer && v.IsNil() {
			panic("grpcmw: " + name + ": nil guard")
		}
		switch g.Guard.(type) {
		case *ratelimit.Keyed, *breaker.Keyed, *bulkhead.Keyed:
			if g.Key == nil {
				panic("grpcmw: " + name + ": a keyed guard needs a Key, such as ByMethod")
			}
		case *adaptive.Limiter:
			if g.Only == 0 {
				g.Only = Unary
			}
		}
		if g.Only == 0 {
			g.Only = Unary | Streams
		}
	}
	return single(m)
}

// guards is the one adapter between guards and calls.
type guards struct {
	name string
	list []Guarded
}

func (m *guards) layer() string { return m.name }

// skips reports whether the call is none of the guard's business.
func (g *Guarded) skips(i Info, exempt bool) bool {
	shape := Unary
	if i.Stream {
		shape = Streams
	}
	return exempt && !g.Everything || g.Only&shape == 0 || g.Skip != nil && g.Skip(i)
}

// call describes a call to the guard.
func (g *Guarded) call(ctx context.Context, i Info, now core.Time) core.Call {
	c := core.Call{Now: now}
	if g.Key != nil {
		c.Key = g.Key(ctx, i)
	}
	if g.Cost != nil {
		c.Cost = g.Cost(ctx, i)
	}
	if g.Class != nil {
		c.Class = g.Class(ctx, i)
	}
	return c
}

// held is the permits of one call in one Guard. It has one owner; settle and end are called once, progress may run at the
// same time.
type held struct {
	m       *guards
	permits [maxGuards]core.Permit
}

// acquire asks the guards in order. It returns the last decision, and the time since the guards are done.
func (h *held) acquire(ctx context.Context, i Info, exempt bool, now core.Time) (d core.Decision, then core.Time) {
	for n := range h.m.list {
		g := &h.m.list[n]
		if g.skips(i, exempt) {
			continue
		}
		h.permits[n], d = g.Guard.Acquire(ctx, g.call(ctx, i, now))
		if !d.Admitted() {
			return d, now
		}
		now = d.Restart(h.permits[:n], now)
	}
	return d, now
}

// tracked reports whether one of the guards wants to hear of the first response.
func (h *held) tracked() bool {
	for i := range h.permits {
		if h.permits[i].Tracked() {
			return true
		}
	}
	return false
}

// progress tells the guards of a stream's first response.
func (h *held) progress() {
	now := core.Now()
	for i := range h.permits {
		h.permits[i].Progress(now)
	}
}

// settle gives the permits back after a call that ended with err, the last first.
func (h *held) settle(ctx context.Context, now core.Time, err error) {
	i := len(h.m.list) - 1
	defer func() { // a Classify that does not return keeps no permit
		for ; i >= 0; i-- {
			h.permits[i].Done(now, core.Failure)
		}
	}()
	for ; i >= 0; i-- {
		h.permits[i].Done(now, h.m.list[i].classify(ctx, err))
	}
}

// end gives the permits back with the same outcome, the last first.
func (h *held) end(now core.Time, o core.Outcome) {
	for i := len(h.m.list) - 1; i >= 0; i-- {
		h.permits[i].Done(now, o)
	}
}

// admission is a held of a call on a server.
type admission struct {
	held
	began    bool // all guards have admitted
	finished bool // and the handler has returned
}

// server implements serverLayer.
func (m *guards) server(c *serverCall, at int) (err error) {
	a := &c.admitted
	if a.m != nil { // there is another Guard outside
		a = &admission{}
	}
	a.m = m
	defer func() { a.leave(c.ctx, c.endTime(), c.rejected, err) }()
	now := c.now()
	d, then := a.acquire(c.ctx, Info{Method: c.method, Stream: c.info != nil}, c.exempt, now)
	if !d.Admitted() {
		return c.reject(d)
	}
	c.waited += then.Sub(now)
	if c.info != nil && a.tracked() {
		c.progress = append(c.progress, &a.held)
	}
	a.began = true
	err = c.next(at)
	a.finished = true
	return err
}

// leave gives the permits back. It runs deferred: a panic and runtime.Goexit come through here as well, untouched.
func (a *admission) leave(ctx context.Context, now core.Time, rejected bool, err error) {
	switch {
	case rejected, !a.began:
		a.end(now, core.Ignored)
	case !a.finished:
		a.end(now, core.Abandoned(ctx))
	default:
		a.settle(ctx, now, err)
	}
}

// alone is a unary call through a Guard that stands by itself, without a call's state: nothing is allocated.
func (m *guards) alone(ctx context.Context, req any, method string, handler grpc.UnaryHandler) (resp any, err error) {
	a := admission{held: held{m: m}}
	defer func() { a.leave(ctx, m.now(), false, err) }()
	d, _ := a.acquire(ctx, Info{Method: method}, exempt(method), m.now())
	if !d.Admitted() {
		if md := pushback(ctx, d); md != nil {
			_ = grpc.SetTrailer(ctx, md)
		}
		return nil, rejection(d, true)
	}
	a.began = true
	resp, err = handler(ctx, req)
	a.finished = true
	return resp, err
}

// now reads the clock if there are several guards to share the reading; one reads it if it needs it.
func (m *guards) now() core.Time {
	if len(m.list) == 1 {
		return 0
	}
	return core.Now()
}

// reject answers a call that a guard did not admit.
func (c *serverCall) reject(d core.Decision) error {
	c.rejected = true
	c.fail(d.Reason.String())
	if md := pushback(c.ctx, d); md != nil {
		c.setTrailer(md)
	}
	return rejection(d, true)
}

var _ serverLayer = (*guards)(nil)

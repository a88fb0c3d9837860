package grpcmw

import (
	"context"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/tap"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/adaptive"
)

// TapConfig is the Config of NewTap. The zero value is the default.
type TapConfig struct {
	// OnReject hears of each call that is turned away; nothing else does: neither stats handlers nor interceptors see it. It
	// must return soon, and call nothing of the connection. nil drops it.
	OnReject func(i Info, d core.Decision)
}

// Tap turns calls away before they are read, decoded and given a goroutine, if the guards of a chain would not admit them. It only
// looks (core.Guard's Peek): the permit is taken by the chain's interceptor, which decides again, so that nothing
// can be lost between the two. Safe for concurrent use.
//
//	tap := grpcmw.NewTap()
//	grpc.NewServer(grpc.InTapHandle(tap.Handle(chain)), grpc.UnaryInterceptor(chain.UnaryServer), ...)
//
// What is turned away ends as an interceptor would have it end, but for the pushback trailer, which cannot be sent: the
// RetryInfo says when to come again. Health checks, reflection and channelz are exempt, as they are in the chain.
//
// It runs where the connection is read, while the connection is locked: the functions of the guards (Key, Class, Cost, Skip)
// must be quick there, and must not call runtime.Goexit, which would leave it locked. One that panics lets the call
// pass, to panic again where Recover stands. Whether a call is a stream it knows of methods that the program has the
// definition of; for others it asks only the guards of both. A server's ServeHTTP does not call it.
type Tap struct {
	TapConfig
	shapes sync.Map // of the methods that are defined: whether they are streams

	asked, rejected, broken atomic.Uint64
}

// NewTap returns a Tap. At most one Config.
func NewTap(c ...TapConfig) *Tap { return &Tap{TapConfig: atMostOne("NewTap", c)} }

// TapSnapshot is what a page, a metric or a test reads of a Tap. Counters grow for life.
type TapSnapshot struct {
	Asked    uint64 // calls that were looked at
	Rejected uint64 // of them those that were turned away
	Broken   uint64 // of them those that passed because a function of a guard panicked
}

// Snapshot returns the counts as of now.
func (t *Tap) Snapshot() TapSnapshot {
	return TapSnapshot{Asked: t.asked.Load(), Rejected: t.rejected.Load(), Broken: t.broken.Load()}
}

// Handle returns the function for grpc.InTapHandle, which looks at the guards of i.
func (t *Tap) Handle(i *Interceptor) tap.ServerInHandle {
	if t == nil || i == nil {
		panic("grpcmw: Tap: nil Tap or Interceptor")
	}
	return func(ctx context.Context, info *tap.Info) (context.Context, error) {
		return ctx, t.look(ctx, i.of(info.FullMethodName), info.FullMethodName)
	}
}

// look returns the error of a call that would not be admitted.
func (t *Tap) look(ctx context.Context, i *Interceptor, method string) (err error) {
	t.asked.Add(1)
	finished := false
	defer func() {
		if !finished && recover() != nil {
			t.broken.Add(1)
			err = nil
		}
	}()
	stream, known := t.stream(method)
	call := Info{Method: method, Stream: stream}
	for _, l := range i.layers {
		m, ok := l.(*guards)
		if !ok {
			continue
		}
		if d := m.peek(ctx, call, known); !d.Admitted() {
			t.rejected.Add(1)
			err = rejection(d, true)
			if t.OnReject != nil {
				t.OnReject(call, d)
			}
			break
		}
	}
	finished = true
	return err
}

// stream reports whether a method is a stream, as far as that is known.
func (t *Tap) stream(method string) (stream, known bool) {
	if s, ok := t.shapes.Load(method); ok {
		return s.(bool), true
	}
	d := definition(method)
	if d == nil {
		return false, false
	}
	stream = d.IsStreamingClient() || d.IsStreamingServer()
	t.shapes.Store(method, stream)
	return stream, true
}

// peek asks the guards in order, and takes nothing.
func (m *guards) peek(ctx context.Context, i Info, known bool) (d core.Decision) {
	now, safe := core.Now(), exempt(i.Method)
	for n := range m.list {
		g := &m.list[n]
		if !known && g.Only != Unary|Streams || g.skips(i, safe) {
			continue
		}
		c := g.call(ctx, i, now)
		if l, ok := g.Guard.(*adaptive.Limiter); ok {
			d = l.Knock(c)
		} else {
			d = g.Guard.Peek(c)
		}
		if !d.Admitted() {
			return d
		}
	}
	return d
}

// option is the Tap as an option of a server; none if it is nil.
func (t *Tap) option(i *Interceptor) []grpc.ServerOption {
	if t == nil {
		return nil
	}
	return []grpc.ServerOption{grpc.InTapHandle(t.Handle(i))}
}

package grpcmw

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/mw-go/mw/core"
)

// serverCall is one call on a server, for all layers of a chain: the rest of the chain, the state that layers share, and
// the call's context value. One allocation serves all that. It is not pooled: a handler may keep its context for ever.
//
// What handlers can read through the context is written on the way in and never again. The rest belongs to the goroutine
// that serves the call; a stream's SendMsg may run in another one of the handler's, and touches progress alone.
type serverCall struct {
	context.Context // of the call as the interceptor was given it

	ctx    context.Context // to pass on; layers replace it
	layers []layer
	method string // such as "/shop.Orders/Place"
	exempt bool   // health checks and reflection

	// Unary.
	handler grpc.UnaryHandler
	req     any
	resp    any

	// Streams.
	srv    any
	stream serverStream
	serve  grpc.StreamHandler
	info   *grpc.StreamServerInfo // nil for a unary call

	start    time.Time
	waited   time.Duration   // in the queues of guards
	id       string          // that RequestID gave the call
	idValue  [1]string       // backs its trailer
	drain    <-chan struct{} // closed when the server drains; nil if nobody says
	rejected bool            // answered by one of our own guards
	failure  string          // error.type, set by the layer that knows it
	surely   bool            // the handler is done, whichever way: took is known
	took     time.Duration
	progress []*held   // that want to hear of the first response
	admitted admission // of the first Guard layer
}

// serverCallKey finds the call in a context.
type serverCallKey struct{}

// Value answers serverCallKey and leaves other keys to the parent.
func (c *serverCall) Value(key any) any {
	if _, ok := key.(serverCallKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// String keeps the call out of logs that print a context.
func (c *serverCall) String() string { return "grpcmw.serverCall" }

func serverCallOf(ctx context.Context) *serverCall {
	c, _ := ctx.Value(serverCallKey{}).(*serverCall)
	return c
}

func (i *Interceptor) begin(ctx context.Context, method string) *serverCall {
	c := &serverCall{Context: ctx, layers: i.layers, method: method, exempt: exempt(method), start: time.Now()}
	if outer := serverCallOf(ctx); outer != nil { // another Chain of ours is outside
		c.id, c.start, c.waited, c.drain = outer.id, outer.start, outer.waited, outer.drain
	}
	c.ctx = c
	return c
}

// UnaryServer is a grpc.UnaryServerInterceptor.
func (i *Interceptor) UnaryServer(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	i = i.of(info.FullMethod)
	if len(i.layers) == 1 {
		switch m := i.layers[0].(type) {
		case *guards:
			return m.alone(ctx, req, info.FullMethod, handler)
		case *observer:
			if serverCallOf(ctx) == nil { // or there is a start and an id to take over
				return m.alone(ctx, req, info.FullMethod, handler)
			}
		}
	}
	c := i.begin(ctx, info.FullMethod)
	c.handler, c.req = handler, req
	err := c.run(0)
	c.tellOuter(ctx)
	return c.resp, err
}

// StreamServer is a grpc.StreamServerInterceptor.
func (i *Interceptor) StreamServer(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	c := i.of(info.FullMethod).begin(ss.Context(), info.FullMethod)
	c.srv, c.serve, c.info = srv, handler, info
	c.stream = serverStream{ServerStream: ss, call: c}
	err := c.run(0)
	c.tellOuter(ss.Context())
	return err
}

// tellOuter lets a chain outside know that a guard of ours has answered.
func (c *serverCall) tellOuter(ctx context.Context) {
	if outer := serverCallOf(ctx); outer != nil && c.rejected {
		outer.rejected = true
	}
}

// run runs the chain from layer at on, and the handler behind it.
func (c *serverCall) run(at int) (err error) {
	for ; at < len(c.layers); at++ {
		if l, ok := c.layers[at].(serverLayer); ok {
			return l.server(c, at)
		}
	}
	if c.info == nil {
		c.resp, err = c.handler(c.ctx, c.req)
		return err
	}
	c.stream.ctx = c.ctx
	return c.serve(c.srv, &c.stream)
}

// next runs what is inside of layer at.
func (c *serverCall) next(at int) error { return c.run(at + 1) }

// fail names what went wrong, for the log. The first name stays: it is the one nearest to the cause.
func (c *serverCall) fail(errorType string) {
	if c.failure == "" {
		c.failure = errorType
	}
}

// setTrailer adds to the trailers of the answer. Response headers stay alone on failures: they would commit the attempt, and
// clients would not retry (A6).
func (c *serverCall) setTrailer(md metadata.MD) {
	if c.info != nil {
		c.stream.SetTrailer(md)
		return
	}
	_ = grpc.SetTrailer(c.Context, md) // fails only outside of a call
}

// now is the guards' time on the way in: the start, or later once a guard has made the call wait.
func (c *serverCall) now() core.Time { return core.TimeOf(c.start).Add(c.waited) }

// duration reads the clock once, when it is first asked, and returns the time from start to then. To be asked after the
// handler.
func (c *serverCall) duration() time.Duration {
	if !c.surely {
		c.surely = true
		c.took = time.Since(c.start)
	}
	return c.took
}

// endTime is the end on the clock of the guards. To be asked after the handler.
func (c *serverCall) endTime() core.Time { return core.TimeOf(c.start).Add(c.duration()) }

// serverStream is the stream that the layers inside see: with the context of the chain, and with an ear for the first
// response. One serves the whole chain.
type serverStream struct {
	grpc.ServerStream
	call  *serverCall
	ctx   context.Context // of the chain, once the handler runs
	watch *watch          // of a Timeout; nil if there is none
	check func(any) error // of a Validate; nil if there is none
	hear  func(sent bool) // of each message; nil if nobody wants to
	told  bool            // of the first response

	sent, received atomic.Int64 // messages
}

// Context returns the context as the layers outside have made it.
func (s *serverStream) Context() context.Context { return s.ctx }

// RecvMsg ends when a Timeout's time does.
func (s *serverStream) RecvMsg(m any) (err error) {
	if s.watch == nil {
		err = s.ServerStream.RecvMsg(m)
	} else {
		err = s.watch.await(s.ServerStream.Context(), func() error { return s.ServerStream.RecvMsg(m) }, false)
	}
	if err != nil {
		return err
	}
	s.received.Add(1)
	if s.hear != nil {
		s.hear(false)
	}
	if s.check != nil {
		return s.check(m)
	}
	return nil
}

// SendMsg tells the guards of the first response, once it was handed to gRPC, and ends when a Timeout's time does.
func (s *serverStream) SendMsg(m any) (err error) {
	if s.watch == nil {
		err = s.ServerStream.SendMsg(m)
	} else {
		err = s.watch.await(s.ServerStream.Context(), func() error { return s.ServerStream.SendMsg(m) }, true)
	}
	if err == nil {
		s.sent.Add(1)
		if s.hear != nil {
			s.hear(true)
		}
		s.responded()
	}
	return err
}

// SendHeader tells the guards of the first response: headers commit it.
func (s *serverStream) SendHeader(md metadata.MD) error {
	err := s.ServerStream.SendHeader(md)
	if err == nil {
		if s.watch != nil {
			s.watch.message(true)
		}
		s.responded()
	}
	return err
}

// responded tells the guards, once. gRPC forbids concurrent calls of SendMsg, so it needs no lock.
func (s *serverStream) responded() {
	if s.told {
		return
	}
	s.told = true
	for _, h := range s.call.progress {
		h.progress()
	}
}

// RequestIDFrom returns the id that RequestID gave the call, or "" if that policy did not run. ctx is the call's context or
// one derived from it. Safe for concurrent use, also after the handler has returned.
func RequestIDFrom(ctx context.Context) string {
	if c := serverCallOf(ctx); c != nil {
		return c.id
	}
	return ""
}

// StartTime returns when the first policy of this package saw the call; false if none did. Safe for concurrent use, also
// after the handler has returned.
func StartTime(ctx context.Context) (time.Time, bool) {
	if c := serverCallOf(ctx); c != nil {
		return c.start, true
	}
	return time.Time{}, false
}

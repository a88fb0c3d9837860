package grpcmw

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// ObserveConfig is the Config of Observe. The zero value is the default.
type ObserveConfig struct {
	// Name is what the layer is called. Default "Observe".
	Name string
	// Begin is called on the way in with what is known by then: Method, Target, Server, Kind, Start. nil calls nothing. If it
	// panics there is no end to tell of.
	Begin func(Summary)
	// Message is called for each message of a stream once it has passed, sent or received, with what Begin got; not for those
	// of unary calls, which the end tells of. It runs in the goroutine that sends or receives. nil calls nothing.
	Message func(s Summary, sent bool)
	// Everything observes health checks, reflection and channelz as well. Default false.
	Everything bool
}

// Observe returns the policy that calls end once for each call when it is over, on servers and clients, for unary calls and
// streams, also after a panic or runtime.Goexit. It is the seam for metrics, and for whatever else wants to know how calls
// went. It tells how a call went where it stands: inside a retry each attempt, outside the call.
//
// end runs in a goroutine that serves or makes the call and must be short; it must be safe for concurrent use. A stream on
// a client is over when gRPC says so, in a goroutine of gRPC's: there a panic of end is dropped. It panics if end is nil. At most one Config.
func Observe(end func(Summary), c ...ObserveConfig) *Interceptor {
	config := atMostOne("Observe", c)
	if config.Name == "" {
		config.Name = "Observe"
	}
	if end == nil {
		panic("grpcmw: " + config.Name + ": nil function")
	}
	return single(&observer{config, end})
}

// Kind is one of the four kinds of calls.
type Kind uint8

// The kinds.
const (
	UnaryCall Kind = iota
	ClientStream
	ServerStream
	BidiStream
)

var kindNames = [...]string{"unary", "client_stream", "server_stream", "bidi_stream"}

// String returns the name that the Prometheus metrics of gRPC have: unary, client_stream, server_stream, bidi_stream.
func (k Kind) String() string { return kindNames[min(k, BidiStream)] }

func kindOf(client, server bool) Kind {
	k := UnaryCall
	if client {
		k += ClientStream
	}
	if server {
		k += ServerStream
	}
	return k
}

// Summary is what became of a call. It is a value.
type Summary struct {
	Method    string // such as "/shop.Orders/Place"
	Target    string // whom a client's call went to, as dialled; empty on a server
	Server    bool
	Kind      Kind
	Code      codes.Code // Internal after a panic
	Err       error      // of the call; nil also after a panic
	Sent      int64      // messages; of unary calls one if there was one
	Received  int64
	Start     time.Time     // on a server when the first policy of this package saw the call
	Duration  time.Duration // from Start to the end
	ErrorType string        // what went wrong in one word: panic, timeout, the reason of a rejection, canceled, the code; "" for OK
	Rejected  bool          // answered by one of our own guards
	RequestID string        // on a server, if RequestID stands outside
}

type observer struct {
	ObserveConfig
	end func(Summary)
}

func (m *observer) layer() string { return m.Name }

func (m *observer) server(c *serverCall, at int) (err error) {
	if c.exempt && !m.Everything {
		return c.next(at)
	}
	s := Summary{Method: c.method, Server: true, Start: c.start}
	if c.info != nil {
		s.Kind = kindOf(c.info.IsClientStream, c.info.IsServerStream)
	}
	if m.Begin != nil {
		m.Begin(s)
	}
	if m.Message != nil && c.info != nil {
		c.stream.hear = m.hears(s, c.stream.hear)
	}
	finished := false
	defer func() { m.end(c.summary(s, err, finished)) }()
	err = c.next(at)
	finished = true
	return err
}

// hears returns what is told of each message of a stream: m, and who stands outside.
func (m *observer) hears(s Summary, outside func(sent bool)) func(sent bool) {
	return func(sent bool) {
		m.Message(s, sent)
		if outside != nil {
			outside(sent)
		}
	}
}

// alone is a unary call through an Observe that stands by itself, without a call's state: nothing is allocated.
func (m *observer) alone(ctx context.Context, req any, method string, handler grpc.UnaryHandler) (resp any, err error) {
	if !m.Everything && exempt(method) {
		return handler(ctx, req)
	}
	s, finished := Summary{Method: method, Server: true, Start: time.Now()}, false
	if m.Begin != nil {
		m.Begin(s)
	}
	s.Received = 1
	defer func() {
		if finished && err == nil {
			s.Sent = 1
		}
		m.done(ctx, &s, err, finished)
	}()
	resp, err = handler(ctx, req)
	finished = true
	return resp, err
}

// summary completes s after the handler.
func (c *serverCall) summary(s Summary, err error, finished bool) Summary {
	s.Duration, s.Err, s.Rejected, s.RequestID = c.duration(), err, c.rejected, c.id
	s.Code, s.ErrorType = codes.Internal, c.failure
	switch {
	case !finished:
		s.ErrorType = errorPanic // or runtime.Goexit
	default:
		s.Code = Status(err).Code()
		if err != nil && s.ErrorType == "" { // of a chain inside
			var rejected bool
			s.ErrorType, rejected = ourDoing(err)
			s.Rejected = s.Rejected || rejected
		}
		s.name(c.ctx)
	}
	switch {
	case c.info != nil:
		s.Sent, s.Received = c.stream.sent.Load(), c.stream.received.Load()
	default:
		s.Received = 1
		if finished && err == nil {
			s.Sent = 1
		}
	}
	return s
}

// name finds the word for what went wrong.
func (s *Summary) name(ctx context.Context) {
	switch {
	case s.Code == codes.OK:
		s.ErrorType = ""
	case s.ErrorType != "":
	case ctx.Err() == context.Canceled && s.Code == codes.Canceled:
		s.ErrorType = "canceled"
	default:
		s.ErrorType = CodeName(s.Code)
	}
}

func (m *observer) begin(c *clientCall) Summary {
	s := Summary{Method: c.method, Target: c.target(), Start: time.Now()}
	if c.desc != nil {
		s.Kind = kindOf(c.desc.ClientStreams, c.desc.ServerStreams)
	}
	if m.Begin != nil {
		m.Begin(s)
	}
	return s
}

// done completes s where there is no serverCall to ask.
func (m *observer) done(ctx context.Context, s *Summary, err error, finished bool) {
	s.Duration, s.Err, s.Code = time.Since(s.Start), err, codes.Internal
	if !finished {
		s.ErrorType = errorPanic
	} else {
		s.Code = Status(err).Code()
		s.ErrorType, s.Rejected = ourDoing(err)
		s.name(ctx)
	}
	m.end(*s)
}

func (m *observer) unaryClient(ctx context.Context, c *clientCall, at int, req, reply any, opts []grpc.CallOption) (err error) {
	if c.exempt && !m.Everything {
		return c.unary(ctx, at+1, req, reply, opts)
	}
	s, finished := m.begin(c), false
	s.Sent = 1
	defer func() {
		if finished && err == nil {
			s.Received = 1
		}
		m.done(ctx, &s, err, finished)
	}()
	err = c.unary(ctx, at+1, req, reply, opts)
	finished = true
	return err
}

func (m *observer) streamClient(ctx context.Context, c *clientCall, at int, opts []grpc.CallOption) (s grpc.ClientStream, err error) {
	if c.exempt && !m.Everything {
		return c.stream(ctx, at+1, opts)
	}
	o := &observedStream{m: m, ctx: ctx, sum: m.begin(c)}
	finished := false
	defer func() {
		if !finished || err != nil {
			o.over(err, finished)
		}
	}()
	s, err = c.stream(ctx, at+1, withFinish(contained(func(err error) { o.over(err, true) }), opts))
	finished = true
	if err != nil {
		return nil, err
	}
	o.ClientStream = s
	return o, nil
}

// observedStream counts the messages of a client's stream.
type observedStream struct {
	grpc.ClientStream
	m              *observer
	ctx            context.Context
	sum            Summary
	told           atomic.Bool
	sent, received atomic.Int64
}

// over tells of the end, once.
func (o *observedStream) over(err error, finished bool) {
	if !o.told.CompareAndSwap(false, true) {
		return
	}
	s := o.sum
	s.Sent, s.Received = o.sent.Load(), o.received.Load()
	o.m.done(o.ctx, &s, err, finished)
}

func (o *observedStream) SendMsg(m any) error {
	err := o.ClientStream.SendMsg(m)
	if err == nil {
		o.sent.Add(1)
		if o.m.Message != nil {
			o.m.Message(o.sum, true)
		}
	}
	return err
}

func (o *observedStream) RecvMsg(m any) error {
	err := o.ClientStream.RecvMsg(m)
	if err == nil {
		o.received.Add(1)
		if o.m.Message != nil {
			o.m.Message(o.sum, false)
		}
	}
	return err
}

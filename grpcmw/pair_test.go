package grpcmw

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/test/bufconn"

	"github.com/mw-go/mw/core"
)

// service is grpc-go's test service with a handler for all kinds of calls: one answers what serve says.
type service struct {
	testpb.UnimplementedTestServiceServer

	mu    sync.Mutex
	calls int
	serve func(ctx context.Context, s grpc.ServerStream) error // s is nil for unary calls
}

func (s *service) handle(ctx context.Context, ss grpc.ServerStream) error {
	s.mu.Lock()
	s.calls++
	serve := s.serve
	s.mu.Unlock()
	if serve == nil {
		return nil
	}
	return serve(ctx, ss)
}

func (s *service) called() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

func (s *service) UnaryCall(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if err := s.handle(ctx, nil); err != nil {
		return nil, err
	}
	return &testpb.SimpleResponse{Username: "answered"}, nil
}

func (s *service) StreamingOutputCall(_ *testpb.StreamingOutputCallRequest, ss grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	return s.handle(ss.Context(), ss)
}

func (s *service) StreamingInputCall(ss grpc.ClientStreamingServer[testpb.StreamingInputCallRequest, testpb.StreamingInputCallResponse]) error {
	return s.handle(ss.Context(), ss)
}

func (s *service) FullDuplexCall(ss grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	return s.handle(ss.Context(), ss)
}

// pair is a server and a client over memory.
type pair struct {
	service *service
	server  *grpc.Server
	conn    *grpc.ClientConn
	client  testpb.TestServiceClient

	mu    sync.Mutex
	links []net.Conn // the client's side of the connections
}

// dial starts a server and a client with the interceptors; nil ones are left out. The test ends both.
func dial(t testing.TB, server, client *Interceptor, more ...grpc.DialOption) *pair {
	t.Helper()
	return connect(t, server, client, nil, more...)
}

// dialWith is dial for a server with other services than the test's.
func dialWith(t testing.TB, register func(*grpc.Server)) *pair { return connect(t, nil, nil, register) }

// dialServer is dial for a server with options of its own.
func dialServer(t testing.TB, server *Interceptor, sopts ...grpc.ServerOption) *pair {
	t.Helper()
	return connectWith(t, sopts, server, nil, nil)
}

func connect(t testing.TB, server, client *Interceptor, register func(*grpc.Server), more ...grpc.DialOption) *pair {
	t.Helper()
	return connectWith(t, nil, server, client, register, more...)
}

func connectWith(t testing.TB, sopts []grpc.ServerOption, server, client *Interceptor, register func(*grpc.Server), more ...grpc.DialOption) *pair {
	t.Helper()
	p := &pair{service: &service{}}
	if server != nil {
		sopts = append(sopts, grpc.UnaryInterceptor(server.UnaryServer), grpc.StreamInterceptor(server.StreamServer))
	}
	p.server = grpc.NewServer(append(sopts, grpc.WaitForHandlers(true))...)
	testpb.RegisterTestServiceServer(p.server, p.service)
	if register != nil {
		register(p.server)
	}
	listener := bufconn.Listen(1 << 20)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = p.server.Serve(listener)
	}()
	copts := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableServiceConfig(),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			c, err := listener.DialContext(ctx)
			if err == nil {
				p.mu.Lock()
				p.links = append(p.links, c)
				p.mu.Unlock()
			}
			return c, err
		}),
	}
	if client != nil {
		copts = append(copts, grpc.WithUnaryInterceptor(client.UnaryClient), grpc.WithStreamInterceptor(client.StreamClient))
	}
	conn, err := grpc.NewClient("passthrough:shop", append(copts, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	p.conn, p.client = conn, testpb.NewTestServiceClient(conn)
	t.Cleanup(func() {
		_ = conn.Close()
		p.server.Stop()
		_ = listener.Close()
		<-served
	})
	return p
}

// cut breaks the connections off.
func (p *pair) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.links {
		_ = c.Close()
	}
}

// kind is one of the four kinds of calls.
type kind int

const (
	unary kind = iota
	clientStreaming
	serverStreaming
	bidi
	kinds
)

func (k kind) String() string {
	return [...]string{"unary", "client stream", "server stream", "bidi"}[k]
}

// call makes a call of the kind, and returns what it ended with. afterFirst, if not nil, runs after the first message of a
// stream's response, and for a unary call never.
func (p *pair) call(ctx context.Context, k kind, afterFirst func(), opts ...grpc.CallOption) error {
	s, err := p.open(ctx, k, opts...)
	if err != nil || s == nil {
		return err
	}
	for first := true; ; first = false {
		if err := s.RecvMsg(&testpb.StreamingOutputCallResponse{}); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if first && afterFirst != nil {
			afterFirst()
		}
		if k == clientStreaming {
			return nil
		}
	}
}

// open begins a call: a unary one it makes, and returns no stream.
func (p *pair) open(ctx context.Context, k kind, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	switch k {
	case unary:
		_, err := p.client.UnaryCall(ctx, &testpb.SimpleRequest{}, opts...)
		return nil, err
	case clientStreaming:
		s, err := p.client.StreamingInputCall(ctx, opts...)
		if err != nil {
			return nil, err
		}
		return s, s.CloseSend()
	case serverStreaming:
		return p.client.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{}, opts...)
	default:
		s, err := p.client.FullDuplexCall(ctx, opts...)
		if err != nil {
			return nil, err
		}
		return s, s.CloseSend()
	}
}

// send sends a message of the kind that the stream's client expects; a unary call has no stream.
func send(s grpc.ServerStream, k kind) error {
	if s == nil {
		return nil
	}
	if k == clientStreaming {
		return s.SendMsg(&testpb.StreamingInputCallResponse{})
	}
	return s.SendMsg(&testpb.StreamingOutputCallResponse{})
}

// ledger is a guard that admits all, or rejects, and writes down how calls end.
type ledger struct {
	mu       sync.Mutex
	reject   core.Verdict
	retry    time.Duration
	kind     core.Kind
	heard    func(core.Call)
	asked    int
	progress int
	outcomes []core.Outcome
}

func (l *ledger) Acquire(_ context.Context, c core.Call) (p core.Permit, d core.Decision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.heard != nil {
		l.heard(c)
	}
	d = core.Decision{
		By: &core.Policy{Kind: l.kind, Name: "ledger", Limit: 5, Period: time.Second}, RetryAfter: l.retry, Verdict: l.reject,
	}
	if d.Admitted() {
		l.asked++
		p = core.NewTrackedPermit(l, 0, c.Now.Or())
	}
	return
}

func (l *ledger) Peek(core.Call) core.Decision {
	return core.Decision{By: &core.Policy{}, Verdict: l.reject}
}

func (l *ledger) Restart(uint32, core.Time, core.Time) {}

func (l *ledger) Progress(uint32, core.Time, core.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.progress++
}

func (l *ledger) Settle(_ uint32, _, _ core.Time, _ bool, o core.Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outcomes = append(l.outcomes, o)
}

// read returns how many calls were admitted, and how they ended.
func (l *ledger) read() (asked int, ended []core.Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked, append([]core.Outcome(nil), l.outcomes...)
}

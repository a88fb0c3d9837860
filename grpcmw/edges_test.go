package grpcmw

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/cache"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/policy"
	"github.com/mw-go/mw/core/retry"
)

// define registers a service whose methods have each idempotency level, once.
func define(t *testing.T) {
	t.Helper()
	method := func(name string, level *descriptorpb.MethodOptions_IdempotencyLevel) *descriptorpb.MethodDescriptorProto {
		return &descriptorpb.MethodDescriptorProto{
			Name: proto.String(name), InputType: proto.String(".levels.M"), OutputType: proto.String(".levels.M"),
			Options: &descriptorpb.MethodOptions{IdempotencyLevel: level},
		}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("levels.proto"), Package: proto.String("levels"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("M")}},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("S"), Method: []*descriptorpb.MethodDescriptorProto{
			method("Get", descriptorpb.MethodOptions_NO_SIDE_EFFECTS.Enum()), method("Put", descriptorpb.MethodOptions_IDEMPOTENT.Enum()), method("Post", nil),
		}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := protoregistry.GlobalFiles.FindFileByPath("levels.proto"); err != nil {
		if err := protoregistry.GlobalFiles.RegisterFile(file); err != nil {
			t.Fatal(err)
		}
	}
}

// What a method's definition says decides what may be kept, made twice and made elsewhere.
func TestIdempotencyLevels(t *testing.T) {
	define(t)
	for method, want := range map[string]struct{ cached, hedged, repeated bool }{
		"/levels.S/Get": {true, true, true}, "/levels.S/Put": {false, true, true}, "/levels.S/Post": {}, "/levels.S/None": {}, "/levels.M/Get": {}, "/no/Such": {},
	} {
		for range 2 {
			i := Info{Method: method}
			by := step(t, "a", says(""))
			by.Run, by.Conn = nil, &grpc.ClientConn{}
			if got := Cache(newCache(t)).layers[0].(*caching).Methods(i); got != want.cached {
				t.Errorf("%s: cached %v", method, got)
			}
			if got := Hedge(newHedge(t, hedge.Config{})).layers[0].(*hedges).methods(i); got != want.hedged {
				t.Errorf("%s: hedged %v", method, got)
			}
			if got := Fallback(FallbackConfig{}, by).layers[0].(*falling).Repeat(i); got != want.repeated {
				t.Errorf("%s: repeated %v", method, got)
			}
		}
	}
}

// The call of a cache is made with the question as it was asked, though who began it has left and uses his message again; and a
// reply of one target is none of another's.
func TestCacheKeepsTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := cached(t, newCache(t))
		got := make(chan int32, 1)
		invoker := func(_ context.Context, _ string, req, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
			time.Sleep(time.Minute)
			got <- req.(*testpb.SimpleRequest).ResponseSize
			return nil
		}
		in := &testpb.SimpleRequest{ResponseSize: 1}
		if err := i.UnaryClient(timed(t, time.Second), "/s/m", in, &testpb.SimpleResponse{}, nil, invoker); status.Code(err) != codes.DeadlineExceeded {
			t.Error(err)
		}
		in.ResponseSize = 2
		if n := <-got; n != 1 {
			t.Errorf("asked for %d", n)
		}
		a, b := dial(t, nil, nil), dial(t, nil, nil)
		m := i.layers[0].(*caching)
		q := func(cc *grpc.ClientConn) Question {
			q, _, _, _ := m.question(context.Background(), &clientCall{method: "/s/m", cc: cc}, in, &testpb.SimpleResponse{}, nil)
			return q
		}
		if q(a.conn) != q(b.conn) || q(a.conn) == q(nil) || q(a.conn).Target != "passthrough:shop" {
			t.Errorf("%+v", q(a.conn))
		}
		p := dial(t, nil, cached(t, cacheOf(t, cache.Config{TTL: time.Second, StaleIfError: time.Hour})))
		p.service.serve = answers(code(codes.OK), code(codes.NotFound))
		for _, want := range []codes.Code{codes.OK, codes.NotFound} { // an answer, which nothing stale covers up
			if err := p.call(context.Background(), unary, nil); status.Code(err) != want {
				t.Error(err)
			}
			time.Sleep(2 * time.Second)
		}
	})
}

// The trailer of the first call is not overwritten by another place, and that of the attempt that failed is the caller's.
func TestTrailersOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := dial(t, nil, nil)
		other.service.serve = func(ctx context.Context, _ grpc.ServerStream) error {
			return grpc.SetTrailer(ctx, metadata.Pairs("from", "other"))
		}
		by := step(t, "replica", says(""))
		by.Run, by.Conn = nil, other.conn
		for name, i := range map[string]*Interceptor{
			"fallback": Fallback(FallbackConfig{Repeat: everything}, by),
			"hedge":    Hedge(newHedge(t, hedge.Config{Delay: time.Hour}), HedgeConfig{everything}),
		} {
			p := dial(t, nil, i)
			p.service.serve = func(ctx context.Context, _ grpc.ServerStream) error {
				_ = grpc.SetTrailer(ctx, metadata.Pairs("from", "first"))
				return status.Error(codes.Internal, "")
			}
			var trailer metadata.MD
			_, _ = p.client.UnaryCall(context.Background(), &testpb.SimpleRequest{}, grpc.Trailer(&trailer))
			if from := trailer["from"]; len(from) != 1 || from[0] != "first" {
				t.Errorf("%s: %v", name, trailer)
			}
		}
	})
}

// Methods that are not to be called again are not, and a stream that is never opened is over once, when the last attempt is.
func TestRetryOfSomeMethods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := 0
		shaky := single(opener{func() error { down++; return status.Error(codes.Unavailable, "") }})
		for _, tt := range []struct {
			methods func(Info) bool
			calls   int
		}{{nil, 3}, {func(Info) bool { return false }, 1}} {
			p := dial(t, nil, Retry(newRetry(t, retry.Config{Base: time.Millisecond}), RetryConfig{Methods: tt.methods}))
			p.service.serve = answers(code(codes.Unavailable))
			if err := p.call(context.Background(), unary, nil); status.Code(err) != codes.Unavailable || p.service.called() != tt.calls {
				t.Errorf("%v, %d calls, want %d", err, p.service.called(), tt.calls)
			}
			finished := 0
			down = 0
			p = dial(t, nil, Chain(Retry(newRetry(t, retry.Config{Base: time.Millisecond}), RetryConfig{Methods: tt.methods}), shaky))
			err := p.call(context.Background(), bidi, nil, grpc.OnFinish(func(error) { finished++ }))
			if want := tt.methods == nil; status.Code(err) != codes.Unavailable || down != tt.calls || (finished == 1) != want {
				t.Errorf("%v, %d openings, want %d, finished %d times", err, down, tt.calls, finished)
			}
		}
	})
}

// Messages in either direction keep a stream from being idle, for the policies outside too.
func TestMessagesOfBothDirectionsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := limit(t, 40*time.Second)
		i := Chain(Timeout(nil, TimeoutConfig{Idle: m}), Timeout(nil, TimeoutConfig{MaxAge: limit(t, time.Hour)}))
		for _, side := range []string{"server", "client"} {
			server, client := i, (*Interceptor)(nil)
			if side == "client" {
				server, client = nil, i
			}
			p := dial(t, server, client)
			p.service.serve = func(ctx context.Context, s grpc.ServerStream) error {
				for s.RecvMsg(&testpb.StreamingOutputCallRequest{}) == nil {
				}
				return ctx.Err()
			}
			s, err := p.client.FullDuplexCall(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for range 10 {
				time.Sleep(30 * time.Second)
				if err := s.Send(&testpb.StreamingOutputCallRequest{}); err != nil {
					t.Fatalf("%s: %v", side, err)
				}
			}
			_ = s.CloseSend()
			if _, err := s.Recv(); err.Error() != "EOF" {
				t.Errorf("%s: %v", side, err)
			}
		}
	})
}

// Health checks have their own deadline, and are observed if that is wanted.
func TestHealthPasses(t *testing.T) {
	const method = "/grpc.health.v1.Health/Check"
	handler := func(ctx context.Context, _ any) (any, error) {
		if _, ok := ctx.Deadline(); ok {
			return nil, errors.New("a deadline")
		}
		return "ok", nil
	}
	invoker := func(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
		_, err := handler(ctx, nil)
		return err
	}
	for _, everything := range []bool{false, true} {
		told := 0
		i := Chain(Observe(func(Summary) { told++ }, ObserveConfig{Everything: everything}), Deadline(limit(t, time.Second)), Timeout(limit(t, time.Second)))
		_, err := i.UnaryServer(context.Background(), nil, &grpc.UnaryServerInfo{FullMethod: method}, handler)
		if err2 := i.UnaryClient(context.Background(), method, nil, nil, nil, invoker); err != nil || err2 != nil {
			t.Error(err, err2)
		}
		if (told == 2) != everything {
			t.Errorf("told %d times", told)
		}
	}
}

// The options put in the tap and what is outside of the calls.
func TestOptionsOfTapAndOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := newSet(t, policy.Config{Bulkheads: map[string]bulkhead.Config{"grpc": {Limit: 1}}})
		door := NewTap()
		sopts, err := ServerOptions(set, ServerConfig{Logger: quiet, Tap: door})
		if err != nil {
			t.Fatal(err)
		}
		dopts, err := DialOptions(set, "shop", ClientConfig{Outside: []*Interceptor{Fallback(FallbackConfig{}, step(t, "default", says("old")))}})
		if err != nil {
			t.Fatal(err)
		}
		p := serveWith(t, sopts, dopts)
		p.service.serve = func(context.Context, grpc.ServerStream) error { time.Sleep(time.Second); return nil }
		ended := make(chan string, 2)
		for range 2 {
			go func() {
				reply, _ := p.client.UnaryCall(context.Background(), &testpb.SimpleRequest{})
				ended <- reply.GetUsername()
			}()
			synctest.Wait()
		}
		if a, b := <-ended, <-ended; a != "old" || b != "answered" {
			t.Error(a, b)
		}
		if s := door.Snapshot(); s.Rejected != 1 || s.Asked != 2 {
			t.Errorf("%+v", s)
		}
	})
}

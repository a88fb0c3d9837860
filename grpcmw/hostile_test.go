package grpcmw

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/lifecycle"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/timeout"
)

// brokenCodec breaks when a server decodes a message.
type brokenCodec struct{ decode func() }

func (brokenCodec) Name() string { return "broken" }

func (brokenCodec) Marshal(any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer("x")}, nil
}

func (c brokenCodec) Unmarshal(mem.BufferSlice, any) error { c.decode(); return nil }

// A codec that panics under a Timeout breaks the call, not the process: it runs in a goroutine of ours, which Recover does not
// see.
func TestPanicOfACodecUnderATimeout(t *testing.T) {
	for name, decode := range map[string]func(){"panic": func() { panic("boom") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := limit(t, time.Hour)
				g := &ledger{}
				p := dialServer(t, Chain(Recover(RecoverConfig{Logger: quiet}), Guard(Guarded{Guard: g}), Timeout(nil, TimeoutConfig{Idle: m, MaxAge: m})),
					grpc.ForceServerCodecV2(brokenCodec{decode}))
				p.service.serve = func(_ context.Context, s grpc.ServerStream) error {
					return s.RecvMsg(&testpb.StreamingOutputCallRequest{})
				}
				s, err := p.client.FullDuplexCall(timed(t, time.Minute), grpc.ForceCodecV2(brokenCodec{func() {}}))
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Send(&testpb.StreamingOutputCallRequest{}); err != nil {
					t.Fatal(err)
				}
				want := codes.Internal
				if name == "Goexit" {
					want = codes.DeadlineExceeded // gRPC answers nothing
				}
				if _, err := s.Recv(); status.Code(err) != want {
					t.Error(err)
				}
				synctest.Wait()
				if _, ended := g.read(); !slices.Equal(ended, []core.Outcome{core.Failure}) {
					t.Error(ended)
				}
			})
		})
	}
}

// A function that panics when a client's stream ends does so in a goroutine of gRPC's, where it would end the process or take
// the ends of the policies outside with it.
func TestPanicsAtTheEndOfAStream(t *testing.T) {
	boom := func(context.Context, error) core.Outcome { panic("boom") }
	for name, i := range map[string]func(g *ledger) *Interceptor{
		"classify": func(g *ledger) *Interceptor { return Guard(Guarded{Guard: g}, Guarded{g, GuardConfig{Classify: boom}}) },
		"observe": func(g *ledger) *Interceptor {
			return Chain(Observe(func(Summary) { panic("boom") }), Guard(Guarded{Guard: g}, Guarded{Guard: g}))
		},
		"under a timeout": func(g *ledger) *Interceptor {
			m, _ := timeout.New("t", timeout.Config{Limit: time.Hour}, timeout.Hooks{})
			return Chain(Guard(Guarded{Guard: g}), Timeout(nil, TimeoutConfig{MaxAge: m}), Observe(func(Summary) { panic("boom") }), Guard(Guarded{g, GuardConfig{Classify: boom}}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				outer, g := &ledger{}, &ledger{}
				p := dial(t, nil, Chain(Guard(Guarded{Guard: outer}), i(g)))
				p.service.serve = hangAfterFirstServe
				ctx, cancel := context.WithCancel(context.Background())
				s, err := p.client.FullDuplexCall(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.Recv(); err != nil {
					t.Error(err)
				}
				cancel() // nobody reads on
				synctest.Wait()
				if _, ended := outer.read(); !slices.Equal(ended, []core.Outcome{core.Canceled}) {
					t.Errorf("outside: %v", ended)
				}
				if asked, ended := g.read(); asked != 2 || len(ended) != 2 {
					t.Errorf("%d of %d came back", len(ended), asked)
				}
			})
		})
	}
}

func hangAfterFirstServe(ctx context.Context, s grpc.ServerStream) error {
	return hangAfterFirst(ctx, s, bidi, nil)
}

// Only the services themselves are exempt: behind a proxy for unknown ones a client could choose a name that looks like it.
func TestExemptAreTheServicesAlone(t *testing.T) {
	for method, want := range map[string]bool{
		"/grpc.health.v1.Health/Check": true, "/grpc.health.v1.Health/Watch": true, "/grpc.health.v1.Health/List": true,
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      true,
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": true,
		"/grpc.channelz.v1.Channelz/GetServers":                          true,
		"/grpc.health.v1.Healthy/Check":                                  false, "/grpc.health.v1.Health/../shop.Orders/Place": false, "/grpc.health.evil/Place": false,
		"/shop.Orders/Place": false, "": false, "/": false, "grpc.health.v1.Health": false,
	} {
		if exempt(method) != want {
			t.Errorf("%q: %v", method, !want)
		}
	}
}

// What a client may make us write about its message is bounded and can be encoded: or the answer would not fit into the
// trailers that peers take.
func TestViolationsAreBounded(t *testing.T) {
	var faults manyFaults
	for range 1000 {
		faults = append(faults, fieldFault{"labels[" + strings.Repeat("k\xff", 1<<10) + "]", strings.Repeat("why ", 1<<10)})
	}
	i := Validate(ValidateConfig{Check: func(any) error { return faults }})
	_, err := i.UnaryServer(context.Background(), &testpb.SimpleRequest{}, &grpc.UnaryServerInfo{FullMethod: "/s/m"}, nil)
	st := status.Convert(err)
	if n := proto.Size(st.Proto()); st.Code() != codes.InvalidArgument || n > 6<<10 || len(st.Details()) != 2 {
		t.Errorf("%v, %d bytes, %d details", st.Code(), n, len(st.Details()))
	}
}

// A reply that cannot be made anew, such as a map of a codec's, is not decoded into by two attempts at once.
func TestHedgeLeavesSharedRepliesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := Hedge(newHedge(t, hedge.Config{Delay: time.Millisecond}), HedgeConfig{everything})
		for _, reply := range []any{map[string]int{}, (*testpb.SimpleResponse)(nil), []byte{}} {
			calls := 0
			err := i.UnaryClient(context.Background(), "/s/m", nil, reply, nil, func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
				calls++
				time.Sleep(time.Second)
				return nil
			})
			if err != nil || calls != 1 {
				t.Errorf("%T: %v, %d calls", reply, err, calls)
			}
		}
	})
}

// all is a chain of every policy, with settings that let calls pass.
func all(t testing.TB) *Interceptor {
	m := limit(t, time.Hour)
	return Chain(Recover(RecoverConfig{Logger: quiet}), RequestID(RequestIDConfig{TrustIncoming: true}), Observe(func(Summary) {}),
		Log(LogConfig{Logger: slog.New(slog.NewJSONHandler(io.Discard, nil))}), Criticality(ClassConfig{Trusted: trust}), Draining(newLife(t, lifecycle.Config{})),
		Fallback(FallbackConfig{}, step(t, "nobody", fails(errors.New("nobody")))), cached(t, newCache(t)),
		Timeout(m, TimeoutConfig{First: m, Idle: m, MaxAge: m}), Deadline(m), Retry(newRetry(t, retry.Config{MaxAttempts: 2, Base: time.Millisecond})),
		Hedge(newHedge(t, hedge.Config{Delay: time.Hour}), HedgeConfig{everything}), Validate(),
		Guard(Guarded{&ledger{}, GuardConfig{Key: ByMethod, Class: ByClass(ClassConfig{Trusted: trust})}}))
}

// Neither a nil request nor a nil reply, nor messages that are none of protobuf's, break any policy, on either side.
func TestNilAndOtherMessages(t *testing.T) {
	type plainMessage struct{ N int }
	i := all(t)
	for _, m := range [][2]any{
		{nil, nil}, {(*testpb.SimpleRequest)(nil), (*testpb.SimpleResponse)(nil)}, {&plainMessage{1}, &plainMessage{}},
		{plainMessage{1}, map[string]any{}}, {[]byte("x"), &[]byte{}}, {"x", 1}, {&testpb.SimpleRequest{}, nil}, {nil, &testpb.SimpleResponse{}},
	} {
		for _, fails := range []error{nil, status.Error(codes.Unavailable, ""), status.Error(codes.Internal, ""), noStatus{}, okStatus{}} {
			err := i.UnaryClient(context.Background(), "/s/m", m[0], m[1], nil, func(_ context.Context, _ string, req, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
				return fails
			})
			if (err == nil) != (fails == nil) || fails != nil && !errors.Is(err, fails) {
				t.Errorf("client, %T %T: %v, want %v", m[0], m[1], err, fails)
			}
			resp, err := i.UnaryServer(context.Background(), m[0], &grpc.UnaryServerInfo{FullMethod: "/s/m"}, func(context.Context, any) (any, error) { return m[1], fails })
			if (err == nil) != (fails == nil) || fails == nil && resp == nil && m[1] != nil {
				t.Errorf("server, %T %T: %v, want %v", m[0], m[1], err, fails)
			}
		}
	}
}

// An Invoke of an unknown method with neither request nor reply, as grpc's own test of unimplemented methods makes it, is
// Unimplemented; behind an UnknownServiceHandler the policies run.
func TestUnknownMethods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &ledger{}
		p := dial(t, Guard(Guarded{Guard: g}), all(t))
		for _, method := range []string{"/no.Such/Method", "/grpc.testing.TestService/NoSuch", "no slash", "/", ""} {
			err := p.conn.Invoke(context.Background(), method, nil, nil)
			if c := status.Code(err); c != codes.Unimplemented && c != codes.Internal { // Internal: nil is not to be encoded, or no method at all
				t.Errorf("%q: %v", method, err)
			}
			if err := p.conn.Invoke(context.Background(), method, &testpb.Empty{}, &testpb.Empty{}); status.Code(err) != codes.Unimplemented {
				t.Errorf("%q: %v", method, err)
			}
		}
		if asked, _ := g.read(); asked != 0 {
			t.Errorf("the server's policies saw %d calls", asked)
		}
		var seen heardOf
		unknown := grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
			if err := s.RecvMsg(&testpb.Empty{}); err != nil {
				return err
			}
			return s.SendMsg(&testpb.Empty{})
		})
		server := all(t)
		p = dialServer(t, Chain(Guard(Guarded{Guard: g}), seen.policy(), server), unknown, grpc.InTapHandle(NewTap().Handle(server)))
		for _, method := range []string{"/no.Such/Method", "/s/a", "//", "/grpc.health.v1.Nothing/Check"} {
			if err := p.conn.Invoke(context.Background(), method, &testpb.Empty{}, &testpb.Empty{}); err != nil {
				t.Errorf("%q: %v", method, err)
			}
		}
		synctest.Wait()
		if asked, ended := g.read(); asked != 4 || len(ended) != 4 || len(seen.list) != 4 {
			t.Error(asked, ended, len(seen.list))
		}
	})
}

// Metadata that make no sense, or are larger than anybody takes: a documented result, and no panic.
func TestMetadataThatMakeNoSense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := Chain(all(t), Guard(Guarded{&ledger{}, GuardConfig{Key: ByMetadata("api-key")}}))
		p := dialServer(t, server, grpc.InTapHandle(NewTap().Handle(server)), grpc.MaxHeaderListSize(16<<10))
		long := strings.Repeat("x", 8<<10)
		for _, kv := range [][]string{
			{keyAttempts, "-1"}, {keyAttempts, "many"}, {keyAttempts, "1", keyAttempts, "1"}, {keyAttempts, "99999999999999999999"}, {keyAttempts, ""},
			{keyAttempts, long}, {keyPushback, "soon"}, {keyRequestID, long}, {keyRequestID, "a b"}, {"request-criticality", long}, {"api-key", long},
		} {
			for k := range kinds {
				p.service.serve = func(_ context.Context, s grpc.ServerStream) error { return send(s, k) }
				if err := p.call(metadata.AppendToOutgoingContext(context.Background(), kv...), k, nil); err != nil {
					t.Errorf("%.40q: %v: %v", kv, k, err)
				}
			}
		}
		huge := metadata.AppendToOutgoingContext(context.Background(), "api-key", long, "b", long, "c", long)
		for k := range kinds {
			if err := p.call(huge, k, nil); status.Code(err) != codes.Internal && status.Code(err) != codes.Unavailable { // gRPC's own word for it
				t.Errorf("%v: %v", k, err)
			}
		}
	})
}

// A handler's error without a status, or with OK for one, is Unknown for everybody, on the wire too.
func TestErrorsWithoutAStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, broken := range []error{noStatus{}, okStatus{}} {
			for k := range kinds {
				g := &ledger{}
				var seen heardOf
				p := dial(t, Chain(Guard(Guarded{Guard: g}), seen.policy(), all(t)), nil)
				p.service.serve = func(context.Context, grpc.ServerStream) error { return broken }
				err := p.call(context.Background(), k, nil)
				synctest.Wait()
				if _, ended := g.read(); !slices.Equal(ended, []core.Outcome{core.Failure}) || seen.list[0].Code != codes.Unknown {
					t.Errorf("%T, %v: %v, %v", broken, k, ended, seen.list[0].Code)
				}
				_ = err // gRPC's own word: OK for a status that says so
			}
		}
	})
}

// Messages in both directions at once, from several goroutines, past the end, under every policy: for the race detector.
func TestStreamsFromSeveralGoroutines(t *testing.T) {
	server, client := all(t), all(t)
	p := dial(t, server, client)
	p.service.serve = func(ctx context.Context, s grpc.ServerStream) error {
		var both sync.WaitGroup
		both.Go(func() {
			for range 100 {
				if s.SendMsg(&testpb.StreamingOutputCallResponse{}) != nil {
					return
				}
			}
		})
		both.Go(func() {
			for s.RecvMsg(&testpb.StreamingOutputCallRequest{}) == nil {
			}
		})
		both.Wait()
		return nil
	}
	var calls sync.WaitGroup
	var finished atomic.Int32
	for i := range 20 {
		calls.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			s, err := p.client.FullDuplexCall(ctx, grpc.OnFinish(func(error) { finished.Add(1) }))
			if err != nil {
				t.Error(err)
				return
			}
			var both sync.WaitGroup
			both.Go(func() {
				for range 100 {
					_ = s.Send(&testpb.StreamingOutputCallRequest{})
				}
				if i%2 == 0 {
					cancel()
				}
				_ = s.CloseSend()
				_ = s.CloseSend()
			})
			both.Go(func() {
				for {
					if _, err := s.Recv(); err != nil {
						break
					}
				}
				for range 4 {
					_, _ = s.Recv()
				}
			})
			both.Wait()
		})
	}
	calls.Wait()
	if n := finished.Load(); n != 20 {
		t.Errorf("%d of 20 finished", n)
	}
}

// Settings change while calls run.
func TestTuneUnderLoad(t *testing.T) {
	m, r, h := limit(t, time.Hour), newRetry(t, retry.Config{}), newHedge(t, hedge.Config{Delay: time.Millisecond})
	i := Chain(Timeout(m, TimeoutConfig{First: m, Idle: m, MaxAge: m}), Deadline(m), Retry(r), Hedge(h, HedgeConfig{everything}), Guard(threeGuards(t)...))
	p := dial(t, i, i)
	p.service.serve = func(_ context.Context, s grpc.ServerStream) error { return send(s, bidi) }
	stop := make(chan struct{})
	var all, tuner sync.WaitGroup
	tuner.Go(func() {
		for n := time.Duration(1); ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			for _, err := range []error{
				m.Tune(timeout.Config{Limit: time.Hour + n}), r.Tune(retry.Config{MaxAttempts: int(1 + n%3)}), h.Tune(hedge.Config{Delay: time.Millisecond * (1 + n%5)}),
			} {
				if err != nil {
					t.Error(err)
				}
			}
			for _, mode := range []core.Mode{core.Shadow, core.Disabled, core.Enforce} {
				_ = m.Override(mode, 0)
			}
			m.Restore()
		}
	})
	for range 4 {
		all.Go(func() {
			for range 100 {
				for _, k := range []kind{unary, bidi} {
					if err := p.call(context.Background(), k, nil); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	close(stop)
	tuner.Wait()
}

var _ encoding.CodecV2 = brokenCodec{}

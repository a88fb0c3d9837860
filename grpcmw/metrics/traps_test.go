package metrics

import (
	"context"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/grpcmw"
)

// arms are the sets of names.
var arms = map[string]struct {
	config           Config
	started, handled string // metrics, with %s for the side; started is that of the calls in flight if there is none
}{
	"own":        {Config{}, "", "rpc_%s_call_duration_seconds"},
	"compatible": {Config{Compatible: true, HandlingTime: true}, "grpc_%s_started_total", "grpc_%s_handled_total"},
}

// forBoth runs f in a bubble with each set of names; balance checks that so many calls of a side began and were over.
func forBoth(t *testing.T, f func(t *testing.T, server, client *grpcmw.Interceptor, balance func(side string, calls float64))) {
	for name, arm := range arms {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client, registry := sides(t, arm.config)
				f(t, server, client, func(side string, calls float64) {
					t.Helper()
					synctest.Wait()
					got := gather(t, registry)
					metric := func(format string) float64 { return sum(got, strings.Replace(format, "%s", side, 1)) }
					equal(t, side+": handled", metric(arm.handled), calls)
					if arm.started != "" {
						equal(t, side+": started", metric(arm.started), calls)
						equal(t, side+": timed", metric("grpc_%s_handling_seconds"), calls)
						return
					}
					equal(t, side+": in flight", metric("rpc_%s_active_calls"), 0)
				})
			})
		})
	}
}

// go-grpc-middleware handles none of five such streams.
func TestClientStreamsWhoseContextEndsAreHandled(t *testing.T) {
	forBoth(t, func(t *testing.T, server, client *grpcmw.Interceptor, balance func(string, float64)) {
		p := connect(t, server, client)
		p.service.serve = func(ctx context.Context, _ grpc.ServerStream) error { <-ctx.Done(); return ctx.Err() }
		for range 5 {
			ctx, cancel := context.WithCancel(t.Context())
			if _, err := p.FullDuplexCall(ctx); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			cancel()
		}
		balance("client", 5)
		balance("server", 5)
	})
}

// go-grpc-middleware handles such a stream four times.
func TestStreamReadPastItsEndIsHandledOnce(t *testing.T) {
	forBoth(t, func(t *testing.T, server, client *grpcmw.Interceptor, balance func(string, float64)) {
		p := connect(t, server, client)
		s, err := p.FullDuplexCall(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			if _, err := s.Recv(); err != io.EOF {
				t.Fatal(err)
			}
		}
		balance("client", 1)
	})
}

// A stream that gRPC never opened is over as well.
func TestStreamsThatDoNotOpenAreHandled(t *testing.T) {
	forBoth(t, func(t *testing.T, server, client *grpcmw.Interceptor, balance func(string, float64)) {
		full := mw.Must(bulkhead.New("full", bulkhead.Config{Limit: 1}, bulkhead.Hooks{}))
		_, _ = full.Acquire(t.Context(), core.Call{})
		p := connect(t, server, client)
		done, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = p.FullDuplexCall(done)
		_, _ = p.FullDuplexCall(t.Context(), grpc.UseCompressor("unheard-of"))
		p = connect(t, server, grpcmw.Chain(client, grpcmw.Bulkhead(full)))
		_, _ = p.FullDuplexCall(t.Context()) // never reaches gRPC
		balance("client", 3)
		balance("server", 0)
	})
}

// Outside of the recovery, go-grpc-middleware does not handle calls that panic.
func TestPanicsAreHandledWhereverRecoverStands(t *testing.T) {
	forBoth(t, func(t *testing.T, server, client *grpcmw.Interceptor, balance func(string, float64)) {
		calls := 0.0
		for _, chain := range []*grpcmw.Interceptor{grpcmw.Chain(quiet(), server), grpcmw.Chain(server, quiet())} {
			for _, end := range []func(){func() { panic("planted") }, runtime.Goexit} {
				p := connect(t, chain, client)
				p.service.serve = func(context.Context, grpc.ServerStream) error { end(); return nil }
				for _, call := range kinds {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					_ = call(ctx, p)
					cancel()
					calls++
				}
			}
		}
		balance("server", calls)
		balance("client", calls)
	})
}

// kinds make a call to its end.
var kinds = map[string]func(context.Context, *pair) error{
	"unary": func(ctx context.Context, p *pair) error {
		_, err := p.UnaryCall(ctx, &testpb.SimpleRequest{})
		return err
	},
	"client_stream": func(ctx context.Context, p *pair) error {
		s, err := p.StreamingInputCall(ctx)
		if err != nil {
			return err
		}
		_, err = s.CloseAndRecv()
		return err
	},
	"server_stream": func(ctx context.Context, p *pair) error {
		return read(p.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{}))
	},
	"bidi_stream": func(ctx context.Context, p *pair) error { return read(p.FullDuplexCall(ctx)) },
}

// Whatever becomes of calls: those that have begun are over.
func TestStartedEqualsFinished(t *testing.T) {
	ends := map[string]func(ctx context.Context, p *pair) error{
		"ok":       func(context.Context, *pair) error { return nil },
		"error":    func(context.Context, *pair) error { return status.Error(codes.Internal, "") },
		"EOF":      func(context.Context, *pair) error { return io.EOF },
		"deadline": func(ctx context.Context, _ *pair) error { <-ctx.Done(); return ctx.Err() },
		"panic":    func(context.Context, *pair) error { panic("planted") },
		"gone":     func(ctx context.Context, p *pair) error { go p.server.Stop(); <-ctx.Done(); return ctx.Err() },
		"GOAWAY": func(_ context.Context, p *pair) error {
			go p.server.GracefulStop()
			time.Sleep(time.Millisecond)
			return nil
		},
	}
	for end, serve := range ends {
		for kind, call := range kinds {
			t.Run(end+"/"+kind, func(t *testing.T) {
				forBoth(t, func(t *testing.T, server, client *grpcmw.Interceptor, balance func(string, float64)) {
					p := connect(t, grpcmw.Chain(quiet(), server), client)
					p.service.serve = func(ctx context.Context, _ grpc.ServerStream) error { return serve(ctx, p) }
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					_ = call(ctx, p)
					balance("server", 1)
					balance("client", 1)
				})
			})
		}
	}
}

// The names and labels are those of go-grpc-middleware, and messages are counted as they pass.
func TestCompatible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client, registry := sides(t, Config{Compatible: true, HandlingTime: true})
		p := connect(t, server, client)
		_, _ = p.UnaryCall(t.Context(), &testpb.SimpleRequest{})
		p.service.serve = func(context.Context, grpc.ServerStream) error { return status.Error(codes.NotFound, "") }
		_, _ = p.UnaryCall(t.Context(), &testpb.SimpleRequest{})
		p.service.serve = func(_ context.Context, s grpc.ServerStream) error {
			for range 3 {
				_ = s.SendMsg(&testpb.StreamingOutputCallResponse{})
			}
			time.Sleep(time.Hour)
			return nil
		}
		go func() { _ = read(p.StreamingOutputCall(t.Context(), &testpb.StreamingOutputCallRequest{})) }()
		time.Sleep(time.Minute)
		const unary = "{grpc_method=UnaryCall,grpc_service=grpc.testing.TestService,grpc_type=unary}"
		const stream = "{grpc_method=StreamingOutputCall,grpc_service=grpc.testing.TestService,grpc_type=server_stream}"
		wanted := map[string]float64{}
		for side, passed := range map[string][2]float64{"server": {1, 3}, "client": {3, 1}} { // received and sent on the stream
			prefix := "grpc_" + side + "_"
			wanted[prefix+"started_total"+unary] = 2
			wanted[prefix+"started_total"+stream] = 1
			for code, n := range map[string]float64{"OK": 1, "NotFound": 1} {
				wanted[prefix+"handled_total{grpc_code="+code+","+unary[1:]] = n
			}
			wanted[prefix+"msg_received_total"+unary] = map[string]float64{"server": 2, "client": 1}[side]
			wanted[prefix+"msg_sent_total"+unary] = map[string]float64{"server": 1, "client": 2}[side]
			wanted[prefix+"msg_received_total"+stream] = passed[0]
			wanted[prefix+"msg_sent_total"+stream] = passed[1]
			wanted[prefix+"handling_seconds"+unary] = 2
		}
		want(t, gather(t, registry), wanted)
		time.Sleep(time.Hour)
	})
}

// The series of known methods are there at 0 before the first call, all of them, however low the bound.
func TestCompatibleBeforeTheFirstCall(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	services := []*grpc.ServiceDesc{&testpb.TestService_ServiceDesc}
	mw.Must(Server(Config{Registerer: registry, Compatible: true, Services: services, MaxMethods: 1, MaxSeries: 1}))
	got, n := gather(t, registry), 0
	for key, value := range got {
		if strings.HasPrefix(key, "grpc_server_handled_total") {
			n++
		}
		if value != 0 || strings.Contains(key, "_OTHER") {
			t.Errorf("%s is %v", key, value)
		}
	}
	methods := len(services[0].Methods) + len(services[0].Streams)
	equal(t, "series", strconv.Itoa(n), strconv.Itoa(17*methods))
}

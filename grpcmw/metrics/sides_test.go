package metrics

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/schema"
	"github.com/mw-go/mw/grpcmw"
)

func sides(t testing.TB, c Config) (server, client *grpcmw.Interceptor, registry *prometheus.Registry) {
	t.Helper()
	registry = prometheus.NewPedanticRegistry()
	c.Registerer = registry
	return mw.Must(Server(c)), mw.Must(Client(c)), registry
}

const (
	serverSeconds = "rpc_server_call_duration_seconds"
	clientSeconds = "rpc_client_call_duration_seconds"
	prefix        = "grpc.testing.TestService/"
)

func TestBothSides(t *testing.T) {
	server, client, registry := sides(t, Config{})
	full := mw.Must(bulkhead.New("full", bulkhead.Config{Limit: 1}, bulkhead.Hooks{}))
	slots := grpcmw.Bulkhead(full, grpcmw.GuardConfig{Only: grpcmw.Streams})
	p := connect(t, grpcmw.Chain(quiet(), server, slots), client)
	ends := []error{nil, nil, status.Error(codes.NotFound, ""), status.Error(codes.Unavailable, ""), status.Error(77, "")}
	for _, end := range ends {
		p.service.serve = func(context.Context, grpc.ServerStream) error { return end }
		_, _ = p.UnaryCall(context.Background(), &testpb.SimpleRequest{})
	}
	p.service.serve = func(context.Context, grpc.ServerStream) error { panic("planted") }
	_, _ = p.UnaryCall(context.Background(), &testpb.SimpleRequest{})
	p.service.serve = func(context.Context, grpc.ServerStream) error { return nil }
	_ = read(p.StreamingOutputCall(context.Background(), &testpb.StreamingOutputCallRequest{}))
	permit, _ := full.Acquire(context.Background(), core.Call{})
	_ = read(p.StreamingOutputCall(context.Background(), &testpb.StreamingOutputCallRequest{}))
	permit.Done(0, core.Success)

	p.server.GracefulStop()
	got := gather(t, registry)
	const unary, code = "rpc_method=" + prefix + "UnaryCall,", "rpc_response_status_code="
	const output = "rpc_method=" + prefix + "StreamingOutputCall,"
	const to = ",server_address=shop,server_port=8080"
	want(t, got, map[string]float64{
		serverSeconds + "{" + unary + code + "OK}":                                  2,
		serverSeconds + "{" + unary + code + "NOT_FOUND}":                           1,
		serverSeconds + "{error_type=UNAVAILABLE," + unary + code + "UNAVAILABLE}":  1,
		serverSeconds + "{error_type=_OTHER," + unary + code + "_OTHER}":            1,
		serverSeconds + "{error_type=panic," + unary + code + "INTERNAL}":           1,
		serverSeconds + "{" + output + code + "OK}":                                 1,
		serverSeconds + "{error_type=full," + output + code + "RESOURCE_EXHAUSTED}": 1,

		clientSeconds + "{" + unary + code + "OK" + to + "}":                                                2,
		clientSeconds + "{error_type=NOT_FOUND," + unary + code + "NOT_FOUND" + to + "}":                    1,
		clientSeconds + "{error_type=UNAVAILABLE," + unary + code + "UNAVAILABLE" + to + "}":                1,
		clientSeconds + "{error_type=_OTHER," + unary + code + "_OTHER" + to + "}":                          1,
		clientSeconds + "{error_type=INTERNAL," + unary + code + "INTERNAL" + to + "}":                      1,
		clientSeconds + "{" + output + code + "OK" + to + "}":                                               1,
		clientSeconds + "{error_type=RESOURCE_EXHAUSTED," + output + code + "RESOURCE_EXHAUSTED" + to + "}": 1,
	})
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

func TestInFlightAndTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client, registry := sides(t, Config{})
		p := connect(t, server, client)
		p.service.serve = func(context.Context, grpc.ServerStream) error { time.Sleep(3 * time.Second); return nil }
		go func() { _ = read(p.FullDuplexCall(context.Background())) }()
		time.Sleep(time.Second)
		for _, metric := range []string{"rpc_server_active_calls", "rpc_client_active_calls"} {
			equal(t, metric, gather(t, registry)[metric+"{rpc_method="+prefix+"FullDuplexCall}"], 1)
		}
		time.Sleep(3 * time.Second)
		for _, metric := range []string{"rpc_server_active_calls", "rpc_client_active_calls"} {
			equal(t, metric, sum(gather(t, registry), metric), 0)
		}
		families := mw.Must(registry.Gather())
		for _, f := range families {
			if f.GetName() == serverSeconds || f.GetName() == clientSeconds {
				equal(t, f.GetName(), f.GetMetric()[0].GetHistogram().GetSampleSum(), 3)
			}
		}
	})
}

// Clients of a server with an UnknownServiceHandler choose the names of methods.
func TestUnknownMethodsAreOther(t *testing.T) {
	for name, c := range map[string]Config{
		"bound": {MaxMethods: 1}, "known": {Services: []*grpc.ServiceDesc{&testpb.TestService_ServiceDesc}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, c.Compatible = range []bool{false, true} {
				server, _, registry := sides(t, c)
				p := connect(t, server, grpcmw.Chain(), grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
					return status.Error(codes.Unimplemented, "")
				}))
				_, _ = p.UnaryCall(context.Background(), &testpb.SimpleRequest{})
				for i := range 20 {
					_ = p.conn.Invoke(context.Background(), "/evil/"+strconv.Itoa(i), &testpb.Empty{}, &testpb.Empty{})
				}
				p.server.GracefulStop()
				got := gather(t, registry)
				if c.Compatible {
					equal(t, "unknown", got["grpc_server_started_total{grpc_method=_OTHER,grpc_service=_OTHER,grpc_type=bidi_stream}"], 20)
					equal(t, "known", got["grpc_server_started_total{grpc_method=UnaryCall,grpc_service=grpc.testing.TestService,grpc_type=unary}"], 1)
					continue
				}
				equal(t, "unknown", got[serverSeconds+"{error_type=UNIMPLEMENTED,rpc_method=_OTHER,rpc_response_status_code=UNIMPLEMENTED}"], 20)
				equal(t, "known", got[serverSeconds+"{rpc_method="+prefix+"UnaryCall,rpc_response_status_code=OK}"], 1)
			}
		})
	}
}

// However many combinations there are, so many have series, and one more.
func TestSeriesAreBounded(t *testing.T) {
	for _, compatible := range []bool{false, true} {
		server, _, registry := sides(t, Config{MaxSeries: 3, Compatible: compatible})
		for i := range 20 {
			info := &grpc.UnaryServerInfo{FullMethod: "/shop.Orders/M" + strconv.Itoa(i)}
			_, _ = server.UnaryServer(context.Background(), nil, info, nothing)
		}
		got, n := gather(t, registry), 0
		metric := serverSeconds
		if compatible {
			metric = "grpc_server_handled_total"
		}
		for key := range got {
			if key[:len(metric)] == metric {
				n++
			}
		}
		equal(t, "series", n, 4)
		equal(t, "calls", sum(got, metric), 20)
	}
}

func TestHealthChecks(t *testing.T) {
	for _, everything := range []bool{false, true} {
		for _, compatible := range []bool{false, true} {
			server, _, registry := sides(t, Config{Everything: everything, Compatible: compatible})
			_, _ = server.UnaryServer(context.Background(), nil, &grpc.UnaryServerInfo{FullMethod: "/grpc.health.v1.Health/Check"}, nothing)
			got := gather(t, registry)
			equal(t, "counted", sum(got, serverSeconds)+sum(got, "grpc_server_handled_total") == 1, everything)
		}
	}
}

// Two servers of a program share the metrics.
func TestTwice(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	info := &grpc.UnaryServerInfo{FullMethod: "/shop.Orders/Place"}
	for _, compatible := range []bool{false, true} {
		for range 2 {
			server := mw.Must(Server(Config{Registerer: registry, Compatible: compatible}))
			_, _ = server.UnaryServer(context.Background(), nil, info, func(context.Context, any) (any, error) {
				if n := sum(gather(t, registry), "rpc_server_active_calls"); !compatible && n != 1 {
					t.Errorf("%v in flight", n)
				}
				return nil, nil
			})
		}
	}
	want(t, gather(t, registry), map[string]float64{
		serverSeconds + "{rpc_method=shop.Orders/Place,rpc_response_status_code=OK}":                         2,
		"grpc_server_handled_total{grpc_code=OK,grpc_method=Place,grpc_service=shop.Orders,grpc_type=unary}": 2,
	})
}

func TestRefuses(t *testing.T) {
	for name, c := range map[string]Config{
		"max_series": {MaxSeries: -1}, "max_methods": {MaxMethods: 1e6}, "max_targets": {MaxTargets: -1},
		"services": {Services: []*grpc.ServiceDesc{nil}}, "handling_time": {HandlingTime: true},
	} {
		for _, make := range []func(Config) (*grpcmw.Interceptor, error){Server, Client} {
			_, err := make(c)
			faults, ok := errors.AsType[schema.Errors](err)
			if !ok || len(faults) != 1 {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, metric := range []string{serverSeconds, "grpc_server_handled_total"} {
		registry := prometheus.NewRegistry()
		registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: metric, Help: "another"}))
		if _, err := Server(Config{Registerer: registry, Compatible: metric != serverSeconds}); err == nil {
			t.Errorf("another %s was taken", metric)
		}
	}
}

func nothing(context.Context, any) (any, error) { return nil, nil }

// In the steady state nothing is allocated: neither alone nor in a chain, nor for a failure.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	fails := status.Error(codes.Internal, "")
	handlers := map[string]grpc.UnaryHandler{"ok": nothing, "fails": func(context.Context, any) (any, error) { return nil, fails }}
	info := &grpc.UnaryServerInfo{FullMethod: "/shop.Orders/Place"}
	count := func(i *grpcmw.Interceptor, h grpc.UnaryHandler) float64 {
		return testing.AllocsPerRun(200, func() { _, _ = i.UnaryServer(context.Background(), nil, info, h) })
	}
	for name, c := range map[string]Config{
		"own": {}, "known": {Services: []*grpc.ServiceDesc{&testpb.TestService_ServiceDesc}}, "compatible": {Compatible: true, HandlingTime: true},
	} {
		server, client, _ := sides(t, c)
		for end, h := range handlers {
			equal(t, name+" alone, "+end, count(server, h), 0)
			equal(t, name+" in a chain, "+end, count(grpcmw.Chain(quiet(), server), h)-count(quiet(), h), 0)
		}
		invoker := func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return nil }
		calls := func(i *grpcmw.Interceptor) float64 {
			return testing.AllocsPerRun(200, func() { _ = i.UnaryClient(context.Background(), info.FullMethod, nil, nil, nil, invoker) })
		}
		equal(t, name+" on a client", calls(client)-calls(grpcmw.Chain()), 0)
	}
}

func BenchmarkServer(b *testing.B) {
	info := &grpc.UnaryServerInfo{FullMethod: "/shop.Orders/Place"}
	for name, c := range map[string]Config{"own": {}, "compatible": {Compatible: true, HandlingTime: true}} {
		server, _, _ := sides(b, c)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = server.UnaryServer(context.Background(), nil, info, nothing)
			}
		})
	}
}

package otelmetrics

import (
	"context"
	"maps"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/grpcmw"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func provider() (metric.Meter, *sdk.ManualReader) {
	reader := sdk.NewManualReader()
	return sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test"), reader
}

// collect returns the counts of histograms and the values of sums that are not 0, by name and attributes.
func collect(t *testing.T, reader *sdk.ManualReader) map[string]uint64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	put := func(name string, set attribute.Set, n uint64) {
		if n != 0 {
			got[name+" "+set.Encoded(attribute.DefaultEncoder())] = n
		}
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					put(m.Name, p.Attributes, p.Count)
				}
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					put(m.Name, p.Attributes, uint64(p.Value))
				}
			default:
				t.Errorf("%s is a %T", m.Name, d)
			}
		}
	}
	return got
}

func check(t *testing.T, got, want map[string]uint64) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("\n got %v\nwant %v", got, want)
	}
}

func serve(i *grpcmw.Interceptor, method string, h grpc.UnaryHandler) {
	defer func() { _ = recover() }()
	_, _ = i.UnaryServer(context.Background(), nil, &grpc.UnaryServerInfo{FullMethod: method}, h)
}

func ends(err error) grpc.UnaryHandler {
	return func(context.Context, any) (any, error) { return nil, err }
}

const call = "rpc.method=shop.Orders/Place,rpc.response.status_code="

func TestServer(t *testing.T) {
	meter, reader := provider()
	server := mw.Must(Server(Config{Meter: meter}))
	for _, err := range []error{nil, nil, status.Error(codes.NotFound, ""), status.Error(codes.Internal, ""), status.Error(99, "")} {
		serve(server, "/shop.Orders/Place", ends(err))
	}
	serve(server, "/shop.Orders/Place", func(context.Context, any) (any, error) { panic("planted") })
	const d, grpc = "rpc.server.call.duration ", ",rpc.system.name=grpc"
	check(t, collect(t, reader), map[string]uint64{
		d + call + "OK" + grpc: 2, d + call + "NOT_FOUND" + grpc: 1, d + "error.type=INTERNAL," + call + "INTERNAL" + grpc: 1,
		d + "error.type=_OTHER," + call + "_OTHER" + grpc: 1, d + "error.type=panic," + call + "INTERNAL" + grpc: 1,
	})
}

func TestActive(t *testing.T) {
	meter, reader := provider()
	serve(mw.Must(Server(Config{Meter: meter})), "/shop.Orders/Place", func(context.Context, any) (any, error) {
		check(t, collect(t, reader), map[string]uint64{"rpc.server.active_calls rpc.method=shop.Orders/Place,rpc.system.name=grpc": 1})
		return nil, nil
	})
}

func TestClient(t *testing.T) {
	meter, reader := provider()
	client := mw.Must(Client(Config{Meter: meter, MaxTargets: 1}))
	for _, target := range []string{"dns:///a.example:443", "dns:///b.example"} {
		cc, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		_ = client.UnaryClient(context.Background(), "/shop.Orders/Place", nil, nil, cc,
			func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
				return status.Error(codes.NotFound, "")
			})
		_ = cc.Close()
	}
	const d = "rpc.client.call.duration error.type=NOT_FOUND," + call + "NOT_FOUND,rpc.system.name=grpc,server.address="
	check(t, collect(t, reader), map[string]uint64{d + "a.example,server.port=443": 1, d + "_OTHER": 1})
}

func TestBounds(t *testing.T) {
	meter, reader := provider()
	known := []*grpc.ServiceDesc{&testpb.TestService_ServiceDesc}
	for _, c := range []Config{{Meter: meter, MaxSeries: 2, MaxMethods: 5}, {Meter: meter, Services: known}} {
		server := mw.Must(Server(c))
		for _, method := range []string{"/a/1", "/a/2", "/a/3", "/a/4", "/grpc.health.v1.Health/Check"} {
			serve(server, method, ends(nil))
		}
	}
	const d, ok, grpc = "rpc.server.call.duration ", "rpc.response.status_code=OK", ",rpc.system.name=grpc"
	check(t, collect(t, reader), map[string]uint64{
		d + "rpc.method=a/1," + ok + grpc: 1, d + "rpc.method=a/2," + ok + grpc: 1,
		d + "error.type=_OTHER,rpc.method=_OTHER,rpc.response.status_code=_OTHER" + grpc: 2, // too many
		d + "rpc.method=_OTHER," + ok + grpc:                                             4, // unknown
	})
}

func TestRefuses(t *testing.T) {
	for _, c := range []Config{
		{}, {Meter: noop.Meter{}, MaxSeries: -1}, {Meter: noop.Meter{}, MaxTargets: 1e9}, {Meter: noop.Meter{}, MaxMethods: -1},
		{Meter: noop.Meter{}, Services: []*grpc.ServiceDesc{nil}},
	} {
		for _, make := range []func(Config) (*grpcmw.Interceptor, error){Server, Client} {
			if _, err := make(c); err == nil {
				t.Errorf("%+v was taken", c)
			}
		}
	}
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	meter, _ := provider()
	server, info := mw.Must(Server(Config{Meter: meter})), &grpc.UnaryServerInfo{FullMethod: "/shop.Orders/Place"}
	h := ends(nil)
	if n := testing.AllocsPerRun(200, func() { _, _ = server.UnaryServer(context.Background(), nil, info, h) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

package metrics

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sort"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/test/bufconn"

	"github.com/mw-go/mw/grpcmw"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gather returns every series as name{label=value,...}, without empty labels and the one that is always the same: its value, or
// a histogram's count.
func gather(t testing.TB, r prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			value := m.GetGauge().GetValue() + m.GetCounter().GetValue()
			if f.GetType() == dto.MetricType_HISTOGRAM {
				value = float64(m.GetHistogram().GetSampleCount())
			}
			got[f.GetName()+"{"+labels(m)+"}"] = value
		}
	}
	return got
}

func labels(m *dto.Metric) string {
	var pairs []string
	for _, l := range m.GetLabel() {
		if l.GetValue() != "" && l.GetName() != labelSystem {
			pairs = append(pairs, l.GetName()+"="+l.GetValue())
		}
	}
	sort.Strings(pairs)
	return strings.Join(pairs, ",")
}

// sum adds up the series of a metric.
func sum(got map[string]float64, metric string) (n float64) {
	for key, value := range got {
		if strings.HasPrefix(key, metric+"{") {
			n += value
		}
	}
	return n
}

// want checks that the series are there with their values, and that the others of the same metrics are 0.
func want(t *testing.T, got, want map[string]float64) {
	t.Helper()
	metrics := map[string]bool{}
	for key, value := range want {
		name, _, _ := strings.Cut(key, "{")
		metrics[name] = true
		if v, ok := got[key]; !ok || v != value {
			t.Errorf("%s: %v (there: %v), want %v", key, v, ok, value)
		}
	}
	for key, value := range got {
		name, _, _ := strings.Cut(key, "{")
		if _, ok := want[key]; !ok && metrics[name] && value != 0 {
			t.Errorf("%s %v is one too many", key, value)
		}
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// service answers every kind of call with what serve says.
type service struct {
	testpb.UnimplementedTestServiceServer
	serve func(ctx context.Context, s grpc.ServerStream) error // s is nil for unary calls
}

func (s *service) UnaryCall(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return &testpb.SimpleResponse{}, s.serve(ctx, nil)
}

func (s *service) StreamingOutputCall(_ *testpb.StreamingOutputCallRequest, ss grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	return s.serve(ss.Context(), ss)
}

func (s *service) StreamingInputCall(ss grpc.ClientStreamingServer[testpb.StreamingInputCallRequest, testpb.StreamingInputCallResponse]) error {
	return s.serve(ss.Context(), ss)
}

func (s *service) FullDuplexCall(ss grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	return s.serve(ss.Context(), ss)
}

// pair is a server and a client over memory.
type pair struct {
	service *service
	server  *grpc.Server
	conn    *grpc.ClientConn
	testpb.TestServiceClient
}

func connect(t testing.TB, server, client *grpcmw.Interceptor, more ...grpc.ServerOption) *pair {
	t.Helper()
	p := &pair{service: &service{serve: func(context.Context, grpc.ServerStream) error { return nil }}}
	p.server = grpc.NewServer(append(more, grpc.UnaryInterceptor(server.UnaryServer),
		grpc.StreamInterceptor(server.StreamServer), grpc.WaitForHandlers(true))...)
	testpb.RegisterTestServiceServer(p.server, p.service)
	listener := bufconn.Listen(1 << 20)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = p.server.Serve(listener)
	}()
	conn, err := grpc.NewClient("passthrough:shop:8080", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableServiceConfig(), grpc.WithUnaryInterceptor(client.UnaryClient), grpc.WithStreamInterceptor(client.StreamClient),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	p.conn, p.TestServiceClient = conn, testpb.NewTestServiceClient(conn)
	t.Cleanup(func() {
		_ = conn.Close()
		p.server.Stop()
		_ = listener.Close()
		<-served
	})
	return p
}

// quiet recovers without a word.
func quiet() *grpcmw.Interceptor {
	return grpcmw.Recover(grpcmw.RecoverConfig{Logger: slog.New(slog.DiscardHandler)})
}

// read reads a stream to its end.
func read(s grpc.ClientStream, err error) error {
	for err == nil {
		err = s.RecvMsg(&testpb.StreamingOutputCallResponse{})
	}
	if err == io.EOF {
		return nil
	}
	return err
}

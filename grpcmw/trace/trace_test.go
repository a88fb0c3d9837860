package trace

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/grpcmw"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	traceparent = "00-" + traceID + "-b7ad6b7169203331-01"
)

// recording returns a Config that records every span.
func recording() (Config, *tracetest.SpanRecorder) {
	spans := tracetest.NewSpanRecorder()
	return Config{
		Provider:   sdk.NewTracerProvider(sdk.WithSpanProcessor(spans), sdk.WithSampler(sdk.AlwaysSample())),
		Propagator: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}),
	}, spans
}

// attr returns the last value of an attribute in text, "" if there is none.
func attr(s sdk.ReadOnlySpan, key string) (value string) {
	for _, kv := range s.Attributes() {
		if kv.Key == attribute.Key(key) {
			value = kv.Value.String()
		}
	}
	return value
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

type service struct {
	testpb.UnimplementedTestServiceServer
	serve func(context.Context) error
}

func (s *service) UnaryCall(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return &testpb.SimpleResponse{}, s.serve(ctx)
}

func (s *service) FullDuplexCall(ss grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	return s.serve(ss.Context())
}

// connect returns a client of a server whose handlers do what serve says, and a function that ends both and waits.
func connect(t testing.TB, server grpc.ServerOption, client []grpc.DialOption, serve func(context.Context) error) (*grpc.ClientConn, func()) {
	t.Helper()
	quiet := grpcmw.Recover(grpcmw.RecoverConfig{Logger: slog.New(slog.DiscardHandler)})
	s := grpc.NewServer(server, grpc.UnaryInterceptor(quiet.UnaryServer), grpc.StreamInterceptor(quiet.StreamServer), grpc.WaitForHandlers(true))
	testpb.RegisterTestServiceServer(s, &service{serve: serve})
	healthpb.RegisterHealthServer(s, health.NewServer())
	listener := bufconn.Listen(1 << 16)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.Serve(listener)
	}()
	cc, err := grpc.NewClient("passthrough:shop", append(client, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))...)
	if err != nil {
		t.Fatal(err)
	}
	end := func() {
		_ = cc.Close()
		s.GracefulStop()
		_ = listener.Close()
		<-served
	}
	t.Cleanup(end)
	return cc, end
}

func call(cc *grpc.ClientConn, ctx context.Context) error { //nolint:revive // the connection is the subject
	_, err := testpb.NewTestServiceClient(cc).UnaryCall(ctx, &testpb.SimpleRequest{})
	return err
}

// byKind returns the spans of a kind.
func byKind(spans *tracetest.SpanRecorder, kind trace.SpanKind) (list []sdk.ReadOnlySpan) {
	for _, s := range spans.Ended() {
		if s.SpanKind() == kind {
			list = append(list, s)
		}
	}
	return list
}

func TestBothSides(t *testing.T) {
	for name, c := range map[string]struct {
		serve          func(context.Context) error
		code           string
		server, client otelcodes.Code
	}{
		"ok":        {func(context.Context) error { return nil }, "OK", otelcodes.Unset, otelcodes.Unset},
		"not found": {func(context.Context) error { return status.Error(codes.NotFound, "") }, "NOT_FOUND", otelcodes.Unset, otelcodes.Error},
		"panics":    {func(context.Context) error { panic("planted") }, "INTERNAL", otelcodes.Error, otelcodes.Error},
	} {
		t.Run(name, func(t *testing.T) {
			config, spans := recording()
			cc, end := connect(t, ServerOption(config), []grpc.DialOption{DialOption(config)}, c.serve)
			_ = call(cc, context.Background())
			end()
			servers, clients := byKind(spans, trace.SpanKindServer), byKind(spans, trace.SpanKindClient)
			if len(servers) != 1 || len(clients) != 1 {
				t.Fatalf("%d spans of the server, %d of the client", len(servers), len(clients))
			}
			equal(t, "name", servers[0].Name(), "grpc.testing.TestService/UnaryCall")
			equal(t, "parent", servers[0].Parent().SpanID(), clients[0].SpanContext().SpanID())
			equal(t, "code", attr(servers[0], "rpc.response.status_code"), c.code)
			equal(t, "status of the server", servers[0].Status().Code, c.server)
			equal(t, "status of the client", clients[0].Status().Code, c.client)
		})
	}
}

// A client's stream whose context ends has a span that ends.
func TestStreamThatNobodyReads(t *testing.T) {
	config, spans := recording()
	cc, end := connect(t, ServerOption(config), []grpc.DialOption{DialOption(config)},
		func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	ctx, cancel := context.WithCancel(context.Background())
	s, err := testpb.NewTestServiceClient(cc).FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := s.Recv(); err == nil || err == io.EOF {
		t.Error(err)
	}
	end()
	equal(t, "spans", len(spans.Ended()) >= 1 && len(byKind(spans, trace.SpanKindClient)) == 1, true)
}

// Each attempt is a call of its own to the server, and has a span of its own.
func TestAttempts(t *testing.T) {
	config, spans := recording()
	tries := mw.Must(retry.New("again", retry.Config{MaxAttempts: 3, Base: time.Millisecond}, retry.Hooks{}))
	again := grpcmw.Retry(tries)
	n := 0
	cc, end := connect(t, ServerOption(config), []grpc.DialOption{DialOption(config), grpc.WithUnaryInterceptor(again.UnaryClient)},
		func(context.Context) error {
			if n++; n < 3 {
				return status.Error(codes.Unavailable, "")
			}
			return nil
		})
	if err := call(cc, context.Background()); err != nil {
		t.Fatal(err)
	}
	end()
	equal(t, "spans", len(byKind(spans, trace.SpanKindClient)), 3)
}

func TestHealthChecksHaveNone(t *testing.T) {
	for _, everything := range []bool{false, true} {
		config, spans := recording()
		config.Everything = everything
		cc, end := connect(t, ServerOption(config), []grpc.DialOption{DialOption(config)}, nil)
		if _, err := healthpb.NewHealthClient(cc).Check(context.Background(), &healthpb.HealthCheckRequest{}); err != nil {
			t.Fatal(err)
		}
		end()
		equal(t, "spans", len(spans.Ended()) == 2, everything)
	}
}

// A trace that a stranger begins is linked and not joined.
func TestPublic(t *testing.T) {
	for _, public := range []bool{false, true} {
		config, spans := recording()
		config.Public = public
		cc, end := connect(t, ServerOption(config), nil, func(context.Context) error { return nil })
		if err := call(cc, metadata.AppendToOutgoingContext(context.Background(), "traceparent", traceparent)); err != nil {
			t.Fatal(err)
		}
		end()
		span := byKind(spans, trace.SpanKindServer)[0]
		equal(t, "joined", span.SpanContext().TraceID().String() == traceID, !public)
		equal(t, "linked", len(span.Links()) == 1, public)
	}
}

// Without a provider there is no handler, and gRPC gathers nothing.
func TestWithoutProvider(t *testing.T) {
	if unset == nil {
		t.Fatal("the provider before any is set is not known")
	}
	for name, c := range map[string]Config{"none": {}, "no-op": {Provider: noop.NewTracerProvider()}} {
		if _, ok := ServerOption(c).(grpc.EmptyServerOption); !ok {
			t.Errorf("%s: the server's option is not empty", name)
		}
		if _, ok := DialOption(c).(grpc.EmptyDialOption); !ok {
			t.Errorf("%s: the client's option is not empty", name)
		}
	}
	if _, ok := ServerOption().(grpc.EmptyServerOption); !ok {
		t.Error("without a Config the option is not empty")
	}
	if _, ok := ServerOption(Config{Late: true}).(grpc.EmptyServerOption); ok {
		t.Error("Late is empty")
	}
}

// A call without a span of its own leaves the span of its caller alone. By itself otelgrpc would end it.
func TestCallsBeforeTheProviderEndNoSpanOfOthers(t *testing.T) {
	config, spans := recording()
	h := &handler{Config{Provider: noop.NewTracerProvider()}, otelgrpc.NewServerHandler(config.options()...)}
	ctx, outer := config.Provider.Tracer("outer").Start(context.Background(), "outer")
	ctx = h.TagRPC(ctx, &stats.RPCTagInfo{FullMethodName: "/a/b"})
	h.HandleRPC(ctx, &stats.End{Error: errors.New("planted")})
	equal(t, "ended", len(spans.Ended()), 0)
	outer.End()
}

// A provider that is set while the service runs is used from the next call on. It cannot be unset, so this runs in a
// process of its own.
func TestProviderSetLater(t *testing.T) {
	if os.Getenv("TRACE_CHILD") == "" {
		exe, err := filepath.Abs(os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(exe, "-test.run=^TestProviderSetLater$", "-test.v")
		cmd.Env = append(os.Environ(), "TRACE_CHILD=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: TestProviderSetLater") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	late := Config{Late: true}
	cc, end := connect(t, ServerOption(late), []grpc.DialOption{DialOption(late)}, func(context.Context) error { return nil })
	if err := call(cc, context.Background()); err != nil {
		t.Fatal(err)
	}
	spans := tracetest.NewSpanRecorder()
	otel.SetTracerProvider(sdk.NewTracerProvider(sdk.WithSpanProcessor(spans)))
	if err := call(cc, context.Background()); err != nil {
		t.Fatal(err)
	}
	end()
	equal(t, "spans", len(spans.Ended()), 2)
}

func TestEntry(t *testing.T) {
	state := func(n int) (s string) {
		for i := range n {
			s += "k" + strconv.Itoa(i) + "=v,"
		}
		return s
	}
	for name, c := range map[string]struct {
		field string
		lines []string
		want  string
	}{
		"one":                 {"traceparent", []string{traceparent}, traceparent},
		"none":                {"traceparent", nil, ""},
		"two parents":         {"traceparent", []string{traceparent, traceparent}, ""},
		"state on two lines":  {"tracestate", []string{"a=1", "b=2"}, "a=1,b=2"},
		"one member too many": {"tracestate", []string{state(33)}, ""},
		"baggage":             {"baggage", []string{"a=1", "b=2"}, "a=1,b=2"},
		"too much":            {"baggage", []string{strings.Repeat("x", 8192), "y"}, ""},
		"something else":      {"x-b3", []string{"1", "2"}, "1"},
	} {
		md := metadata.MD{}
		md.Append(c.field, c.lines...)
		h := carrier{propagation.MapCarrier{}, metadata.NewIncomingContext(context.Background(), md)}
		equal(t, name, h.Get(c.field), c.want)
		if c.field != "x-b3" {
			equal(t, name+": values", strings.Join(h.Values(c.field), ""), c.want)
		}
	}
}

func TestTwoConfigs(t *testing.T) {
	for name, f := range map[string]func(){
		"server": func() { ServerOption(Config{}, Config{}) }, "client": func() { DialOption(Config{}, Config{}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// What a call costs without the option, with an option that finds no provider, and with otelgrpc.
func BenchmarkCall(b *testing.B) {
	for name, c := range map[string]Config{"empty": {}, "late": {Late: true}, "recorded": {Provider: sdk.NewTracerProvider()}} {
		cc, end := connect(b, ServerOption(c), nil, func(context.Context) error { return nil })
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = call(cc, context.Background())
			}
		})
		end()
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/examples/grpc/shop"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func open(t *testing.T) (*service, *grpc.ClientConn) {
	t.Helper()
	t.Setenv("APP_SHUTDOWN__WAIT", "none") // nobody has to look away
	s, err := start(options{dir: "config", listen: "127.0.0.1:0", listenHTTP: "127.0.0.1:0", log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(s.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := errors.Join(conn.Close(), s.stop(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return s, conn
}

func send(t *testing.T, method, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// What the shop tells a new user to try must work.
func TestEveryLineToTryWorks(t *testing.T) {
	s, conn := open(t)
	_, help := send(t, "GET", s.url+"/")
	curl := regexp.MustCompile(`curl (?:.*?-X (\w+) )?.*?(http://\S+?)(?:;|\s|$)`)
	grpcurl := regexp.MustCompile(`^grpcurl -plaintext (?:-d '(.*)' )?(\S+) ([\w.]+)/(\w+)`)
	lines := strings.Split(strings.TrimSpace(help), "\n")
	for _, line := range lines {
		if m := grpcurl.FindStringSubmatch(line); m != nil {
			if m[2] != s.addr {
				t.Errorf("%s: another address than %s", line, s.addr)
			}
			if err := invoke(t, conn, m[3], m[4], m[1]); err != nil {
				t.Errorf("%s: %v", line, err)
			}
			continue
		}
		m := curl.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("no request in %q", line)
		}
		method := m[1]
		if method == "" {
			method = "GET"
		}
		if status, body := send(t, method, m[2]); status >= 400 && !strings.HasSuffix(m[2], "/orders") {
			t.Errorf("%s: %d %s", line, status, body)
		}
	}
	if len(lines) < 6 {
		t.Errorf("only %d lines", len(lines))
	}
}

// invoke does what grpcurl does: it makes a message of text, calls, and reads the first answer.
func invoke(t *testing.T, conn *grpc.ClientConn, service, method, text string) error {
	t.Helper()
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return err
	}
	m := d.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(method))
	if m == nil {
		return errors.New("no such method")
	}
	in, out := dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output())
	if text != "" {
		if err := protojson.Unmarshal([]byte(text), in); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: m.IsStreamingServer()}, "/"+service+"/"+method)
	if err != nil {
		return err
	}
	if err := errors.Join(stream.SendMsg(in), stream.CloseSend()); err != nil {
		return err
	}
	return stream.RecvMsg(out)
}

func TestOrdersAndStatus(t *testing.T) {
	s, conn := open(t)
	client := shop.NewOrdersClient(conn)
	var trailer metadata.MD
	order, err := client.Place(t.Context(), &shop.PlaceRequest{Product: "plum"})
	if err != nil || order.GetCents() != 20 {
		t.Errorf("healthy: %v %v", order, err)
	}
	if _, err := client.Place(t.Context(), &shop.PlaceRequest{Product: "car"}); status.Code(err) != codes.NotFound {
		t.Errorf("unknown product: %v", err)
	}
	s.upstream.set(failing)
	_, err = client.Place(t.Context(), &shop.PlaceRequest{Product: "plum"}, grpc.Trailer(&trailer))
	if status.Code(err) != codes.Unavailable || len(trailer["x-request-id"]) != 1 {
		t.Errorf("failing: %v, trailer %v", err, trailer)
	}
	if status, body := send(t, "POST", s.url+"/orders"); status != http.StatusBadGateway {
		t.Errorf("failing, over HTTP: %d %s", status, body)
	}
	var shown struct {
		State  string
		Guards map[string]struct{ Admitted, Rejected int }
	}
	_, body := send(t, "GET", s.url+"/status")
	if err := json.Unmarshal([]byte(body), &shown); err != nil {
		t.Fatal(err)
	}
	if got := shown.Guards["bulkhead/shop"].Admitted; got != 4 || shown.State != "ready" {
		t.Errorf("the bulkhead of both ports admitted %d, want 4: %s", got, body)
	}
}

// The charge of an order happens once, however often it is tried.
func TestAChargeHappensOnce(t *testing.T) {
	s, conn := open(t)
	s.upstream.set(busy)
	order, err := shop.NewOrdersClient(conn).Place(t.Context(), &shop.PlaceRequest{Product: "pear"})
	if err != nil {
		t.Fatal(err)
	}
	if calls, receipts := s.upstream.asked(order.GetId()), len(s.upstream.charged); calls != 2 || receipts != 1 {
		t.Errorf("%d calls, %d receipts", calls, receipts)
	}
}

// One client has a limit of its own on quotes, and is told when to come again.
func TestQuotesAreLimited(t *testing.T) {
	_, conn := open(t)
	client := shop.NewOrdersClient(conn)
	const burst = 100
	var err error
	calls := 0
	for ; err == nil && calls < 10*burst; calls++ {
		_, err = client.Quote(t.Context(), &shop.QuoteRequest{Product: "plum"})
	}
	var delay time.Duration
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			delay = info.GetRetryDelay().AsDuration()
		}
	}
	if status.Code(err) != codes.ResourceExhausted || why(err) != "RATE_LIMITED "+quotes || delay <= 0 || calls <= burst {
		t.Errorf("call %d: %v, %s, again in %v", calls, err, why(err), delay)
	}
	if _, err := client.Place(t.Context(), &shop.PlaceRequest{Product: "plum"}); err != nil {
		t.Errorf("an order has no such limit: %v", err)
	}
}

func TestStreams(t *testing.T) {
	s, conn := open(t)
	client := shop.NewOrdersClient(conn)
	watch, err := client.Watch(t.Context(), &shop.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := watch.Recv(); err != nil || e.GetFeeCents() != 2 {
		t.Fatalf("the watch begins with %v, %v", e, err)
	}
	upload, err := client.Import(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, product := range []string{"apple", "car", "pear"} {
		if err := upload.Send(&shop.PlaceRequest{Product: product}); err != nil {
			t.Fatal(err)
		}
	}
	if reply, err := upload.CloseAndRecv(); err != nil || reply.GetPlaced() != 2 || reply.GetFailed() != 1 {
		t.Errorf("import: %v, %v", reply, err)
	}
	for _, product := range []string{"apple", "pear"} {
		if e, err := watch.Recv(); err != nil || e.GetOrder().GetProduct() != product {
			t.Errorf("the watch tells %v, %v", e, err)
		}
	}
	st := &story{service: s, client: client}
	if items, err := st.fill(t.Context(), 5); err != nil || items != 5 {
		t.Errorf("basket: %d, %v", items, err)
	}
}

// A bad file ends the program with a message that says where and what.
func TestBadConfigurationIsRefusedAtStart(t *testing.T) {
	good, err := os.ReadFile("config/default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, fresh, want string }{
		{"limit: 256", "limit: -1", "bulkheads.shop.limit"},
		{"limit: 256", "limit: 0", "bulkheads.shop.limit"},
		{"min_calls: 20", "min_cals: 20", "did you mean"},
		{"    payments:\n      window", "    payment:\n      window", "did you mean"},
		{"    payments-attempt:\n      limit: 250ms", "    payments-attempt:\n      limit: 2500ms", "outside"},
		{"grace: 10s", "grace: 10h", "shutdown.grace"},
	} {
		dir := t.TempDir()
		text := strings.Replace(string(good), c.old, c.fresh, 1)
		if err := os.WriteFile(filepath.Join(dir, "default.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err := serve(ctx, options{dir: dir, listen: "127.0.0.1:0", listenHTTP: "127.0.0.1:0"})
		cancel()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want one with %q", c.fresh, err, c.want)
		}
	}
}

// An address that is taken ends the program, and nothing stays behind.
func TestAddressIsTaken(t *testing.T) {
	s, _ := open(t)
	for _, o := range []options{
		{dir: "config", listen: s.addr, listenHTTP: "127.0.0.1:0"},
		{dir: "config", listen: "127.0.0.1:0", listenHTTP: strings.TrimPrefix(s.url, "http://")},
	} {
		if err := serve(t.Context(), o); err == nil || !strings.Contains(err.Error(), "-listen-http") {
			t.Errorf("got %v", err)
		}
	}
}

// Who is told to leave while nothing is under way leaves without an error.
func TestServeLeaves(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if err := serve(ctx, options{dir: "config", listen: "127.0.0.1:0", listenHTTP: "127.0.0.1:0"}); err != nil {
		t.Error(err)
	}
}

// The scenes that need no load are played here; the others are for make demo-grpc.
func TestScenes(t *testing.T) {
	err := play(t.Context(), "config", (*story).retries, (*story).hedges, (*story).brokenFile, (*story).bothPorts,
		(*story).streamTimes, (*story).leave)
	if err != nil {
		t.Error(err)
	}
}

// Without its guards the shop fails the scenes: they see what they are for.
func TestScenesWithoutGuards(t *testing.T) {
	t.Setenv("APP_SHUTDOWN__WAIT", "none")
	off := func(kind core.Kind) func(*story) {
		return func(st *story) {
			for _, m := range st.set.All() {
				if m.Status().Policy.Kind != kind {
					continue
				}
				if err := m.Override(core.Disabled, time.Hour); err != nil {
					t.Error(err)
				}
			}
		}
	}
	for _, c := range []struct {
		kind  core.Kind
		scene func(*story)
	}{
		{core.KindRetry, (*story).retries}, {core.KindHedge, (*story).hedges}, {core.KindBulkhead, (*story).bothPorts},
	} {
		if err := play(t.Context(), "config", off(c.kind), c.scene); err == nil {
			t.Errorf("the scene passes without %s", c.kind)
		}
	}
}

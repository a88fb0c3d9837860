package grpcmw

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/lifecycle"
	"github.com/mw-go/mw/core/policy"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/timeout"
)

func newSet(t testing.TB, c policy.Config) *policy.Set {
	t.Helper()
	s, err := policy.New(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serveWith is dial with options of servers and clients as users have them.
func serveWith(t *testing.T, sopts []grpc.ServerOption, dopts []grpc.DialOption) *pair {
	t.Helper()
	p := &pair{service: &service{}, server: grpc.NewServer(append(sopts, grpc.WaitForHandlers(true))...)}
	testpb.RegisterTestServiceServer(p.server, p.service)
	listener := bufconn.Listen(1 << 20)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = p.server.Serve(listener)
	}()
	conn, err := grpc.NewClient("passthrough:shop", append(dopts, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))...)
	if err != nil {
		t.Fatal(err)
	}
	p.conn, p.client = conn, testpb.NewTestServiceClient(conn)
	t.Cleanup(func() {
		_ = conn.Close()
		p.server.Stop()
		<-served
	})
	return p
}

const unaryMethod = "grpc.testing.TestService/UnaryCall"

// The order of a server and of a client, with everything in it.
func TestRecommendedOrder(t *testing.T) {
	c := policy.Config{
		Timeouts:   map[string]timeout.Config{"api": {Limit: time.Second}, "api-attempt": {Limit: 500 * time.Millisecond}, "api-age": {Limit: time.Hour}},
		Retries:    map[string]retry.Config{"api": {}},
		Hedges:     map[string]hedge.Config{"api": {}},
		RateLimits: map[string]ratelimit.Config{"api": {Limit: 10}},
		Bulkheads:  map[string]bulkhead.Config{"api": {Limit: 10}, "api-streams": {Limit: 2}},
		Breakers:   map[string]breaker.Config{"api": {}},
	}
	seen := single(fake{})
	server := ServerConfig{Name: "api", Life: newLife(t, lifecycle.Config{}), Observe: []*Interceptor{seen}, Inside: []*Interceptor{seen}}
	i, err := server.chain(newSet(t, c), naming{config: c, name: "api"})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(i.Layers(), " "); got != "Recover RequestID fake Log Draining Retry Timeout Timeout Guard fake" {
		t.Error(got)
	}
	guards := i.layers[8].(*guards)
	if len(guards.list) != 4 || guards.list[1].Only != Unary || guards.list[3].Only != Streams {
		t.Errorf("%+v", guards.list)
	}
	client := ClientConfig{Observe: []*Interceptor{seen}, ObserveAttempts: []*Interceptor{seen}}
	if i, err = client.chain(newSet(t, c), naming{config: c, name: "api"}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(i.Layers(), " "); got != "RequestID fake Timeout Retry Hedge fake Timeout Guard Timeout" {
		t.Error(got)
	}
}

// A method's own settings take the place of the general ones, and both follow the configuration.
func TestSettingsOfMethods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := policy.Config{RateLimits: map[string]ratelimit.Config{
			"api": {Limit: 1, Period: time.Hour}, "api/" + unaryMethod: {Limit: 2, Period: time.Hour},
			"api/grpc.testing.TestService": {Limit: 3, Period: time.Hour},
		}}
		set := newSet(t, c)
		sopts, err := ServerOptions(set, ServerConfig{Name: "api", Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		if err := set.Check(); err != nil {
			t.Error(err)
		}
		p := serveWith(t, sopts, nil)
		count := func(k kind) (n int) {
			for p.call(context.Background(), k, nil) == nil {
				n++
			}
			return n
		}
		if a, b := count(unary), count(bidi); a != 2 || b != 3 {
			t.Errorf("%d unary calls, %d streams", a, b)
		}
		c.RateLimits = map[string]ratelimit.Config{
			"api": {Limit: 1, Period: time.Hour}, "api/" + unaryMethod: {Limit: 7, Period: time.Hour},
			"api/grpc.testing.TestService": {Limit: 3, Period: time.Hour},
		}
		if err := set.Tune(c); err != nil {
			t.Fatal(err)
		}
		if a := count(unary); a != 0 { // a debt survives; the new burst is room that comes empty
			t.Logf("%d more calls", a)
		}
		time.Sleep(24 * time.Hour)
		if a := count(unary); a != 7 {
			t.Errorf("%d unary calls after the reload", a)
		}
	})
}

// gRPC's retries of the service config do not multiply with ours, and everything is wired.
func TestDialOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := newSet(t, policy.Config{
			Retries:  map[string]retry.Config{"shop": {MaxAttempts: 4, Base: time.Millisecond}},
			Breakers: map[string]breaker.Config{"shop": {}},
		})
		dopts, err := DialOptions(set, "shop", ClientConfig{})
		if err != nil {
			t.Fatal(err)
		}
		service := grpc.WithDefaultServiceConfig(`{"methodConfig":[{"name":[{}],"retryPolicy":{"maxAttempts":4,
			"initialBackoff":"0.001s","maxBackoff":"0.001s","backoffMultiplier":1,"retryableStatusCodes":["UNAVAILABLE"]}}]}`)
		p := serveWith(t, nil, append(dopts, service))
		p.service.serve = answers(code(codes.Unavailable))
		if err := p.call(context.Background(), unary, nil); status.Code(err) != codes.Unavailable || p.service.called() != 4 {
			t.Errorf("%v after %d calls", err, p.service.called())
		}
		p = serveWith(t, nil, []grpc.DialOption{service}) // the control: without us gRPC makes four
		p.service.serve = answers(code(codes.Unavailable))
		if _ = p.call(context.Background(), unary, nil); p.service.called() != 4 {
			t.Errorf("%d calls of gRPC's own", p.service.called())
		}
	})
}

// Our headers keep gRPC's own retries of a client working: they are trailers.
func TestServersDoNotSpoilRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := newSet(t, policy.Config{RateLimits: map[string]ratelimit.Config{"grpc": {Limit: 1, Period: 100 * time.Millisecond}}})
		sopts, err := ServerOptions(set, ServerConfig{Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		service := grpc.WithDefaultServiceConfig(`{"methodConfig":[{"name":[{}],"retryPolicy":{"maxAttempts":4,
			"initialBackoff":"0.001s","maxBackoff":"0.001s","backoffMultiplier":1,"retryableStatusCodes":["RESOURCE_EXHAUSTED"]}}]}`)
		p := serveWith(t, sopts, []grpc.DialOption{service})
		var attempts []string
		p.service.serve = func(ctx context.Context, _ grpc.ServerStream) error {
			attempts = append(attempts, strings.Join(metadata.ValueFromIncomingContext(ctx, keyAttempts), ","))
			return nil
		}
		for range 2 {
			if err := p.call(context.Background(), unary, nil); err != nil {
				t.Error(err)
			}
		}
		if !slices.Equal(attempts, []string{"", "1"}) { // the second call came again after the pushback
			t.Errorf("attempts %q", attempts)
		}
	})
}

// What makes no sense is refused at the start.
func TestOptionsRefuse(t *testing.T) {
	for name, c := range map[string]policy.Config{
		"an attempt longer than the whole": {
			Timeouts: map[string]timeout.Config{"api": {Limit: time.Second}, "api-attempt": {Limit: time.Minute}},
			Retries:  map[string]retry.Config{"api": {}},
		},
		"no method": {Breakers: map[string]breaker.Config{"api/a/b/c": {}}},
	} {
		if _, err := DialOptions(newSet(t, c), "api", ClientConfig{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := ServerOptions(nil, ServerConfig{}); err == nil {
		t.Error("a nil Set")
	}
	if _, err := ServerOptions(newSet(t, policy.Config{}), ServerConfig{}); err != nil {
		t.Error(err) // without settings there are no guards, and the rest is right
	}
}

// One bulkhead over both ports: a machine of the Set is the same wherever it is asked for.
func TestOneSetForAll(t *testing.T) {
	set := newSet(t, policy.Config{Bulkheads: map[string]bulkhead.Config{"grpc": {Limit: 1}}})
	slots, err := set.Bulkhead("grpc", core.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	sopts, err := ServerOptions(set, ServerConfig{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	p := serveWith(t, sopts, nil)
	permit, _ := slots.Acquire(context.Background(), core.Call{}) // as an HTTP handler would
	if err := p.call(context.Background(), unary, nil); status.Code(err) != codes.ResourceExhausted {
		t.Error(err)
	}
	permit.Done(0, core.Success)
	if err := p.call(context.Background(), unary, nil); err != nil {
		t.Error(err)
	}
}

package grpcmw

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw/core/lifecycle"
)

func newLife(t testing.TB, c lifecycle.Config) *lifecycle.Lifecycle {
	t.Helper()
	l, err := lifecycle.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A server leaves in order: not serving, calls as ever during the wait, streams hear of it, and what does not end is ended.
func TestDrain(t *testing.T) {
	for _, polite := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, lifecycle.Config{Wait: 5 * time.Second, Grace: 10 * time.Second})
			g := &ledger{}
			p := dial(t, Chain(Draining(l), Guard(Guarded{Guard: g})), nil)
			if err := Drain(l, p.server); err != nil {
				t.Fatal(err)
			}
			l.Ready()
			p.service.serve = func(ctx context.Context, s grpc.ServerStream) error {
				if s == nil {
					return nil
				}
				if polite {
					select {
					case <-DrainSignal(ctx):
						return nil
					case <-ctx.Done():
					}
				}
				<-ctx.Done()
				return ctx.Err()
			}
			streamed := make(chan error)
			go func() { streamed <- p.call(context.Background(), bidi, nil) }()
			synctest.Wait()
			begin := time.Now()
			ended := make(chan error)
			go func() { ended <- l.Shutdown(context.Background()) }()
			time.Sleep(4 * time.Second)
			if err := p.call(context.Background(), unary, nil); err != nil {
				t.Error("a call during the wait:", err)
			}
			err := <-streamed
			want, code := 5*time.Second, codes.OK
			if !polite {
				want, code = 15*time.Second, codes.Unavailable
			}
			if status.Code(err) != code || time.Since(begin) != want {
				t.Errorf("the stream: %v after %v", err, time.Since(begin))
			}
			if err := <-ended; (err == nil) != polite || time.Since(begin) != want {
				t.Errorf("%v after %v", err, time.Since(begin))
			}
			if asked, ended := g.read(); asked != len(ended) {
				t.Errorf("%d of %d came back", len(ended), asked)
			}
		})
	}
}

// A call that begins too late can be taken by another replica at once.
func TestDrainingTurnsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, lifecycle.Config{Wait: time.Millisecond})
		g := &ledger{}
		p := dial(t, Chain(Guard(Guarded{Guard: g}), Draining(l)), nil)
		if err := l.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		for k := range kinds {
			var trailer metadata.MD
			err := p.call(context.Background(), k, nil, grpc.Trailer(&trailer))
			if info, _, _ := details(t, err); status.Code(err) != codes.Unavailable || info.GetReason() != ReasonDraining || trailer[keyPushback][0] != "0" {
				t.Error(k, err, trailer)
			}
		}
		for _, o := range g.outcomes {
			if o.String() != "ignored" {
				t.Error(o)
			}
		}
	})
	if DrainSignal(context.Background()) != nil {
		t.Error("a signal of nobody")
	}
}

// The health service follows the state.
func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, lifecycle.Config{Wait: time.Second})
		p := dialWith(t, func(s *grpc.Server) { healthpb.RegisterHealthServer(s, NewHealth(l, "shop.Orders")) })
		client := healthpb.NewHealthClient(p.conn)
		check := func(service string, want healthpb.HealthCheckResponse_ServingStatus) {
			t.Helper()
			out, err := client.Check(context.Background(), &healthpb.HealthCheckRequest{Service: service})
			if err != nil || out.Status != want {
				t.Errorf("%q: %v, %v", service, out, err)
			}
		}
		check("", healthpb.HealthCheckResponse_NOT_SERVING)
		w, err := client.Watch(context.Background(), &healthpb.HealthCheckRequest{Service: "shop.Orders"})
		if err != nil {
			t.Fatal(err)
		}
		next := func(want healthpb.HealthCheckResponse_ServingStatus) {
			t.Helper()
			if out, err := w.Recv(); err != nil || out.Status != want {
				t.Errorf("%v, %v", out, err)
			}
		}
		next(healthpb.HealthCheckResponse_NOT_SERVING)
		l.Ready()
		next(healthpb.HealthCheckResponse_SERVING)
		check("shop.Orders", healthpb.HealthCheckResponse_SERVING)
		if _, err := client.Check(context.Background(), &healthpb.HealthCheckRequest{Service: "other"}); status.Code(err) != codes.NotFound {
			t.Error(err)
		}
		unknown, err := client.Watch(context.Background(), &healthpb.HealthCheckRequest{Service: "other"})
		if err != nil {
			t.Fatal(err)
		}
		if out, err := unknown.Recv(); err != nil || out.Status != healthpb.HealthCheckResponse_SERVICE_UNKNOWN {
			t.Error(out, err)
		}
		if out, err := client.List(context.Background(), &healthpb.HealthListRequest{}); err != nil || len(out.Statuses) != 2 {
			t.Error(out, err)
		}
		go func() { _ = l.Shutdown(context.Background()) }()
		next(healthpb.HealthCheckResponse_NOT_SERVING)
		if _, err := w.Recv(); status.Code(err) != codes.Unavailable {
			t.Error(err)
		}
		if _, err := unknown.Recv(); status.Code(err) != codes.Canceled {
			t.Error(err)
		}
		<-l.Stopped()
	})
}

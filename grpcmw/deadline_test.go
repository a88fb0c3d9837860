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
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/timeout"
)

// Deadlines are cut to the limit, less the margin, on either side and for every kind of call.
func TestDeadlineIsKeptWithinBounds(t *testing.T) {
	for _, side := range []string{"server", "client"} {
		for k := range kinds {
			for _, tt := range []struct{ sent, want time.Duration }{
				{time.Hour, 10 * time.Second}, {5 * time.Second, 4 * time.Second}, {0, 10 * time.Second},
			} {
				if tt.sent == 0 && k != unary {
					tt.want = 0 // a stream without a deadline has none
				}
				synctest.Test(t, func(t *testing.T) {
					m, err := timeout.New("d", timeout.Config{Limit: 10 * time.Second, Margin: time.Second}, timeout.Hooks{})
					if err != nil {
						t.Fatal(err)
					}
					server, client := Deadline(m), (*Interceptor)(nil)
					if side == "client" {
						server, client = nil, server
					}
					p := dial(t, server, client)
					var got time.Duration
					p.service.serve = func(ctx context.Context, s grpc.ServerStream) error {
						if d, ok := ctx.Deadline(); ok {
							got = time.Until(d)
						}
						return send(s, k)
					}
					ctx := context.Background()
					if tt.sent > 0 {
						ctx = timed(t, tt.sent)
					}
					if err := p.call(ctx, k, nil); err != nil || got.Round(time.Millisecond) != tt.want {
						t.Errorf("%s, %v, %v sent: %v, want %v (%v)", side, k, tt.sent, got, tt.want, err)
					}
				})
			}
		}
	}
}

// When the time is over the call ends, whatever its handler waits for.
func TestDeadlineEnds(t *testing.T) {
	for _, side := range []string{"server", "client"} {
		for _, serve := range []func(context.Context, grpc.ServerStream) error{
			hangServe,
			func(ctx context.Context, s grpc.ServerStream) error {
				if s == nil {
					return hangServe(ctx, s)
				}
				for {
					if err := s.RecvMsg(&testpb.StreamingOutputCallRequest{}); err != nil {
						return err
					}
				}
			},
		} {
			for _, k := range []kind{unary, bidi} {
				synctest.Test(t, func(t *testing.T) {
					m, g := limit(t, time.Second), &ledger{}
					i := Chain(Guard(Guarded{Guard: g}), Deadline(m))
					server, client := i, (*Interceptor)(nil)
					if side == "client" {
						server, client = nil, i
					}
					p := dial(t, server, client)
					p.service.serve = serve
					start := time.Now()
					s, err := (grpc.ClientStream)(nil), error(nil)
					if k == unary {
						err = p.call(timed(t, time.Hour), unary, nil)
					} else if s, err = p.client.FullDuplexCall(timed(t, time.Hour)); err == nil {
						err = s.RecvMsg(&testpb.StreamingOutputCallResponse{})
					}
					if status.Code(err) != codes.DeadlineExceeded || time.Since(start) != time.Second {
						t.Errorf("%s, %v: %v after %v", side, k, err, time.Since(start))
					}
					synctest.Wait()
					if _, ended := g.read(); len(ended) != 1 || ended[0] != core.Timeout {
						t.Errorf("%s, %v: %v", side, k, ended)
					}
					if n := m.Snapshot().TimedOut; n != 1 {
						t.Errorf("%s, %v: %d timed out", side, k, n)
					}
				})
			}
		}
	}
}

// Who has too little time left is refused, for every kind of call.
func TestDeadlineRefuses(t *testing.T) {
	for k := range kinds {
		synctest.Test(t, func(t *testing.T) {
			m, _ := timeout.New("d", timeout.Config{Limit: time.Minute, MinRest: time.Second}, timeout.Hooks{})
			p := dial(t, Deadline(m), nil)
			err := p.call(timed(t, 900*time.Millisecond), k, nil)
			if info, _, _ := details(t, err); info.GetReason() != ReasonDeadline || p.service.called() != 0 {
				t.Error(k, err)
			}
			p = dial(t, nil, Deadline(m))
			if err := p.call(timed(t, 900*time.Millisecond), k, nil); !errors.Is(err, core.ErrTooLong) {
				t.Error(k, err)
			}
		})
	}
}

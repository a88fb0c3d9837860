package grpcmw

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/bulkhead"
)

func TestChainOrder(t *testing.T) {
	c := Chain(Recover(), Chain(RequestID(), Guard(Guarded{Guard: &ledger{}})), Breaker(&ledger{}))
	if got := c.Layers(); !slices.Equal(got, []string{"Recover", "RequestID", "Guard", "Breaker"}) {
		t.Errorf("%q", got)
	}
}

// A rejection further in says nothing of the handler, even if somebody between makes another error of it, in this chain or
// in one inside.
func TestRejectionsAreIgnoredOutside(t *testing.T) {
	full := &ledger{reject: core.Verdict{Reason: core.ReasonFull}}
	info := &grpc.UnaryServerInfo{FullMethod: "/a/b"}
	hide := single(fake{func(c *serverCall) error {
		inner := Chain(Recover(), Guard(Guarded{Guard: full}))
		if _, err := inner.UnaryServer(c.ctx, nil, info, nil); err == nil {
			t.Error("admitted")
		}
		return errors.New("hidden")
	}})
	outside := &ledger{}
	_, _ = Chain(Recover(), Guard(Guarded{Guard: outside}), hide).UnaryServer(context.Background(), nil, info, nil)
	if _, ended := outside.read(); !slices.Equal(ended, []core.Outcome{core.Ignored}) {
		t.Errorf("the guard outside heard %v", ended)
	}
}

// The state of a call passes from one chain to another inside it.
func TestChainInAChain(t *testing.T) {
	info := &grpc.UnaryServerInfo{FullMethod: "/a/b"}
	ctx := grpc.NewContextWithServerTransportStream(context.Background(), deaf{})
	_, _ = Chain(RequestID()).UnaryServer(ctx, nil, info, func(ctx context.Context, _ any) (any, error) {
		id, start := RequestIDFrom(ctx), must(StartTime(ctx))
		return Chain(RequestID()).UnaryServer(ctx, nil, info, func(ctx context.Context, _ any) (any, error) {
			if RequestIDFrom(ctx) != id || id == "" || must(StartTime(ctx)) != start {
				t.Error("another call")
			}
			return nil, nil
		})
	})
	if _, ok := StartTime(ctx); ok || RequestIDFrom(ctx) != "" {
		t.Error("a call before there is one")
	}
}

func must[T any](v T, ok bool) T {
	if !ok {
		panic("not there")
	}
	return v
}

// What a call waits for in a guard is not billed to those before it.
func TestQueuesAreNotBilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue, err := bulkhead.New("q", bulkhead.Config{Limit: 1, MaxWait: time.Minute, Queue: 5}, bulkhead.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		var asked []core.Time
		last := &ledger{heard: func(c core.Call) { asked = append(asked, c.Now) }}
		p := dial(t, Chain(Recover(), Guard(Guarded{Guard: queue}, Guarded{Guard: last})), nil)
		p.service.serve = func(context.Context, grpc.ServerStream) error { time.Sleep(time.Second); return nil }
		ended := make(chan error)
		for range 2 {
			go func() { ended <- p.call(context.Background(), unary, nil) }()
		}
		<-ended
		<-ended
		if len(asked) != 2 || asked[1].Sub(asked[0]) < time.Second {
			t.Errorf("asked at %v", asked)
		}
	})
}

// What an error is on the wire, whatever it looks like.
func TestStatus(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want codes.Code
	}{
		{nil, codes.OK}, {errors.New("x"), codes.Unknown}, {noStatus{}, codes.Unknown}, {okStatus{}, codes.Unknown},
		{context.Canceled, codes.Canceled}, {context.DeadlineExceeded, codes.DeadlineExceeded},
		{errors.Join(errors.New("x"), status.Error(codes.NotFound, "")), codes.NotFound},
	} {
		if got := Status(tt.err).Code(); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.err, got, tt.want)
		}
	}
	rejected := core.Decision{By: &core.Policy{Kind: core.KindBulkhead, Name: "db"}, Verdict: core.Verdict{Reason: core.ReasonFull}}.Err()
	for _, tt := range []struct {
		err  error
		want codes.Code
	}{
		{nil, codes.OK}, {errors.New("secret"), codes.Internal}, {rejected, codes.ResourceExhausted}, {core.ErrTimeout, codes.DeadlineExceeded},
		{context.Canceled, codes.Canceled}, {context.DeadlineExceeded, codes.DeadlineExceeded}, {status.Error(codes.NotFound, "a"), codes.NotFound},
		{noStatus{}, codes.Internal}, {okStatus{}, codes.Internal},
	} {
		got := StatusError(tt.err)
		if status.Code(got) != tt.want || tt.want == codes.Internal && status.Convert(got).Message() != "internal error" {
			t.Errorf("%v: %v, want %v", tt.err, got, tt.want)
		}
		if tt.err != nil && !errors.Is(got, tt.err) {
			t.Errorf("%v is lost in %v", tt.err, got)
		}
	}
}

// okStatus is an error that says OK on the wire.
type okStatus struct{}

func (okStatus) Error() string              { return "ok" }
func (okStatus) GRPCStatus() *status.Status { return status.New(codes.OK, "") }

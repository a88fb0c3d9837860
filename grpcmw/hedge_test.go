package grpcmw

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/hedge"
)

func newHedge(t testing.TB, c hedge.Config) *hedge.Hedge {
	t.Helper()
	h, err := hedge.New("h", c, hedge.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func everything(Info) bool { return true }

// A slow call is made twice, the faster one answers with what it said, and nothing is lost.
func TestHedge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots, _ := bulkhead.New("b", bulkhead.Config{Limit: 10}, bulkhead.Hooks{})
		p := dial(t, nil, Chain(Hedge(newHedge(t, hedge.Config{Delay: 100 * time.Millisecond}), HedgeConfig{everything}), Bulkhead(slots)))
		var n atomic.Int32
		p.service.serve = func(ctx context.Context, _ grpc.ServerStream) error {
			which := n.Add(1)
			_ = grpc.SetTrailer(ctx, metadata.Pairs("n", string('0'+rune(which))))
			if which == 1 {
				<-ctx.Done()
			}
			return ctx.Err()
		}
		var trailer metadata.MD
		finished := 0
		reply, err := p.client.UnaryCall(context.Background(), &testpb.SimpleRequest{}, grpc.Trailer(&trailer),
			grpc.OnFinish(func(error) { finished++ }))
		if err != nil || reply.Username != "answered" || trailer["n"][0] != "2" || finished != 1 {
			t.Error(reply, err, trailer, finished)
		}
		synctest.Wait()
		if s := slots.Snapshot(); s.Running != 0 || s.Admitted != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// Many hedged calls at once: under the race detector two attempts that share a reply would be found.
func TestHedgedRepliesDoNotRace(t *testing.T) {
	p := dial(t, nil, Hedge(newHedge(t, hedge.Config{Delay: time.Millisecond, Ratio: 1, Burst: 1000}), HedgeConfig{everything}))
	var n atomic.Int32
	p.service.serve = func(context.Context, grpc.ServerStream) error {
		if n.Add(1)%2 == 1 {
			time.Sleep(2 * time.Millisecond)
		}
		return nil
	}
	ended := make(chan error)
	for range 50 {
		go func() {
			var header, trailer metadata.MD
			reply, err := p.client.UnaryCall(context.Background(), &testpb.SimpleRequest{}, grpc.Header(&header), grpc.Trailer(&trailer))
			if err == nil && reply.Username != "answered" {
				err = errors.New("an empty reply")
			}
			ended <- err
		}()
	}
	for range 50 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// What must not happen twice does not: methods that say nothing, and streams.
func TestHedgeLeavesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			kind    kind
			methods func(Info) bool
		}{{unary, nil}, {unary, func(Info) bool { return false }}, {serverStreaming, everything}, {bidi, everything}} {
			p := dial(t, nil, Hedge(newHedge(t, hedge.Config{Delay: time.Millisecond}), HedgeConfig{tt.methods}))
			p.service.serve = func(ctx context.Context, s grpc.ServerStream) error { time.Sleep(time.Second); return nil }
			if err := p.call(context.Background(), tt.kind, nil); err != nil || p.service.called() != 1 {
				t.Error(tt.kind, err, p.service.called())
			}
		}
	})
}

// Failures: another attempt at once after Unavailable, none after a pushback below zero, and an answer is an answer.
func TestHedgeAndFailures(t *testing.T) {
	for _, tt := range []struct {
		name  string
		serve func(context.Context, grpc.ServerStream) error
		calls int
		code  codes.Code
	}{
		{"unavailable, then ok", answers(code(codes.Unavailable), code(codes.OK)), 2, codes.OK},
		{"unavailable for ever", answers(code(codes.Unavailable)), 2, codes.Unavailable},
		{"pushback -1", answers(withTrailer(codes.Unavailable, 0, "-1"), code(codes.OK)), 1, codes.Unavailable},
		{"not found", answers(code(codes.NotFound), code(codes.OK)), 1, codes.NotFound},
		{"internal", answers(code(codes.Internal), code(codes.OK)), 1, codes.Internal},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := dial(t, nil, Hedge(newHedge(t, hedge.Config{Delay: time.Minute}), HedgeConfig{everything}))
			p.service.serve = tt.serve
			err := p.call(context.Background(), unary, nil)
			if status.Code(err) != tt.code || p.service.called() != tt.calls {
				t.Errorf("%s: %v, %d calls", tt.name, err, p.service.called())
			}
			if err != nil && err.Error() != "rpc error: code = "+tt.code.String()+" desc = as it is" {
				t.Errorf("%s: not untouched: %v", tt.name, err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // the caller leaves
		p := dial(t, nil, Hedge(newHedge(t, hedge.Config{Delay: time.Millisecond}), HedgeConfig{everything}))
		p.service.serve = hangServe
		if err := p.call(timed(t, time.Second), unary, nil); status.Code(err) != codes.DeadlineExceeded {
			t.Error(err)
		}
		full := &ledger{kind: core.KindBulkhead, reject: core.Verdict{Reason: core.ReasonFull}}
		p = dial(t, nil, Chain(Hedge(newHedge(t, hedge.Config{Delay: time.Millisecond}), HedgeConfig{everything}), Guard(Guarded{Guard: full})))
		if err := p.call(context.Background(), unary, nil); !errors.Is(err, core.ErrFull) || status.Code(err) != codes.ResourceExhausted {
			t.Error(err)
		}
	})
}

package grpcmw

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
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
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/retry"
)

const fourAttempts = `{"methodConfig":[{"name":[{}],"retryPolicy":{"maxAttempts":4,"initialBackoff":"0.001s","maxBackoff":"0.001s",
	"backoffMultiplier":1,"retryableStatusCodes":["UNAVAILABLE"]}}]}`

// failsafe-go's hedged attempts decode into one reply, and write through the same pointers: a data race. Ours have their own,
// also when the caller reads what he got while the loser still runs.
func TestD11_HedgedAttemptsShareNothing(t *testing.T) {
	p := dial(t, nil, Hedge(newHedge(t, hedge.Config{Delay: time.Millisecond, Ratio: 1, Burst: 1000}), HedgeConfig{everything}))
	var n atomic.Int32
	p.service.serve = func(ctx context.Context, _ grpc.ServerStream) error {
		_ = grpc.SetTrailer(ctx, metadata.Pairs("n", "x"))
		if n.Add(1)%2 == 1 {
			time.Sleep(3 * time.Millisecond)
		}
		return nil
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			var header, trailer metadata.MD
			reply := &testpb.SimpleResponse{OauthScope: "of the caller before"}
			err := p.conn.Invoke(context.Background(), "/"+unaryMethod, &testpb.SimpleRequest{}, reply, grpc.Header(&header), grpc.Trailer(&trailer))
			reply.Username += "!" // it is his now
			trailer.Set("n", "y")
			if err != nil || reply.Username != "answered!" || reply.OauthScope != "" {
				t.Error(reply, err)
			}
		})
	}
	all.Wait()
}

// failsafe-go's rejections are Unknown on the wire, it has no streaming interceptors, no pushback, and retries DeadlineExceeded
// without a delay.
func TestD12_RejectionsHaveTheirCodesOnEveryShape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := breaker.New("b", breaker.Config{}, breaker.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		open := &ledger{kind: core.KindBreaker, reject: core.Verdict{Reason: core.ReasonOpen}, retry: 2 * time.Second}
		full := &ledger{kind: core.KindBulkhead, reject: core.Verdict{Reason: core.ReasonFull}, retry: time.Second}
		for _, tt := range []struct {
			i        *Interceptor
			code     codes.Code
			pushback string
		}{{Guard(Guarded{Guard: open}), codes.Unavailable, "2000"}, {Guard(Guarded{Guard: full}), codes.ResourceExhausted, "1000"}} {
			for k := range kinds {
				var trailer metadata.MD
				p := dial(t, tt.i, nil)
				if err := p.call(context.Background(), k, nil, grpc.Trailer(&trailer)); status.Code(err) != tt.code || !slices.Equal(trailer[keyPushback], []string{tt.pushback}) {
					t.Errorf("server, %v: %v %v", k, err, trailer)
				}
				p = dial(t, nil, tt.i)
				if err := p.call(context.Background(), k, nil); status.Code(err) != tt.code {
					t.Errorf("client, %v: %v", k, err)
				}
			}
		}
		if err := b.Override(core.ForcedOpen, 0); err != nil {
			t.Fatal(err)
		}
		if err := dial(t, Breaker(b), nil).call(context.Background(), bidi, nil); status.Code(err) != codes.Unavailable {
			t.Error(err)
		}
		p := dial(t, nil, Retry(newRetry(t, retry.Config{})))
		p.service.serve = answers(code(codes.DeadlineExceeded))
		if err := p.call(context.Background(), unary, nil); status.Code(err) != codes.DeadlineExceeded || p.service.called() != 1 {
			t.Error(err, p.service.called())
		}
	})
}

// Section 2.1: a stream that is read past its end, one whose context is done before it begins, and one that gRPC cannot begin
// are over once, and so started minus handled is nought.
func TestStreamsAreOverOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &ledger{}
		var seen heardOf
		p := dial(t, nil, Chain(Guard(Guarded{Guard: g}), seen.policy(), Timeout(nil, TimeoutConfig{MaxAge: limit(t, time.Hour)})))
		p.service.serve = func(_ context.Context, s grpc.ServerStream) error { return send(s, bidi) }
		var finished atomic.Int32
		end := grpc.OnFinish(func(error) { finished.Add(1) })
		s, err := p.client.FullDuplexCall(context.Background(), end)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			_, _ = s.Recv()
		}
		done, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := p.client.FullDuplexCall(done, end); status.Code(err) != codes.Canceled {
			t.Error(err)
		}
		if _, err := p.client.FullDuplexCall(context.Background(), end, grpc.UseCompressor("none of ours")); status.Code(err) != codes.Internal {
			t.Error(err)
		}
		for range 5 { // ended by their context, read by nobody
			ctx, cancel := context.WithCancel(context.Background())
			if _, err := p.client.FullDuplexCall(ctx, end); err != nil {
				t.Error(err)
			}
			cancel()
		}
		synctest.Wait()
		if asked, ended := g.read(); asked != 8 || len(ended) != 8 || seen.begun != 8 || len(seen.list) != 8 || finished.Load() != 8 {
			t.Errorf("%d admitted, %d ended, %d begun, %d told, %d finished", asked, len(ended), seen.begun, len(seen.list), finished.Load())
		}
	})
}

// Section 2.1: a retry of somebody else's inside, which opens the stream anew with the same options, does not end a call
// more than once.
func TestRetriesOfOthersInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &ledger{}
		var seen heardOf
		p := dial(t, nil, Chain(Guard(Guarded{Guard: g}), seen.policy()))
		p.service.serve = answers(code(codes.Unavailable))
		i := Chain(Guard(Guarded{Guard: g}), seen.policy())
		s, err := i.StreamClient(context.Background(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, p.conn, "/grpc.testing.TestService/FullDuplexCall",
			func(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, m string, opts ...grpc.CallOption) (s grpc.ClientStream, err error) {
				for range 3 {
					if s, err = grpc.NewClientStream(ctx, d, cc, m, opts...); err != nil {
						return nil, err
					}
					_ = s.CloseSend()
					_ = s.RecvMsg(&testpb.StreamingOutputCallResponse{})
				}
				return s, nil
			})
		if err != nil {
			t.Fatal(err)
		}
		_ = s.RecvMsg(&testpb.StreamingOutputCallResponse{})
		synctest.Wait()
		if asked, ended := g.read(); asked != 4 || len(ended) != 4 || len(seen.list) != 4 { // ours, and the three on the way through p's
			t.Errorf("%d admitted, ended as %v, %d told", asked, ended, len(seen.list))
		}
	})
}

// Sections 2.1 and 2.3: none of our layers commits an attempt, by Context or Header on a client or by a header on a server, so
// gRPC's own retries make their four; what it wraps their end in still has its code.
func TestOurLayersDoNotCommitAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := limit(t, time.Hour)
		list := func() *Interceptor {
			return Chain(RequestID(), Observe(func(Summary) {}), Criticality(), Timeout(m, TimeoutConfig{First: m, Idle: m, MaxAge: m}), Deadline(m), Validate(),
				Fallback(FallbackConfig{}, step(t, "nobody", fails(errors.New("nobody")))), Guard(threeGuards(t)...))
		}
		for k := range kinds {
			p := connect(t, Chain(list(), Log(LogConfig{Logger: quiet})), list(), nil, grpc.WithDefaultServiceConfig(fourAttempts))
			p.service.serve = answers(code(codes.Unavailable))
			err := p.call(context.Background(), k, nil)
			if n := p.service.called(); n != 4 || Status(err).Code() != codes.Unavailable || Classify(context.Background(), err) != core.Failure {
				t.Errorf("%v: %d calls, %v", k, n, err)
			}
		}
	})
}

// Section 2.2: a handler that returns the EOF of its Recv is Unknown "EOF": it counts, and is not rewritten.
func TestHandlersThatReturnEOF(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &ledger{}
		p := dial(t, Chain(Guard(Guarded{Guard: g}), all(t)), nil)
		p.service.serve = func(context.Context, grpc.ServerStream) error { return io.EOF }
		err := p.call(context.Background(), bidi, nil)
		synctest.Wait()
		if _, ended := g.read(); status.Code(err) != codes.Unknown || status.Convert(err).Message() != "EOF" || !slices.Equal(ended, []core.Outcome{core.Failure}) {
			t.Error(err, ended)
		}
	})
}

// Section 2.4: the text of an error from further down is compared as a whole by grpc's interop tests: no policy adds to it, on
// either side.
func TestErrorsFromFurtherDownAreUntouched(t *testing.T) {
	const text = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
	for _, policy := range policies {
		synctest.Test(t, func(t *testing.T) {
			for k := range kinds {
				p := dial(t, policy.make(t), policy.make(t))
				p.service.serve = func(context.Context, grpc.ServerStream) error { return status.Error(codes.Unknown, text) }
				if err := p.call(context.Background(), k, nil); status.Convert(err).Message() != text || !strings.HasPrefix(err.Error(), "rpc error: code = Unknown desc = \t") {
					t.Errorf("%s, %v: %q", policy.name, k, err)
				}
			}
		})
	}
}

// Section 2.5: whether what observes stands outside or inside of Recover: one begun is one ended, as Internal.
func TestObserversOnBothSidesOfRecover(t *testing.T) {
	for k := range kinds {
		synctest.Test(t, func(t *testing.T) {
			var outside, inside heardOf
			g := &ledger{}
			p := dial(t, Chain(outside.policy(), Guard(Guarded{Guard: g}), Recover(RecoverConfig{Logger: quiet}), inside.policy(), Guard(Guarded{Guard: g})), nil)
			p.service.serve = func(context.Context, grpc.ServerStream) error { panic("boom") }
			if err := p.call(context.Background(), k, nil); status.Code(err) != codes.Internal {
				t.Error(err)
			}
			synctest.Wait()
			for _, h := range []*heardOf{&outside, &inside} {
				if h.begun != 1 || len(h.list) != 1 || h.list[0].Code != codes.Internal || h.list[0].ErrorType != "panic" {
					t.Errorf("%d begun, %+v", h.begun, h.list)
				}
			}
			if _, ended := g.read(); !slices.Equal(ended, []core.Outcome{core.Failure, core.Failure}) {
				t.Error(ended)
			}
		})
	}
}

// Section 2.6: an error of a tap without a status is PermissionDenied, so ours all have one.
func TestTapErrorsHaveAStatus(t *testing.T) {
	for _, kind := range []core.Kind{core.KindRateLimit, core.KindBreaker, core.KindBulkhead, core.KindAdaptive, "somebody's"} {
		g := &ledger{kind: kind, reject: core.Verdict{Reason: core.ReasonFull}}
		err := look(NewTap().Handle(Guard(Guarded{Guard: g})), "/"+unaryMethod)
		if _, ok := status.FromError(err); !ok || status.Code(err) == codes.PermissionDenied {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

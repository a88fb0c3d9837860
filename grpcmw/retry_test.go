package grpcmw

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/retry"
)

func newRetry(t testing.TB, c retry.Config) *retry.Retry {
	t.Helper()
	r, err := retry.New("r", c, retry.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// answers serves one answer after the other, the last for ever.
func answers(list ...func(ctx context.Context) error) func(context.Context, grpc.ServerStream) error {
	n := 0
	return func(ctx context.Context, _ grpc.ServerStream) error {
		f := list[min(n, len(list)-1)]
		n++
		return f(ctx)
	}
}

func code(c codes.Code) func(context.Context) error {
	return func(context.Context) error { return status.Error(c, "as it is") }
}

// withTrailer fails with pushbacks and, if info is not 0, a RetryInfo.
func withTrailer(c codes.Code, info time.Duration, pushbacks ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		_ = grpc.SetTrailer(ctx, metadata.MD{keyPushback: pushbacks})
		st := status.New(c, "as it is")
		if info != 0 {
			st, _ = st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(info)})
		}
		return st.Err()
	}
}

// What is called again, how often, and when.
func TestRetry(t *testing.T) {
	for _, tt := range []struct {
		name    string
		serve   func(context.Context, grpc.ServerStream) error
		calls   int
		code    codes.Code
		atLeast time.Duration
		below   time.Duration // 0: no bound
	}{
		{"ok", answers(code(codes.OK)), 1, codes.OK, 0, 0},
		{"unavailable, then ok", answers(code(codes.Unavailable), code(codes.Unavailable), code(codes.OK)), 3, codes.OK, 0, 0},
		{"unavailable for ever", answers(code(codes.Unavailable)), 3, codes.Unavailable, 0, 0},
		{"internal", answers(code(codes.Internal)), 1, codes.Internal, 0, 0},
		{"unknown", answers(code(codes.Unknown)), 1, codes.Unknown, 0, 0},
		{"aborted", answers(code(codes.Aborted)), 1, codes.Aborted, 0, 0},
		{"not found", answers(code(codes.NotFound)), 1, codes.NotFound, 0, 0},
		{"a deadline further down", answers(code(codes.DeadlineExceeded)), 1, codes.DeadlineExceeded, 0, 0},
		{"exhausted without a hint", answers(code(codes.ResourceExhausted)), 1, codes.ResourceExhausted, 0, 0},
		{"exhausted with RetryInfo", answers(withTrailer(codes.ResourceExhausted, 2*time.Second), code(codes.OK)), 2, codes.OK, 2 * time.Second, 3 * time.Second},
		{"exhausted with a pushback", answers(withTrailer(codes.ResourceExhausted, 0, "3000"), code(codes.OK)), 2, codes.OK, 3 * time.Second, 4 * time.Second},
		{"the pushback is longer", answers(withTrailer(codes.Unavailable, time.Second, "3000"), code(codes.OK)), 2, codes.OK, 3 * time.Second, 4 * time.Second},
		{"the RetryInfo is longer", answers(withTrailer(codes.Unavailable, 3*time.Second, "1000"), code(codes.OK)), 2, codes.OK, 3 * time.Second, 4 * time.Second},
		{"pushback -1", answers(withTrailer(codes.Unavailable, 0, "-1")), 1, codes.Unavailable, 0, 0},
		{"pushback -1 and RetryInfo", answers(withTrailer(codes.Unavailable, time.Second, "-1")), 1, codes.Unavailable, 0, 0},
		{"a pushback that cannot be read", answers(withTrailer(codes.Unavailable, 0, "soon")), 1, codes.Unavailable, 0, 0},
		{"a pushback beyond 32 bits", answers(withTrailer(codes.Unavailable, 0, "2147483648")), 1, codes.Unavailable, 0, 0},
		{"two pushbacks", answers(withTrailer(codes.Unavailable, 0, "1", "1")), 1, codes.Unavailable, 0, 0},
		{"a pushback beyond the deadline", answers(withTrailer(codes.Unavailable, 0, "50000")), 1, codes.Unavailable, 0, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := dial(t, nil, Retry(newRetry(t, retry.Config{Base: 10 * time.Millisecond})))
				p.service.serve = tt.serve
				start := time.Now()
				err := p.call(timed(t, 30*time.Second), unary, nil)
				took := time.Since(start)
				if n := p.service.called(); n != tt.calls || status.Code(err) != tt.code {
					t.Errorf("%d calls, %v; want %d, %v", n, err, tt.calls, tt.code)
				}
				if took < tt.atLeast || tt.below > 0 && took >= tt.below {
					t.Errorf("took %v", took)
				}
				if tt.code != codes.OK && err.Error() != fmt.Sprintf("rpc error: code = %v desc = as it is", tt.code) {
					t.Errorf("the error is not untouched: %v", err)
				}
			})
		})
	}
}

// The caller's options hear of the call once, from the last attempt; the server hears which attempt it is.
func TestRetryAndOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := dial(t, nil, Retry(newRetry(t, retry.Config{Base: time.Millisecond})))
		var attempts []string
		n := 0
		p.service.serve = func(ctx context.Context, _ grpc.ServerStream) error {
			attempts = append(attempts, strings.Join(metadata.ValueFromIncomingContext(ctx, keyAttempts), ","))
			n++
			_ = grpc.SetTrailer(ctx, metadata.Pairs("n", fmt.Sprint(n)))
			if n < 3 {
				return status.Error(codes.Unavailable, "")
			}
			return grpc.SetHeader(ctx, metadata.Pairs("h", fmt.Sprint(n)))
		}
		var header, trailer metadata.MD
		var from peer.Peer
		finished := 0
		ctx := metadata.AppendToOutgoingContext(context.Background(), "key", "value")
		reply, err := p.client.UnaryCall(ctx, &testpb.SimpleRequest{}, grpc.Header(&header), grpc.Trailer(&trailer), grpc.Peer(&from),
			grpc.OnFinish(func(error) { finished++ }))
		if err != nil || reply.Username != "answered" {
			t.Error(reply, err)
		}
		if !slices.Equal(attempts, []string{"", "1", "2"}) {
			t.Errorf("attempts %q", attempts)
		}
		if !slices.Equal(header["h"], []string{"3"}) || !slices.Equal(trailer["n"], []string{"3"}) || from.Addr == nil || finished != 1 {
			t.Errorf("header %v, trailer %v, peer %v, finished %d times", header, trailer, from, finished)
		}
	})
}

// Who leaves during a delay gets his own code, and the reason behind it.
func TestRetryAndLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := dial(t, nil, Retry(newRetry(t, retry.Config{Base: time.Hour, MaxDelay: time.Hour, Jitter: retry.NoJitter})))
		p.service.serve = answers(code(codes.Unavailable))
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Second, cancel)
		err := p.call(ctx, unary, nil)
		if status.Code(err) != codes.Canceled || status.Code(errors.Unwrap(err)) != codes.Unavailable {
			t.Error(err, errors.Unwrap(err))
		}
		if err := p.call(ctx, unary, nil); status.Code(err) != codes.Canceled || p.service.called() != 1 {
			t.Error(err, p.service.called())
		}
	})
}

// Our own rejections are not asked again, and a timeout of an attempt is.
func TestRetryAndWhatIsInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := &ledger{kind: core.KindBulkhead, reject: core.Verdict{Reason: core.ReasonFull}, retry: time.Millisecond}
		asked := 0
		full.heard = func(core.Call) { asked++ }
		p := dial(t, nil, Chain(Retry(newRetry(t, retry.Config{Base: time.Millisecond})), Guard(Guarded{Guard: full})))
		if err := p.call(context.Background(), unary, nil); !errors.Is(err, core.ErrFull) || asked != 1 {
			t.Error(err, asked)
		}
		p = dial(t, nil, Chain(Retry(newRetry(t, retry.Config{Base: time.Millisecond})), Timeout(limit(t, time.Second))))
		n := 0
		p.service.serve = func(ctx context.Context, _ grpc.ServerStream) error {
			if n++; n < 3 {
				<-ctx.Done()
			}
			return ctx.Err()
		}
		if err := p.call(context.Background(), unary, nil); err != nil || n != 3 {
			t.Error(err, n)
		}
	})
}

// A retry behind a server that was itself called again makes one attempt: three tiers do not multiply.
func TestNestedRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conf := retry.Config{Base: time.Millisecond}
		bottom := dial(t, nil, Retry(newRetry(t, conf)))
		bottom.service.serve = answers(code(codes.Unavailable))
		middle := dial(t, Retry(newRetry(t, conf)), Retry(newRetry(t, conf)))
		middle.service.serve = func(ctx context.Context, _ grpc.ServerStream) error { return bottom.call(ctx, unary, nil) }
		if err := middle.call(context.Background(), unary, nil); status.Code(err) != codes.Unavailable {
			t.Error(err)
		}
		if n := bottom.service.called(); n != 3+1+1 {
			t.Errorf("%d calls at the bottom", n)
		}
	})
}

// What a stream has delivered is never delivered twice, and one that could not be opened is opened again.
func TestRetryOfStreams(t *testing.T) {
	for k := clientStreaming; k < kinds; k++ {
		synctest.Test(t, func(t *testing.T) {
			p := dial(t, nil, Retry(newRetry(t, retry.Config{Base: time.Millisecond})))
			p.service.serve = func(_ context.Context, s grpc.ServerStream) error {
				if k != clientStreaming {
					for range 3 {
						if err := send(s, k); err != nil {
							return err
						}
					}
				}
				return status.Error(codes.Unavailable, "")
			}
			s, err := p.open(context.Background(), k)
			messages := 0
			for err == nil {
				if err = s.RecvMsg(&testpb.StreamingOutputCallResponse{}); err == nil {
					messages++
				}
			}
			if status.Code(err) != codes.Unavailable || p.service.called() != 1 || messages > 3 {
				t.Errorf("%v: %v, %d calls, %d messages", k, err, p.service.called(), messages)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			n, finished := 0, 0
			shaky := single(opener{func() error {
				if n++; n < 3 {
					return status.Error(codes.Unavailable, "")
				}
				return nil
			}})
			g := &ledger{}
			p := dial(t, nil, Chain(Guard(Guarded{Guard: g}), Retry(newRetry(t, retry.Config{Base: time.Millisecond, AttemptTimeout: time.Second})), shaky))
			p.service.serve = func(ctx context.Context, s grpc.ServerStream) error {
				if got := metadata.ValueFromIncomingContext(ctx, keyAttempts); !slices.Equal(got, []string{"2"}) {
					t.Errorf("attempts %q", got)
				}
				time.Sleep(time.Minute) // longer than the time of an attempt
				return send(s, k)
			}
			if err := p.call(context.Background(), k, nil, grpc.OnFinish(func(error) { finished++ })); err != nil || n != 3 {
				t.Errorf("%v: %v, %d", k, err, n)
			}
			synctest.Wait()
			if _, ended := g.read(); finished != 1 || !slices.Equal(ended, []core.Outcome{core.Success}) {
				t.Errorf("%v: finished %d times, %v", k, finished, ended)
			}
		})
	}
}

// opener lets streams be opened or not.
type opener struct{ may func() error }

func (opener) layer() string { return "opener" }

func (o opener) streamClient(ctx context.Context, c *clientCall, at int, opts []grpc.CallOption) (grpc.ClientStream, error) {
	if err := o.may(); err != nil {
		return nil, err
	}
	return c.stream(ctx, at+1, opts)
}

// A stream that is over before anybody has it is over once.
func TestRetryOfAStreamThatEndsAtOnce(t *testing.T) {
	heard := 0
	o := &opening{finish: []func(error){func(err error) {
		if err != io.EOF {
			t.Error(err)
		}
		heard++
	}}}
	o.end(io.EOF)
	if heard != 0 {
		t.Error("told before it was opened")
	}
	if o.open(); heard != 1 {
		t.Errorf("told %d times", heard)
	}
}

// Replies of messages, of plain structs and of nobody.
func TestFreshAndPut(t *testing.T) {
	reply := &testpb.SimpleResponse{Username: "old", OauthScope: "old"}
	one := fresh(reply).(*testpb.SimpleResponse)
	one.Username = "new"
	if put(reply, one); reply.Username != "new" || reply.OauthScope != "" {
		t.Error(reply)
	}
	type plainReply struct{ n int }
	p := &plainReply{1}
	q := fresh(p).(*plainReply)
	q.n = 2
	if put(p, q); p.n != 2 {
		t.Error(p)
	}
	for _, none := range []any{nil, (*testpb.SimpleResponse)(nil), (*plainReply)(nil), "text"} {
		put(none, fresh(none))
	}
}

// No attempts header makes a server do anything but what it says.
func FuzzIncomingAttempt(f *testing.F) {
	for _, s := range []string{"", "1", "-1", "65536", "99999999999999999999", "x", "1,2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ctx := metadata.NewIncomingContext(context.Background(), metadata.MD{keyAttempts: []string{s}})
		if n := incomingAttempt(ctx); n < 1 || n > 65536 {
			t.Errorf("%q: %d", s, n)
		}
		if d := pushedBack([]string{s}, 0); d < -1 || d > (1<<31)*time.Millisecond {
			t.Errorf("%q: %v", s, d)
		}
	})
}

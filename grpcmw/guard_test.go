package grpcmw

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/adaptive"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/ratelimit"
)

// details sorts what a status carries.
func details(t *testing.T, err error) (info *errdetails.ErrorInfo, retry *errdetails.RetryInfo, quota *errdetails.QuotaFailure) {
	t.Helper()
	for _, d := range status.Convert(err).Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			info = d
		case *errdetails.RetryInfo:
			retry = d
		case *errdetails.QuotaFailure:
			quota = d
		default:
			t.Errorf("detail %T", d)
		}
	}
	return
}

// The one table, over the wire: code, details, pushback, no headers, and the text is fixed.
func TestRejections(t *testing.T) {
	for _, tt := range []struct {
		kind     core.Kind
		reason   core.Reason
		retry    time.Duration
		code     codes.Code
		info     string
		pushback string
		quota    bool
	}{
		{core.KindRateLimit, core.ReasonLimited, 1500 * time.Millisecond, codes.ResourceExhausted, ReasonRateLimited, "1500", true},
		{core.KindRateLimit, core.ReasonTooCostly, core.Never, codes.ResourceExhausted, ReasonRateLimited, "-1", true},
		{core.KindRateLimit, core.ReasonWaited, time.Second, codes.ResourceExhausted, ReasonQueueTimeout, "1000", false},
		{core.KindBreaker, core.ReasonOpen, 2 * time.Second, codes.Unavailable, ReasonBreakerOpen, "2000", false},
		{core.KindBreaker, core.ReasonForced, 0, codes.Unavailable, ReasonBreakerOpen, "", false},
		{core.KindBreaker, core.ReasonOpen, time.Minute, codes.Unavailable, ReasonBreakerOpen, "-1", false},
		{core.KindBulkhead, core.ReasonFull, 0, codes.ResourceExhausted, ReasonConcurrencyLimit, "", false},
		{core.KindBulkhead, core.ReasonWaited, 0, codes.ResourceExhausted, ReasonQueueTimeout, "", false},
		{core.KindBulkhead, core.ReasonExpired, 0, codes.DeadlineExceeded, ReasonQueueTimeout, "", false},
		{core.KindBulkhead, core.ReasonLeft, 0, codes.Canceled, ReasonQueueTimeout, "", false},
		{core.KindAdaptive, core.ReasonShed, 300 * time.Microsecond, codes.Unavailable, ReasonOverloaded, "1", false},
		{core.KindAdaptive, core.ReasonWaited, 0, codes.Unavailable, ReasonQueueTimeout, "", false},
		{core.KindTimeout, core.ReasonTooLong, 0, codes.DeadlineExceeded, ReasonDeadline, "", false},
		{"weekday", core.ReasonShed, time.Second, codes.Unavailable, ReasonOverloaded, "1000", false},
	} {
		for k := range kinds {
			synctest.Test(t, func(t *testing.T) {
				g := &ledger{kind: tt.kind, retry: tt.retry, reject: core.Verdict{Reason: tt.reason}}
				outside := &ledger{}
				p := dial(t, Chain(Guard(Guarded{Guard: outside}), Guard(Guarded{Guard: g})), nil)
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				var header, trailer metadata.MD
				err := p.call(ctx, k, nil, grpc.Header(&header), grpc.Trailer(&trailer))
				if status.Code(err) != tt.code {
					t.Errorf("%v: %v", tt, err)
				}
				info, retry, quota := details(t, err)
				if info.GetReason() != tt.info || info.GetDomain() != Domain || info.GetMetadata()["policy"] != "ledger" {
					t.Errorf("%v: %v", tt, info)
				}
				if known(tt.retry) != (retry != nil) || retry != nil && retry.RetryDelay.AsDuration() != tt.retry {
					t.Errorf("%v: %v", tt, retry)
				}
				if (quota != nil) != tt.quota {
					t.Errorf("%v: %v", tt, quota)
				}
				if got := strings.Join(trailer[keyPushback], ","); got != tt.pushback {
					t.Errorf("%v: pushback %q", tt, got)
				}
				delete(header, "content-type")
				if len(header) > 0 {
					t.Errorf("%v: headers %v", tt, header)
				}
				if n := p.service.called(); n != 0 {
					t.Errorf("the handler ran %d times", n)
				}
				synctest.Wait()
				if _, ended := outside.read(); !slices.Equal(ended, []core.Outcome{core.Ignored}) {
					t.Errorf("the guard outside heard %v", ended)
				}
			})
		}
	}
}

// A rejection on a client never reached a server: no RetryInfo, and errors.As finds the rejection.
func TestClientRejections(t *testing.T) {
	for k := range kinds {
		synctest.Test(t, func(t *testing.T) {
			g := &ledger{kind: core.KindBreaker, retry: time.Second, reject: core.Verdict{Reason: core.ReasonOpen}}
			outside := &ledger{}
			p := dial(t, nil, Chain(Guard(Guarded{Guard: outside}), Guard(Guarded{Guard: g})))
			err := p.call(context.Background(), k, nil)
			var r *core.Rejection
			if status.Code(err) != codes.Unavailable || !errors.As(err, &r) || r.RetryAfter != time.Second || !errors.Is(err, core.ErrOpen) {
				t.Error(err)
			}
			if info, retry, _ := details(t, err); info.GetReason() != ReasonBreakerOpen || retry != nil {
				t.Error(info, retry)
			}
			if _, ended := outside.read(); !slices.Equal(ended, []core.Outcome{core.Ignored}) || p.service.called() != 0 {
				t.Errorf("heard %v, called %d", ended, p.service.called())
			}
		})
	}
}

// What a breaker hears of statuses.
func TestClassify(t *testing.T) {
	info, _ := status.New(codes.Unavailable, "later").WithDetails(&errdetails.RetryInfo{})
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	expired, cancel2 := context.WithTimeout(context.Background(), -1)
	defer cancel2()
	ours, cancel3 := context.WithTimeoutCause(context.Background(), -1, core.ErrTimeout)
	defer cancel3()
	for _, tt := range []struct {
		ctx  context.Context
		err  error
		want core.Outcome
	}{
		{nil, nil, core.Success},
		{canceled, nil, core.Success},
		{nil, status.Error(codes.Unavailable, ""), core.Failure},
		{nil, info.Err(), core.Overload},
		{nil, status.Error(codes.ResourceExhausted, ""), core.Overload},
		{nil, status.Error(codes.Internal, ""), core.Failure},
		{nil, status.Error(codes.Unknown, ""), core.Failure},
		{nil, status.Error(codes.DataLoss, ""), core.Failure},
		{nil, status.Error(codes.Unimplemented, ""), core.Success},
		{nil, status.Error(codes.NotFound, ""), core.Success},
		{nil, status.Error(codes.DeadlineExceeded, ""), core.Timeout},
		{nil, status.Error(codes.Canceled, ""), core.Canceled},
		{nil, context.DeadlineExceeded, core.Timeout},
		{nil, context.Canceled, core.Canceled},
		{nil, errors.New("EOF"), core.Failure},
		{nil, errors.Join(errors.New("a"), status.Error(codes.NotFound, "")), core.Success},
		{nil, &core.Rejection{}, core.Ignored},
		{nil, core.ErrTimeout, core.Timeout},
		{nil, noStatus{}, core.Failure},
		{canceled, status.Error(codes.Unavailable, ""), core.Canceled},
		{expired, status.Error(codes.Unavailable, ""), core.Expired},
		{ours, status.Error(codes.Unavailable, ""), core.Timeout},
	} {
		ctx := tt.ctx
		if ctx == nil {
			ctx = context.Background()
		}
		if got := Classify(ctx, tt.err); got != tt.want {
			t.Errorf("%v (ctx %v): %v, want %v", tt.err, ctx.Err(), got, tt.want)
		}
	}
}

// noStatus has a status of nil, and with it an error all the same.
type noStatus struct{}

func (noStatus) Error() string              { return "no status" }
func (noStatus) GRPCStatus() *status.Status { return nil }

// A half-open breaker is settled by the first response of a stream, not by its end.
func TestProbeOfAStream(t *testing.T) {
	for _, side := range []string{"server", "client"} {
		synctest.Test(t, func(t *testing.T) {
			b, err := breaker.New("b", breaker.Config{MinCalls: 1, Probes: 1, ProbeSuccesses: 1, OpenFor: time.Second}, breaker.Hooks{})
			if err != nil {
				t.Fatal(err)
			}
			server, client := Breaker(b), (*Interceptor)(nil)
			if side == "client" {
				server, client = nil, server
			}
			p := dial(t, server, client)
			down := true
			p.service.serve = func(ctx context.Context, s grpc.ServerStream) error {
				if down {
					return status.Error(codes.Internal, "down")
				}
				for range 3 {
					if err := send(s, bidi); err != nil {
						return err
					}
				}
				<-ctx.Done()
				return ctx.Err()
			}
			for b.Snapshot().State != breaker.Open {
				_ = p.call(context.Background(), unary, nil)
			}
			down = false
			time.Sleep(2 * time.Second)
			ctx, cancel := context.WithCancel(context.Background())
			first := make(chan bool)
			ended := make(chan error)
			go func() { ended <- p.call(ctx, bidi, func() { close(first) }) }()
			<-first
			synctest.Wait()
			if got := b.Snapshot().State; got != breaker.Closed {
				t.Errorf("%s: %v while the stream runs", side, got)
			}
			cancel()
			<-ended
			synctest.Wait()
		})
	}
}

// A keyed guard has a cell a method, and a bulkhead for streams leaves the unary calls alone.
func TestKeysAndShapes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit, _ := ratelimit.NewKeyed("api", ratelimit.Config{Limit: 1, Period: time.Hour}, ratelimit.Hooks{})
		streams, _ := bulkhead.New("streams", bulkhead.Config{Limit: 1}, bulkhead.Hooks{})
		p := dial(t, Guard(
			Guarded{limit, GuardConfig{Key: ByMethod, Only: Unary}}, Guarded{streams, GuardConfig{Only: Streams}},
		), nil)
		p.service.serve = func(ctx context.Context, s grpc.ServerStream) error {
			if s != nil {
				<-ctx.Done()
			}
			return ctx.Err()
		}
		if err := p.call(context.Background(), unary, nil); err != nil {
			t.Error(err)
		}
		if err := p.call(context.Background(), unary, nil); status.Code(err) != codes.ResourceExhausted {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- p.call(ctx, bidi, nil) }()
		synctest.Wait()
		if err := p.call(context.Background(), serverStreaming, nil); status.Code(err) != codes.ResourceExhausted {
			t.Error(err)
		}
		cancel()
		<-ended
		synctest.Wait()
		if n := streams.Snapshot().Running; n != 0 {
			t.Errorf("%d slots lost", n)
		}
	})
}

// Health checks pass whatever the guards say, unless they are asked to look.
func TestHealthIsExempt(t *testing.T) {
	g := &ledger{reject: core.Verdict{Reason: core.ReasonShed}}
	p := dial(t, nil, Chain(Guard(Guarded{Guard: g})))
	for _, everything := range []bool{false, true} {
		i := Guard(Guarded{g, GuardConfig{Everything: everything}})
		_, err := i.UnaryServer(context.Background(), nil, &grpc.UnaryServerInfo{FullMethod: healthpb.Health_Check_FullMethodName},
			func(context.Context, any) (any, error) { return nil, nil })
		if (err != nil) != everything {
			t.Error(everything, err)
		}
	}
	if _, err := healthpb.NewHealthClient(p.conn).Check(context.Background(), nil); status.Code(err) != codes.Unimplemented {
		t.Error(err) // it reached the server, which has no health service
	}
}

// An adaptive limit does not learn from how long streams last.
func TestAdaptiveSkipsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := adaptive.New("a", adaptive.Config{}, adaptive.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		p := dial(t, Shed(l), nil)
		for k := range kinds {
			if err := p.call(context.Background(), k, nil); (err != nil) != (k == clientStreaming) {
				t.Error(k, err) // a client stream without an answer is an error of gRPC's
			}
		}
		synctest.Wait()
		if n := l.Snapshot().Admitted; n != 1 {
			t.Errorf("%d calls seen", n)
		}
	})
}

// Mistakes of the program are found when it starts.
func TestGuardMistakes(t *testing.T) {
	keyed, _ := ratelimit.NewKeyed("k", ratelimit.Config{Limit: 1}, ratelimit.Hooks{})
	for name, make := range map[string]func(){
		"none":         func() { Guard() },
		"too many":     func() { Guard(make7()...) },
		"nil":          func() { Guard(Guarded{}) },
		"nil pointer":  func() { Breaker((*breaker.Breaker)(nil)) },
		"no key":       func() { RateLimit(keyed) },
		"two configs":  func() { Breaker(&ledger{}, GuardConfig{}, GuardConfig{}) },
		"nil in chain": func() { Chain(Recover(), nil) },
	} {
		func() {
			defer func() {
				if p := recover(); p == nil || !strings.HasPrefix(p.(string), "grpcmw: ") {
					t.Errorf("%s: panic %v", name, p)
				}
			}()
			make()
			t.Errorf("%s: accepted", name)
		}()
	}
}

func make7() (list []Guarded) {
	for range maxGuards + 1 {
		list = append(list, Guarded{Guard: &ledger{}})
	}
	return list
}

// A panic of a user's function keeps no permit.
func TestPanicsOfUsersFunctions(t *testing.T) {
	boom := func(context.Context, error) core.Outcome { panic("boom") }
	for _, side := range []string{"server", "client"} {
		g := &ledger{}
		i := Guard(Guarded{Guard: g}, Guarded{g, GuardConfig{Classify: boom}}, Guarded{Guard: g})
		func() {
			defer func() {
				if p := recover(); p != "boom" {
					t.Errorf("panic %v", p)
				}
			}()
			if side == "server" {
				_, _ = i.UnaryServer(context.Background(), nil, &grpc.UnaryServerInfo{}, func(context.Context, any) (any, error) { return nil, nil })
			} else {
				_ = i.UnaryClient(context.Background(), "/a/b", nil, nil, nil,
					func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return nil })
			}
		}()
		if asked, ended := g.read(); asked != 3 || len(ended) != 3 {
			t.Errorf("%s: %d of %d came back", side, len(ended), asked)
		}
	}
	g := &ledger{}
	i := Guard(Guarded{Guard: g}, Guarded{g, GuardConfig{Cost: func(context.Context, Info) uint32 { panic("boom") }}})
	func() {
		defer func() { _ = recover() }()
		_, _ = i.UnaryServer(context.Background(), nil, &grpc.UnaryServerInfo{}, func(context.Context, any) (any, error) { return nil, nil })
	}()
	if _, ended := g.read(); !slices.Equal(ended, []core.Outcome{core.Ignored}) {
		t.Errorf("ended %v", ended)
	}
}

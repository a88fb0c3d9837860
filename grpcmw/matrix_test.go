package grpcmw

import (
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/lifecycle"
	"github.com/mw-go/mw/core/retry"
)

// ending is a way in which a call can end.
type ending struct {
	name    string
	streams bool // makes no sense for a unary call
	serve   func(ctx context.Context, s grpc.ServerStream, k kind, p *pair) error
	// call makes the call; nil makes it to the end.
	call   func(t *testing.T, p *pair, k kind) error
	code   codes.Code
	server core.Outcome
	client core.Outcome
}

func hang(ctx context.Context, s grpc.ServerStream, k kind, _ *pair) error {
	<-ctx.Done()
	return ctx.Err()
}

// hangAfterFirst sends a message and waits for the end of the call.
func hangAfterFirst(ctx context.Context, s grpc.ServerStream, k kind, p *pair) error {
	if err := send(s, k); err != nil {
		return err
	}
	return hang(ctx, s, k, p)
}

// answer sends what the client of the kind waits for.
func answer(ctx context.Context, s grpc.ServerStream, k kind, _ *pair) error { return send(s, k) }

var endings = []ending{
	{name: "ok", serve: answer, code: codes.OK, server: core.Success, client: core.Success},
	{name: "error", code: codes.Internal, server: core.Failure, client: core.Failure,
		serve: func(context.Context, grpc.ServerStream, kind, *pair) error {
			return status.Error(codes.Internal, "broken")
		}},
	{name: "not found", code: codes.NotFound, server: core.Success, client: core.Success,
		serve: func(context.Context, grpc.ServerStream, kind, *pair) error {
			return status.Error(codes.NotFound, "none")
		}},
	{name: "plain error", code: codes.Unknown, server: core.Failure, client: core.Failure,
		serve: func(context.Context, grpc.ServerStream, kind, *pair) error { return errors.New("broken") }},
	{name: "cancel before first message", serve: hang, code: codes.Canceled, server: core.Canceled, client: core.Canceled,
		call: func(t *testing.T, p *pair, k kind) error {
			ctx, cancel := context.WithCancel(context.Background())
			go func() {
				time.Sleep(time.Second)
				cancel()
			}()
			return p.call(ctx, k, nil)
		}},
	{name: "cancel after first message", streams: true, serve: hangAfterFirst, code: codes.Canceled, server: core.Canceled, client: core.Canceled,
		call: func(t *testing.T, p *pair, k kind) error {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			return p.call(ctx, k, cancel)
		}},
	{name: "deadline", serve: hang, code: codes.DeadlineExceeded, server: core.Expired, client: core.Expired,
		call: func(t *testing.T, p *pair, k kind) error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			return p.call(ctx, k, nil)
		}},
	{name: "abandoned", streams: true, serve: hangAfterFirst, code: codes.OK, server: core.Canceled, client: core.Canceled,
		call: func(t *testing.T, p *pair, k kind) error {
			ctx, cancel := context.WithCancel(context.Background())
			_, err := p.open(ctx, k)
			time.Sleep(time.Second)
			cancel() // nobody reads the stream, then its context ends
			return err
		}},
	{name: "panic", code: codes.Internal, server: core.Failure, client: core.Failure,
		serve: func(context.Context, grpc.ServerStream, kind, *pair) error { panic("boom") }},
	{name: "panic after first message", streams: true, code: codes.Internal, server: core.Failure, client: core.Failure,
		serve: func(_ context.Context, s grpc.ServerStream, k kind, _ *pair) error { _ = send(s, k); panic("boom") }},
	{name: "Goexit", code: codes.DeadlineExceeded, server: core.Failure, client: core.Expired,
		serve: func(context.Context, grpc.ServerStream, kind, *pair) error { runtime.Goexit(); return nil },
		call: func(t *testing.T, p *pair, k kind) error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			return p.call(ctx, k, nil)
		}},
	{name: "server gone", code: codes.Unavailable, server: core.Canceled, client: core.Failure,
		serve: func(ctx context.Context, s grpc.ServerStream, k kind, p *pair) error {
			go p.server.Stop()
			return hang(ctx, s, k, p)
		}},
	{name: "GOAWAY", code: codes.OK, server: core.Success, client: core.Success,
		serve: func(ctx context.Context, s grpc.ServerStream, k kind, p *pair) error {
			go p.server.GracefulStop()
			time.Sleep(time.Second)
			return answer(ctx, s, k, p)
		}},
	{name: "connection cut", code: codes.Unavailable, server: core.Canceled, client: core.Failure,
		serve: func(ctx context.Context, s grpc.ServerStream, k kind, p *pair) error {
			p.cut()
			return hang(ctx, s, k, p)
		}},
}

// policies are those that stand round the guards of both sides, with settings that do not change how a call ends.
var policies = []struct {
	name  string
	make  func(t *testing.T) *Interceptor
	again bool // it may make a call again that finds nobody
}{
	{"nothing", func(*testing.T) *Interceptor { return Chain() }, false},
	{"ids", func(*testing.T) *Interceptor { return RequestID() }, false},
	{"observe and log", func(*testing.T) *Interceptor {
		nothing := func(Summary) {}
		return Chain(Observe(nothing, ObserveConfig{Begin: nothing, Message: func(Summary, bool) {}}), Log(LogConfig{JSON: io.Discard}))
	}, false},
	{"guards", func(t *testing.T) *Interceptor { return Guard(threeGuards(t)...) }, false},
	{"timeout", func(t *testing.T) *Interceptor {
		m := limit(t, time.Hour)
		return Timeout(m, TimeoutConfig{First: m, Idle: m, MaxAge: m})
	}, false},
	{"validate", func(*testing.T) *Interceptor { return Validate() }, false},
	{"draining", func(t *testing.T) *Interceptor { return Draining(newLife(t, lifecycle.Config{})) }, false},
	{"deadline", func(t *testing.T) *Interceptor { return Deadline(limit(t, time.Hour)) }, false},
	{"deadline and timeout", func(t *testing.T) *Interceptor {
		m := limit(t, time.Hour)
		return Chain(Timeout(m, TimeoutConfig{First: m, Idle: m, MaxAge: m}), Deadline(m), Deadline(m))
	}, false},
	{"retry", func(t *testing.T) *Interceptor { return Retry(newRetry(t, retry.Config{MaxAttempts: 1})) }, false},
	{"hedge", func(t *testing.T) *Interceptor {
		return Hedge(newHedge(t, hedge.Config{Delay: time.Hour}), HedgeConfig{Methods: func(Info) bool { return true }})
	}, true},
	{"fallback", func(t *testing.T) *Interceptor {
		return Fallback(FallbackConfig{}, step(t, "nobody", fails(errors.New("nobody"))))
	}, false},
	{"cache", func(t *testing.T) *Interceptor { return cached(t, newCache(t)) }, false},
	{"criticality", func(t *testing.T) *Interceptor {
		return Criticality(ClassConfig{Class: func(context.Context, Info) core.Class { return core.Sheddable }})
	}, false},
}

// Whatever becomes of a call, of any kind, behind any policy: each side's guard has admitted it once, and heard once how it
// ended.
func TestEveryEnding(t *testing.T) {
	for _, end := range endings {
		for k := range kinds {
			if end.impossible(k) {
				continue
			}
			for _, policy := range policies {
				t.Run(end.name+"/"+k.String()+"/"+policy.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { end.check(t, k, policy.make, policy.again) })
				})
			}
		}
	}
}

// impossible reports whether a call of the kind cannot end so: a client stream's first message is its last.
func (end *ending) impossible(k kind) bool {
	return end.streams && k == unary || strings.HasSuffix(end.name, "after first message") && k == clientStreaming
}

// run makes the call, and checks the code that it ended with.
func (end *ending) run(t *testing.T, p *pair, k kind) {
	p.service.serve = func(ctx context.Context, s grpc.ServerStream) error { return end.serve(ctx, s, k, p) }
	call := end.call
	if call == nil {
		call = func(_ *testing.T, p *pair, k kind) error { return p.call(context.Background(), k, nil) }
	}
	if got := status.Code(call(t, p, k)); got != end.code {
		t.Errorf("code %v, want %v", got, end.code)
	}
}

func (end *ending) check(t *testing.T, k kind, policy func(*testing.T) *Interceptor, again bool) {
	server, client := &ledger{}, &ledger{}
	serverOuter, clientOuter := &ledger{}, &ledger{}
	p := dial(t,
		Chain(Recover(RecoverConfig{Logger: quiet}), Guard(Guarded{Guard: serverOuter}), policy(t), Guard(Guarded{Guard: server})),
		Chain(Guard(Guarded{Guard: clientOuter}), policy(t), Guard(Guarded{Guard: client})))
	end.run(t, p, k)
	synctest.Wait()
	for _, side := range []struct {
		name string
		of   *ledger
		want core.Outcome
	}{
		{"server, inside", server, end.server}, {"server, outside", serverOuter, end.server},
		{"client, inside", client, end.client}, {"client, outside", clientOuter, end.client},
	} {
		asked, ended := side.of.read()
		if again && end.code == codes.Unavailable && asked == 2 && len(ended) == 2 {
			asked, ended = 1, slices.Compact(ended)
		}
		if asked != 1 || !slices.Equal(ended, []core.Outcome{side.want}) {
			t.Errorf("%s: %d admitted, ended as %v, want %v once", side.name, asked, ended, side.want)
		}
	}
}

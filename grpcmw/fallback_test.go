package grpcmw

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/fallback"
)

// step is a step that runs f.
func step(t testing.TB, name string, f func(context.Context, Info, any, error) (any, error), c ...fallback.Config) FallbackStep {
	t.Helper()
	var config fallback.Config
	if len(c) > 0 {
		config = c[0]
	}
	by, err := fallback.New(name, config, fallback.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return FallbackStep{By: by, Run: f}
}

func says(name string) func(context.Context, Info, any, error) (any, error) {
	reply := &testpb.SimpleResponse{Username: name}
	return func(context.Context, Info, any, error) (any, error) { return reply, nil }
}

func fails(err error) func(context.Context, Info, any, error) (any, error) {
	return func(context.Context, Info, any, error) (any, error) { return nil, err }
}

// failsafe-go's interceptor returns an empty reply and no error when a fallback answers, or a cache: what they say has to get into
// the caller's reply.
func TestFailsafesEmptyReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := dial(t, nil, Fallback(FallbackConfig{}, step(t, "default", says("somewhere else"))))
		p.service.serve = answers(code(codes.Unavailable))
		var name string
		reply, err := p.client.UnaryCall(context.Background(), &testpb.SimpleRequest{}, AnsweredBy(&name))
		if err != nil || reply.GetUsername() != "somewhere else" || name != "default" {
			t.Errorf("fallback: %v, %v, answered by %q", reply, err, name)
		}
		p = dial(t, nil, cached(t, newCache(t)))
		for range 2 {
			reply, err = p.client.UnaryCall(context.Background(), &testpb.SimpleRequest{})
			if err != nil || reply.GetUsername() != "answered" {
				t.Errorf("cache: %v, %v", reply, err)
			}
		}
		if n := p.service.called(); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
}

// Which failures are answered, by whom, and what the caller gets if by nobody.
func TestFallback(t *testing.T) {
	var before error
	for _, tt := range []struct {
		name  string
		serve func(context.Context, grpc.ServerStream) error
		steps []FallbackStep
		by    string
		code  codes.Code
	}{
		{"an answer", answers(code(codes.OK)), []FallbackStep{step(t, "a", says("a"))}, "", codes.OK},
		{"unavailable", answers(code(codes.Unavailable)), []FallbackStep{step(t, "a", says("a"))}, "a", codes.OK},
		{"exhausted", answers(code(codes.ResourceExhausted)), []FallbackStep{step(t, "a", says("a"))}, "a", codes.OK},
		{"internal", answers(code(codes.Internal)), []FallbackStep{step(t, "a", says("a"))}, "a", codes.OK},
		{"a deadline further down", answers(code(codes.DeadlineExceeded)), []FallbackStep{step(t, "a", says("a"))}, "a", codes.OK},
		{"not found is an answer", answers(code(codes.NotFound)), []FallbackStep{step(t, "a", says("a"))}, "", codes.NotFound},
		{"canceled further down", answers(code(codes.Canceled)), []FallbackStep{step(t, "a", says("a"))}, "", codes.Canceled},
		{"the second", answers(code(codes.Unavailable)), []FallbackStep{
			step(t, "a", fails(status.Error(codes.Internal, "a"))),
			step(t, "b", func(_ context.Context, _ Info, _ any, err error) (any, error) {
				before = err
				return &testpb.SimpleResponse{Username: "b"}, nil
			}),
		}, "b", codes.OK},
		{"a success that is none", answers(code(codes.Unavailable)), []FallbackStep{
			step(t, "a", fails(status.Error(codes.NotFound, "a"))), step(t, "b", says("b")),
		}, "", codes.Unavailable},
		{"nobody", answers(code(codes.Unavailable)), []FallbackStep{
			step(t, "a", fails(errors.New("a"))), step(t, "b", fails(&core.Rejection{})),
		}, "", codes.Unavailable},
		{"no reply", answers(code(codes.Unavailable)), []FallbackStep{step(t, "a", fails(nil))}, "", codes.Unavailable},
		{"nil of the type", answers(code(codes.Unavailable)), []FallbackStep{
			step(t, "a", func(context.Context, Info, any, error) (any, error) { return (*testpb.SimpleResponse)(nil), nil }),
		}, "", codes.Unavailable},
		{"another type", answers(code(codes.Unavailable)), []FallbackStep{
			step(t, "a", func(context.Context, Info, any, error) (any, error) { return &testpb.SimpleRequest{}, nil }),
			step(t, "b", func(context.Context, Info, any, error) (any, error) { return "text", nil }),
			step(t, "c", says("c")),
		}, "c", codes.OK},
		{"disabled", answers(code(codes.Unavailable)), []FallbackStep{step(t, "a", says("a"), fallback.Config{Mode: core.Disabled})}, "", codes.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &ledger{}
				p := dial(t, nil, Chain(Guard(Guarded{Guard: g}), Fallback(FallbackConfig{}, tt.steps...)))
				p.service.serve = tt.serve
				name, finished := "untouched", []error{}
				reply, err := p.client.UnaryCall(context.Background(), &testpb.SimpleRequest{}, AnsweredBy(&name),
					grpc.OnFinish(func(err error) { finished = append(finished, err) }))
				if status.Code(err) != tt.code || name != tt.by || len(finished) != 1 || finished[0] != err {
					t.Errorf("%v, by %q, finished %v; want %v by %q", err, name, finished, tt.code, tt.by)
				}
				if tt.by != "" && reply.GetUsername() != tt.by {
					t.Errorf("reply %v", reply)
				}
				if err != nil && err.Error() != "rpc error: code = "+tt.code.String()+" desc = as it is" {
					t.Errorf("not untouched: %v", err)
				}
				if _, ended := g.read(); tt.by != "" && !slices.Equal(ended, []core.Outcome{core.Success}) {
					t.Errorf("the guard outside heard %v", ended)
				}
			})
		})
	}
	if s, ok := status.FromError(before); !ok || s.Message() != "a" {
		t.Errorf("the second step was told of %v", before)
	}
}

// A caller who has left gets no other answer, and nothing is done for him; neither does a panic get one.
func TestFallbackIsNotForWhoHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ran := 0
		count := step(t, "a", func(context.Context, Info, any, error) (any, error) { ran++; return &testpb.SimpleResponse{}, nil })
		p := dial(t, Recover(RecoverConfig{Logger: quiet}), Fallback(FallbackConfig{}, count))
		p.service.serve = hangServe
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Second, cancel)
		if err := p.call(ctx, unary, nil); status.Code(err) != codes.Canceled || ran != 0 {
			t.Error(err, ran)
		}
		if err := p.call(timed(t, time.Second), unary, nil); status.Code(err) != codes.DeadlineExceeded || ran != 0 {
			t.Error(err, ran)
		}
		if err := p.call(ctx, unary, nil); status.Code(err) != codes.Canceled || ran != 0 {
			t.Error(err, ran)
		}
	})
	for _, f := range []func(){func() { panic("boom") }, runtime.Goexit} {
		i := Fallback(FallbackConfig{}, step(t, "a", says("a")))
		returned := false
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer func() { _ = recover() }()
			_ = i.UnaryClient(context.Background(), "/s/m", nil, nil, nil, func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
				f()
				return nil
			})
			returned = true
		}()
		if <-ended; returned {
			t.Error("a panic was replaced")
		}
	}
}

// Another place is asked only if the call was surely not executed, or may be executed twice.
func TestFallbackConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := dial(t, nil, nil)
		by := step(t, "replica", says(""))
		by.Run, by.Conn = nil, other.conn
		full := &ledger{kind: core.KindBulkhead, reject: core.Verdict{Reason: core.ReasonFull}}
		for _, tt := range []struct {
			name   string
			repeat func(Info) bool
			inner  *Interceptor
			code   codes.Code
		}{
			{"not to be repeated", nil, Chain(), codes.Unavailable},
			{"repeatable", everything, Chain(), codes.OK},
			{"not sent", nil, Guard(Guarded{Guard: full}), codes.OK},
		} {
			p := dial(t, nil, Chain(Fallback(FallbackConfig{Repeat: tt.repeat}, by), tt.inner))
			p.service.serve = answers(code(codes.Unavailable))
			var trailer metadata.MD
			reply, err := p.client.UnaryCall(context.Background(), &testpb.SimpleRequest{}, grpc.Trailer(&trailer))
			if status.Code(err) != tt.code || err == nil && reply.GetUsername() != "answered" {
				t.Errorf("%s: %v, %v", tt.name, reply, err)
			}
		}
		if n := other.service.called(); n != 2 {
			t.Errorf("%d calls at the other place", n)
		}
	})
}

// On a server the step's reply goes over the wire, its name if that is wanted, and whoever is outside hears of a success.
func TestFallbackOnAServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outside := &ledger{}
		var seen []Summary
		full := &ledger{kind: core.KindBulkhead, reject: core.Verdict{Reason: core.ReasonFull}}
		i := Chain(Observe(func(s Summary) { seen = append(seen, s) }), Guard(Guarded{Guard: outside}),
			Fallback(FallbackConfig{StepTrailer: "answered-by"}, step(t, "default", says("old"))))
		for _, inner := range []*Interceptor{Chain(), Guard(Guarded{Guard: full})} {
			p := dial(t, Chain(i, inner), nil)
			p.service.serve = answers(code(codes.Internal))
			var trailer metadata.MD
			reply, err := p.client.UnaryCall(context.Background(), &testpb.SimpleRequest{}, grpc.Trailer(&trailer))
			if err != nil || reply.GetUsername() != "old" || !slices.Equal(trailer["answered-by"], []string{"default"}) {
				t.Error(reply, err, trailer)
			}
			for k := clientStreaming; k < kinds; k++ {
				if err := p.call(context.Background(), k, nil); err == nil {
					t.Errorf("%v: a stream was answered", k)
				}
			}
		}
		if s := seen[0]; s.Code != codes.OK || s.Rejected || s.ErrorType != "" || seen[4].Rejected {
			t.Errorf("%+v", s)
		}
		if _, ended := outside.read(); ended[0] != core.Success || ended[4] != core.Success {
			t.Error(ended)
		}
		p := dial(t, Fallback(FallbackConfig{}, step(t, "nothing", fails(nil))), nil)
		p.service.serve = answers(code(codes.Internal))
		if err := p.call(context.Background(), unary, nil); status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "as it is") {
			t.Error(err)
		}
	})
}

// A step that breaks gives its place back, and breaks the call alone.
func TestFallbackStepsThatBreak(t *testing.T) {
	for _, f := range []func(){func() { panic("boom") }, runtime.Goexit} {
		s := step(t, "a", func(context.Context, Info, any, error) (any, error) { f(); return nil, nil })
		i := Fallback(FallbackConfig{}, s)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer func() { _ = recover() }()
			_ = i.UnaryClient(context.Background(), "/s/m", nil, nil, nil, func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
				return status.Error(codes.Unavailable, "")
			})
			t.Error("it went on")
		}()
		<-ended
		if n := s.By.Snapshot().Running; n != 0 {
			t.Errorf("%d places are gone", n)
		}
	}
}

// Health checks and what Skip names get no other answer, and mistakes of the program are found when it is wired.
func TestFallbackSkipsAndMistakes(t *testing.T) {
	down := func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
		return status.Error(codes.Unavailable, "")
	}
	i := Fallback(FallbackConfig{Skip: func(i Info) bool { return i.Method == "/s/skipped" }}, step(t, "a", says("a")))
	for method, want := range map[string]codes.Code{"/grpc.health.v1.Health/Check": codes.Unavailable, "/s/skipped": codes.Unavailable, "/s/m": codes.OK} {
		if err := i.UnaryClient(context.Background(), method, nil, &testpb.SimpleResponse{}, nil, down); status.Code(err) != want {
			t.Errorf("%s: %v", method, err)
		}
	}
	both := step(t, "a", says("a"))
	both.Conn = &grpc.ClientConn{}
	for name, steps := range map[string][]FallbackStep{"none": {}, "empty": {{}}, "no policy": {{Run: says("a")}}, "both": {both}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: taken", name)
				}
			}()
			Fallback(FallbackConfig{}, steps...)
		}()
	}
}

package grpcmw

import (
	"context"
	"errors"
	"runtime"
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
	"google.golang.org/protobuf/proto"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/cache"
)

func newCache(t testing.TB, h ...ReplyHooks) *ReplyCache { return cacheOf(t, cache.Config{}, h...) }

func cacheOf(t testing.TB, c cache.Config, h ...ReplyHooks) *ReplyCache {
	t.Helper()
	c.Size = 100
	if c.TTL == 0 {
		c.TTL, c.Jitter = time.Minute, core.None
	}
	var hooks ReplyHooks
	if len(h) > 0 {
		hooks = h[0]
	}
	x, err := cache.New("replies", c, hooks)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// cached is a Cache of every method.
func cached(_ testing.TB, c *ReplyCache) *Interceptor {
	return Cache(c, CacheConfig{Methods: everything})
}

// What is asked again is answered by a copy, until its time is over; other questions have answers of their own.
func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := dial(t, nil, cached(t, newCache(t)))
		ask := func(in *testpb.SimpleRequest, calls int) *testpb.SimpleResponse {
			t.Helper()
			finished := 0
			reply, err := p.client.UnaryCall(context.Background(), in, grpc.OnFinish(func(err error) { finished++ }))
			if n := p.service.called(); err != nil || reply.GetUsername() != "answered" || n != calls || finished != 1 {
				t.Errorf("%v, %v, %d calls, want %d; finished %d times", reply, err, n, calls, finished)
			}
			return reply
		}
		ask(&testpb.SimpleRequest{}, 1).Username = "scribbled over"
		ask(&testpb.SimpleRequest{}, 1)
		ask(&testpb.SimpleRequest{ResponseSize: 1}, 2)
		time.Sleep(time.Minute)
		ask(&testpb.SimpleRequest{}, 3)
		for k := clientStreaming; k < kinds; k++ {
			for range 2 {
				p.service.serve = func(_ context.Context, s grpc.ServerStream) error { return send(s, k) }
				if err := p.call(context.Background(), k, nil); err != nil {
					t.Error(k, err)
				}
			}
		}
		if n := p.service.called(); n != 9 {
			t.Errorf("%d calls: a stream was kept", n)
		}
	})
}

// Of many who ask at the same time one makes the call; one who leaves gets his own code, and the others their answer.
func TestCacheMakesOneCallForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &ledger{}
		p := dial(t, nil, Chain(cached(t, newCache(t)), Guard(Guarded{Guard: g})))
		p.service.serve = func(ctx context.Context, _ grpc.ServerStream) error {
			select {
			case <-time.After(time.Minute):
			case <-ctx.Done():
			}
			return ctx.Err()
		}
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Second, cancel)
		var all sync.WaitGroup
		in := &testpb.SimpleRequest{ResponseSize: 1}
		all.Go(func() { // who begins
			var trailer metadata.MD
			if _, err := p.client.UnaryCall(ctx, in, grpc.Trailer(&trailer)); status.Code(err) != codes.Canceled {
				t.Error(err)
			}
			in.ResponseSize, trailer = 2, nil // it is his again
		})
		synctest.Wait()
		for range 20 {
			all.Go(func() {
				reply, err := p.client.UnaryCall(context.Background(), &testpb.SimpleRequest{ResponseSize: 1})
				if err != nil || reply.GetUsername() != "answered" {
					t.Error(reply, err)
				}
			})
		}
		all.Go(func() {
			if err := unaryWith(p, timed(t, 2*time.Second), 1); status.Code(err) != codes.DeadlineExceeded {
				t.Error(err)
			}
		})
		all.Wait()
		if asked, ended := g.read(); asked != 1 || len(ended) != 1 || ended[0] != core.Success || p.service.called() != 1 {
			t.Error(asked, ended, p.service.called())
		}
	})
}

func unaryWith(p *pair, ctx context.Context, size int32) error {
	_, err := p.client.UnaryCall(ctx, &testpb.SimpleRequest{ResponseSize: size})
	return err
}

// Errors are not kept and go to all untouched; a stale reply covers up a failure, and no answer.
func TestCacheAndErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := dial(t, nil, cached(t, newCache(t)))
		p.service.serve = answers(code(codes.Unavailable), code(codes.NotFound), code(codes.OK))
		for i, want := range []codes.Code{codes.Unavailable, codes.NotFound, codes.OK, codes.OK} {
			var trailer metadata.MD
			_, err := p.client.UnaryCall(context.Background(), &testpb.SimpleRequest{}, grpc.Trailer(&trailer))
			if status.Code(err) != want || err != nil && err.Error() != "rpc error: code = "+want.String()+" desc = as it is" {
				t.Errorf("%d: %v", i, err)
			}
			if (trailer != nil) != (i < 3) {
				t.Errorf("%d: trailer %v", i, trailer)
			}
		}
		p = dial(t, nil, cached(t, cacheOf(t, cache.Config{TTL: time.Second, StaleIfError: time.Hour},
			ReplyHooks{Negative: func(err error) bool { return status.Code(err) == codes.NotFound }})))
		p.service.serve = answers(code(codes.OK), code(codes.Unavailable), code(codes.NotFound), code(codes.OK))
		for i, want := range []codes.Code{codes.OK, codes.OK, codes.NotFound, codes.NotFound} {
			if err := unaryWith(p, context.Background(), 0); status.Code(err) != want {
				t.Errorf("%d: %v", i, err)
			}
			time.Sleep(2 * time.Second)
		}
		if n := p.service.called(); n != 3 {
			t.Errorf("%d calls: not found was not remembered", n)
		}
	})
}

// What is not for the cache passes: methods that nobody has named, calls with credentials, nil and other messages, large ones.
func TestCacheLeavesAlone(t *testing.T) {
	c := newCache(t)
	calls := 0
	invoker := func(_ context.Context, _ string, _, reply any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
		calls++
		if m, ok := reply.(*testpb.SimpleResponse); ok && m != nil {
			m.Username = "answered"
		}
		return nil
	}
	type plainMessage struct{ n int }
	ctx := context.Background()
	in := &testpb.SimpleRequest{}
	broken := &testpb.SimpleRequest{ResponseStatus: &testpb.EchoStatus{Message: "\xff"}}
	for name, tt := range map[string]struct {
		conf       CacheConfig
		ctx        context.Context
		method     string
		req, reply any
		opts       []grpc.CallOption
		kept       bool
	}{
		"kept":            {CacheConfig{Methods: everything}, ctx, "/s/m", in, &testpb.SimpleResponse{}, nil, true},
		"not named":       {CacheConfig{}, ctx, "/grpc.testing.TestService/UnaryCall", in, &testpb.SimpleResponse{}, nil, false},
		"health":          {CacheConfig{Methods: everything}, ctx, "/grpc.health.v1.Health/Check", in, &testpb.SimpleResponse{}, nil, false},
		"authorization":   {CacheConfig{Methods: everything}, metadata.AppendToOutgoingContext(ctx, "Authorization", "x"), "/s/auth", in, &testpb.SimpleResponse{}, nil, false},
		"a cookie":        {CacheConfig{Methods: everything}, metadata.AppendToOutgoingContext(ctx, "cookie", "x"), "/s/cookie", in, &testpb.SimpleResponse{}, nil, false},
		"credentials":     {CacheConfig{Methods: everything}, ctx, "/s/creds", in, &testpb.SimpleResponse{}, []grpc.CallOption{grpc.PerRPCCredentials(nil)}, false},
		"varies":          {CacheConfig{Methods: everything, Vary: func(context.Context, Info) string { return "u" }}, metadata.AppendToOutgoingContext(ctx, "authorization", "x"), "/s/vary", in, &testpb.SimpleResponse{}, nil, true},
		"nil":             {CacheConfig{Methods: everything}, ctx, "/s/nil", nil, nil, nil, false},
		"nil of the type": {CacheConfig{Methods: everything}, ctx, "/s/nils", (*testpb.SimpleRequest)(nil), (*testpb.SimpleResponse)(nil), nil, false},
		"another codec":   {CacheConfig{Methods: everything}, ctx, "/s/codec", &plainMessage{1}, &plainMessage{}, nil, false},
		"large":           {CacheConfig{Methods: everything, MaxRequest: 3}, ctx, "/s/large", &testpb.SimpleRequest{Payload: &testpb.Payload{Body: []byte("abcd")}}, &testpb.SimpleResponse{}, nil, false},
		"not to encode":   {CacheConfig{Methods: everything}, ctx, "/s/broken", broken, &testpb.SimpleResponse{}, nil, false},
	} {
		i := Cache(c, tt.conf)
		calls = 0
		for range 2 {
			if err := i.UnaryClient(tt.ctx, tt.method, tt.req, tt.reply, nil, invoker, tt.opts...); err != nil {
				t.Error(name, err)
			}
		}
		if (calls == 1) != tt.kept {
			t.Errorf("%s: %d calls", name, calls)
		}
	}
	// One method with two types of reply: each gets its own.
	other := &testpb.StreamingOutputCallResponse{}
	if err := Cache(c, CacheConfig{Methods: everything}).UnaryClient(ctx, "/s/m", in, other, nil, invoker); err != nil {
		t.Error(err)
	}
	// A cache that is closed is none.
	if err := c.Close(ctx); err != nil {
		t.Fatal(err)
	}
	calls = 0
	if err := Cache(c, CacheConfig{Methods: everything}).UnaryClient(ctx, "/s/m2", in, &testpb.SimpleResponse{}, nil, invoker); err != nil || calls != 1 {
		t.Error(err, calls)
	}
	for _, f := range []func(){func() { Cache(nil) }, func() { Cache(c, CacheConfig{MaxRequest: -1}) }, func() { Cache(c, CacheConfig{}, CacheConfig{}) }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("a mistake was taken")
				}
			}()
			f()
		}()
	}
}

// The same fields, set in any order and maps included, are the same question; words of Vary are not.
func TestQuestion(t *testing.T) {
	m := Cache(newCache(t), CacheConfig{Methods: everything, Vary: func(ctx context.Context, _ Info) string { s, _ := ctx.Value(classKey{}).(string); return s }}).layers[0].(*caching)
	q := func(ctx context.Context, method string, in proto.Message) Question {
		q, _, _, ok := m.question(ctx, &clientCall{method: method}, in, &testpb.SimpleResponse{}, nil)
		if !ok {
			t.Fatal("passed")
		}
		return q
	}
	ctx, u := context.Background(), context.WithValue(context.Background(), classKey{}, "u")
	in := &testpb.LoadBalancerStatsResponse{RpcsByPeer: map[string]int32{}}
	for i := range 20 {
		in.RpcsByPeer[string(rune('a'+i))] = int32(i)
	}
	one := q(ctx, "/s/m", in)
	for range 50 {
		if q(ctx, "/s/m", proto.Clone(in)) != one {
			t.Fatal("the order of a map matters")
		}
	}
	if q(u, "/s/m", in) == one || q(ctx, "/s/n", in) == one || q(ctx, "/s/m", &testpb.SimpleRequest{}) == one {
		t.Error("different questions are one")
	}
}

// A call that breaks breaks for who made it; others get a dull error.
func TestCacheAndBrokenCalls(t *testing.T) {
	for name, f := range map[string]func(){"panic": func() { panic("secret") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := cached(t, newCache(t))
				invoker := func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
					time.Sleep(time.Second)
					f()
					return nil
				}
				var broke atomic.Int32
				var all sync.WaitGroup
				errs := make(chan error, 5)
				for range 5 {
					all.Go(func() {
						returned := false
						defer func() {
							if p := recover(); p != nil || !returned {
								broke.Add(1)
							}
						}()
						err := i.UnaryClient(context.Background(), "/s/m", &testpb.SimpleRequest{}, &testpb.SimpleResponse{}, nil, invoker)
						returned = true
						errs <- err
					})
				}
				all.Wait()
				close(errs)
				for err := range errs {
					if status.Code(err) != codes.Internal || status.Convert(err).Message() != "internal error" || errors.Unwrap(err) == nil {
						t.Error(err)
					}
				}
				if broke.Load() != 1 {
					t.Errorf("%d broke", broke.Load())
				}
			})
		})
	}
}

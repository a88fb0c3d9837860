package grpcmw

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/ratelimit"
)

// threeGuards are the guards that the bars are about.
func threeGuards(t testing.TB) []Guarded {
	limit, err := ratelimit.New("api", ratelimit.Config{Limit: 1e9}, ratelimit.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	slots, err := bulkhead.New("api", bulkhead.Config{Limit: 100}, bulkhead.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := breaker.New("api", breaker.Config{}, breaker.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return []Guarded{{Guard: limit}, {Guard: slots}, {Guard: b}}
}

// deaf is a call whose metadata nobody reads.
type deaf struct{}

func (deaf) Method() string               { return "" }
func (deaf) SetHeader(metadata.MD) error  { return nil }
func (deaf) SendHeader(metadata.MD) error { return nil }
func (deaf) SetTrailer(metadata.MD) error { return nil }

// A chain costs one allocation on a server and two on a client; guards add none, and alone there is none on a server.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx := grpc.NewContextWithServerTransportStream(context.Background(), deaf{})
	info := &grpc.UnaryServerInfo{FullMethod: "/shop.Orders/Place"}
	handler := func(context.Context, any) (any, error) { return nil, nil }
	invoker := func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return nil }
	list := threeGuards(t)
	for _, tt := range []struct {
		name           string
		i              *Interceptor
		server, client float64
	}{
		{"nothing", Chain(), 1, 1},
		{"recover", Recover(), 1, 1},
		{"rate limit", Guard(list[0]), 0, 2},
		{"bulkhead", Guard(list[1]), 0, 2},
		{"breaker", Guard(list[2]), 0, 2},
		{"all", Chain(Recover(), Guard(list...)), 1, 2},
		{"all with ids", Chain(Recover(), RequestID(), Guard(list...)), 2, 2},
	} {
		if n := testing.AllocsPerRun(200, func() { _, _ = tt.i.UnaryServer(ctx, nil, info, handler) }); n != tt.server {
			t.Errorf("%s: %v allocations on a server, want %v", tt.name, n, tt.server)
		}
		if n := testing.AllocsPerRun(200, func() { _ = tt.i.UnaryClient(ctx, info.FullMethod, nil, nil, nil, invoker) }); n != tt.client {
			t.Errorf("%s: %v allocations on a client, want %v", tt.name, n, tt.client)
		}
	}
}

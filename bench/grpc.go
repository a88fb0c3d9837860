package main

import (
	"context"
	"net"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/failsafegrpc"
	ggmprometheus "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core/timeout"
	"github.com/mw-go/mw/grpcmw"
)

func grpcRows() []Row {
	rows := []Row{{
		Name: "GRPCStack", About: "recover, request id (ours), metrics, deadline, rate limit, bulkhead and breaker before a unary handler",
		Contestants: []Contestant{
			{Ours, func() Subject { return Subject{Loop: calls(oursGRPCStack().UnaryServer)} }},
			{"ggmfailsafe", func() Subject { return Subject{Loop: calls(chained(peersGRPCStack()))} }},
		},
	}}
	rows = append(rows, grpcGuardRows()...)
	rows = append(rows, grpcPartRows()...)
	return append(rows, grpcWireRows()...)
}

// oursGRPCStack is what ServerOptions puts together, without the log.
func oursGRPCStack() *grpcmw.Interceptor {
	hour := mw.Must(timeout.New("bench", timeout.Config{Limit: time.Hour}, timeout.Hooks{}))
	return grpcmw.Chain(
		grpcmw.Recover(),
		grpcmw.RequestID(),
		oursGRPCMetrics(false),
		grpcmw.Deadline(hour),
		grpcmw.Guard(
			grpcmw.Guarded{Guard: grpcLimit()}, grpcmw.Guarded{Guard: newBulkhead()}, grpcmw.Guarded{Guard: grpcBreaker()},
		),
	)
}

// peersGRPCStack is the same as far as the peers have it, in the order of their documentation.
func peersGRPCStack() []grpc.UnaryServerInterceptor {
	return []grpc.UnaryServerInterceptor{
		ggmMetrics(ggmprometheus.WithServerHandlingTimeHistogram()),
		recovery.UnaryServerInterceptor(),
		deadline,
		failsafegrpc.NewUnaryServerInterceptor[any](failsafe.Policy[any](fsLimit()), fsSlots(), fsBreaker()),
	}
}

// deadline is what services write by hand: the peers have none on servers.
func deadline(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	return handler(ctx, req)
}

// chained is grpc.ChainUnaryInterceptor without its server.
func chained(list []grpc.UnaryServerInterceptor) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return list[0](ctx, req, info, rest(list, 0, info, handler))
	}
}

func rest(list []grpc.UnaryServerInterceptor, at int, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) grpc.UnaryHandler {
	if at == len(list)-1 {
		return handler
	}
	return func(ctx context.Context, req any) (any, error) {
		return list[at+1](ctx, req, info, rest(list, at+1, info, handler))
	}
}

// calls returns a loop that makes one unary call after another through an interceptor to a handler, as a server of gRPC does,
// and counts those that are answered. There is no network and no codec: see GRPCWire.
func calls(i grpc.UnaryServerInterceptor) func(from, n int) int {
	info := &grpc.UnaryServerInfo{FullMethod: "/shop.Orders/Place"}
	response := any(info) // whatever
	handler := func(context.Context, any) (any, error) { return response, nil }
	ctx := grpc.NewContextWithServerTransportStream(context.Background(), deaf{})
	ctx = metadata.NewIncomingContext(ctx, metadata.Pairs("user-agent", "grpc-go/1.85.0", ":authority", "shop"))
	ctx = peer.NewContext(ctx, &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(198, 51, 100, 7), Port: 40000}})
	return func(_, n int) (admitted int) {
		for range n {
			if got, err := i(ctx, nil, info, handler); err == nil && got == response {
				admitted++
			}
		}
		return admitted
	}
}

// deaf is a call whose metadata nobody reads.
type deaf struct{}

func (deaf) Method() string               { return "/shop.Orders/Place" }
func (deaf) SetHeader(metadata.MD) error  { return nil }
func (deaf) SendHeader(metadata.MD) error { return nil }
func (deaf) SetTrailer(metadata.MD) error { return nil }

package grpcmw

import (
	"context"
	"testing"

	"google.golang.org/grpc"
)

func BenchmarkServerGuards(b *testing.B) {
	ctx, info := context.Background(), &grpc.UnaryServerInfo{FullMethod: "/shop.Orders/Place"}
	handler := func(context.Context, any) (any, error) { return nil, nil }
	list := threeGuards(b)
	for name, i := range map[string]*Interceptor{
		"none": Chain(), "limit": Guard(list[0]), "bulkhead": Guard(list[1]), "breaker": Guard(list[2]), "all": Guard(list...),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = i.UnaryServer(ctx, nil, info, handler)
			}
		})
	}
}

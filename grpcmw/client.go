package grpcmw

import (
	"context"

	"google.golang.org/grpc"
)

// clientCall is one call on a client: the chain and what is at its end. Immutable, for attempts may run side by side.
type clientCall struct {
	layers   []layer
	method   string
	exempt   bool
	cc       *grpc.ClientConn
	invoker  grpc.UnaryInvoker
	desc     *grpc.StreamDesc // nil for a unary call
	streamer grpc.Streamer
}

// UnaryClient is a grpc.UnaryClientInterceptor.
func (i *Interceptor) UnaryClient(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
	invoker grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	c := &clientCall{layers: i.layers, method: method, exempt: exempt(method), cc: cc, invoker: invoker}
	return c.unary(ctx, 0, req, reply, opts)
}

// StreamClient is a grpc.StreamClientInterceptor.
func (i *Interceptor) StreamClient(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
	streamer grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	c := &clientCall{layers: i.layers, method: method, exempt: exempt(method), cc: cc, desc: desc, streamer: streamer}
	return c.stream(ctx, 0, opts)
}

// unary makes the call through the layers from number at on.
func (c *clientCall) unary(ctx context.Context, at int, req, reply any, opts []grpc.CallOption) error {
	for ; at < len(c.layers); at++ {
		if l, ok := c.layers[at].(unaryClientLayer); ok {
			return l.unaryClient(ctx, c, at, req, reply, opts)
		}
	}
	return c.invoker(ctx, c.method, req, reply, c.cc, opts...)
}

// stream opens the stream through the layers from number at on.
func (c *clientCall) stream(ctx context.Context, at int, opts []grpc.CallOption) (grpc.ClientStream, error) {
	for ; at < len(c.layers); at++ {
		if l, ok := c.layers[at].(streamClientLayer); ok {
			return l.streamClient(ctx, c, at, opts)
		}
	}
	return c.streamer(ctx, c.desc, c.cc, c.method, opts...)
}

// target is whom the call goes to, as dialled.
func (c *clientCall) target() string {
	if c.cc == nil { // an interceptor may be called by a test, or by a proxy, without one
		return ""
	}
	return c.cc.Target()
}

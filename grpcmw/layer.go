package grpcmw

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
)

// Interceptor is a policy, or a Chain of them, as the four interceptors of gRPC: its methods UnaryServer, StreamServer,
// UnaryClient and StreamClient are what grpc.UnaryInterceptor and its like take. A shape that a policy has nothing to say
// to passes through it. Immutable, safe for concurrent use.
type Interceptor struct{ layers []layer }

// layer is a policy in one place of a chain. It implements at least one of the shapes below.
type layer interface {
	// layer returns its name, such as "Recover".
	layer() string
}

// serverLayer handles a call on a server: it calls c.next(at) or answers itself. Unary calls and streams pass through the
// same code; what differs is behind c.
type serverLayer interface {
	layer
	server(c *serverCall, at int) error
}

// unaryClientLayer makes a unary call on a client: it calls c.unary(ctx, at+1, ...), never, once or often, also at the same
// time.
type unaryClientLayer interface {
	layer
	unaryClient(ctx context.Context, c *clientCall, at int, req, reply any, opts []grpc.CallOption) error
}

// streamClientLayer opens a stream on a client, by c.stream(ctx, at+1, ...).
type streamClientLayer interface {
	layer
	streamClient(ctx context.Context, c *clientCall, at int, opts []grpc.CallOption) (grpc.ClientStream, error)
}

func single(l layer) *Interceptor { return &Interceptor{[]layer{l}} }

// Chain returns the interceptors as one, the first outermost. It is made once and costs one allocation a call, however
// many policies are in it; grpc.ChainUnaryInterceptor costs one for each. It panics on a nil one, which is a mistake of the
// program.
func Chain(list ...*Interceptor) *Interceptor {
	c := &Interceptor{}
	for i, one := range list {
		if one == nil {
			panic(fmt.Sprintf("grpcmw: Chain: interceptor %d is nil", i+1))
		}
		c.layers = append(c.layers, one.layers...)
	}
	return c
}

// Layers returns the names of the policies, outermost first.
func (i *Interceptor) Layers() []string {
	names := make([]string, len(i.layers))
	for n, l := range i.layers {
		names[n] = l.layer()
	}
	return names
}

// atMostOne returns the only Config given, or the zero Config. More than one is a mistake of the program.
func atMostOne[C any](name string, c []C) (zero C) {
	switch len(c) {
	case 0:
		return zero
	case 1:
		return c[0]
	default:
		panic(fmt.Sprintf("grpcmw: %s: %d Configs given, at most one is meant", name, len(c)))
	}
}

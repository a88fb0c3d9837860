package main

import (
	"context"
	"net"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/test/bufconn"

	"github.com/mw-go/mw/grpcmw/trace"
)

// grpcWireRows make whole calls, from a client to a server over memory.
func grpcWireRows() []Row {
	wire := func(name string, options func() []grpc.ServerOption) Contestant {
		return Contestant{name, func() Subject { return overMemory(options()...) }}
	}
	bare := wire("bare", func() []grpc.ServerOption { return nil })
	return []Row{{
		Name: "GRPCWireStack", About: "a unary call from client to server over memory, the server with the stack of GRPCStack",
		Contestants: []Contestant{
			wire(Ours, func() []grpc.ServerOption {
				return []grpc.ServerOption{grpc.UnaryInterceptor(oursGRPCStack().UnaryServer)}
			}),
			bare,
			wire("ggmfailsafe", func() []grpc.ServerOption {
				return []grpc.ServerOption{grpc.ChainUnaryInterceptor(peersGRPCStack()...)}
			}),
		},
	}, {
		Name: "GRPCWireTrace", About: "the same with tracing while no provider is set",
		Contestants: []Contestant{
			wire(Ours, func() []grpc.ServerOption { return []grpc.ServerOption{trace.ServerOption()} }),
			wire("otelgrpc", func() []grpc.ServerOption { return []grpc.ServerOption{grpc.StatsHandler(otelgrpc.NewServerHandler())} }),
			bare,
		},
	}}
}

// answeringCalls answers every call.
type answeringCalls struct {
	testpb.UnimplementedTestServiceServer
}

func (answeringCalls) UnaryCall(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return &testpb.SimpleResponse{Username: "Ada"}, nil
}

// overMemory is a client that makes one unary call after another to a server with the options.
func overMemory(options ...grpc.ServerOption) Subject {
	server := grpc.NewServer(options...)
	testpb.RegisterTestServiceServer(server, answeringCalls{})
	listener := bufconn.Listen(1 << 20)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	conn, err := grpc.NewClient("passthrough:shop", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		panic(err)
	}
	client := testpb.NewTestServiceClient(conn)
	return Subject{
		Loop: func(_, n int) (admitted int) {
			for range n {
				response, err := client.UnaryCall(context.Background(), &testpb.SimpleRequest{})
				if err == nil && response.Username == "Ada" {
					admitted++
				}
			}
			return admitted
		},
		Close: func() {
			_ = conn.Close()
			server.Stop()
			<-served
		},
	}
}

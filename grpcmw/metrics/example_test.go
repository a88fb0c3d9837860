package metrics_test

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/grpcmw"
	"github.com/mw-go/mw/grpcmw/metrics"
)

// Calls under the names that dashboards made for go-grpc-middleware ask for.
func ExampleServer_compatible() {
	registry := prometheus.NewRegistry()
	measure := mw.Must(metrics.Server(metrics.Config{Registerer: registry, Compatible: true}))
	chain := grpcmw.Chain(grpcmw.Recover(), measure)

	place := func(context.Context, any) (any, error) { return nil, status.Error(codes.NotFound, "no such article") }
	_, _ = chain.UnaryServer(context.Background(), nil, &grpc.UnaryServerInfo{FullMethod: "/shop.Orders/Place"}, place)

	families, _ := registry.Gather() // what promhttp.HandlerFor(registry, ...) serves
	for _, f := range families {
		for _, m := range f.GetMetric() {
			fmt.Print(f.GetName())
			for _, l := range m.GetLabel() {
				fmt.Printf(" %s=%s", l.GetName(), l.GetValue())
			}
			fmt.Println(":", m.GetCounter().GetValue())
		}
	}
	// Output:
	// grpc_server_handled_total grpc_code=NotFound grpc_method=Place grpc_service=shop.Orders grpc_type=unary: 1
	// grpc_server_msg_received_total grpc_method=Place grpc_service=shop.Orders grpc_type=unary: 1
	// grpc_server_msg_sent_total grpc_method=Place grpc_service=shop.Orders grpc_type=unary: 0
	// grpc_server_started_total grpc_method=Place grpc_service=shop.Orders grpc_type=unary: 1
}

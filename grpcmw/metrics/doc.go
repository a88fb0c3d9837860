// Package metrics counts and times calls over gRPC for Prometheus, on both sides.
//
//	server, err := metrics.Server(metrics.Config{Registerer: registry})
//	client, err := metrics.Client(metrics.Config{Registerer: registry})
//
// Both return a policy, for Chain, grpcmw.ServerConfig.Observe and grpcmw.ClientConfig.Observe. The names are those of
// OpenTelemetry's semantic conventions in Prometheus' form:
//
//	rpc_server_call_duration_seconds    histogram: 5 ms to 10 s, the boundaries that OpenTelemetry advises
//	    rpc_system_name                 grpc
//	    rpc_method                      shop.Orders/Place; _OTHER for methods beyond the bounds
//	    rpc_response_status_code        OK, NOT_FOUND, ...; _OTHER for numbers that gRPC does not know
//	    error_type                      panic, timeout, canceled, the reason of a rejection by one of our guards, or the code
//	                                    if it is the server's fault; empty otherwise
//	rpc_server_active_calls             gauge, by rpc_system_name and rpc_method
//	rpc_client_call_duration_seconds    histogram, to the end of the stream; error_type for every code but OK
//	    server_address, server_port     whom the call went to, as dialled; _OTHER beyond Config.MaxTargets
//	rpc_client_active_calls
//
// So a rejection by a guard, a client that left and a handler's own failure can be told apart in alerts. Each call that begins
// ends, once, in the counts: also one that panics, and a client's stream that nobody reads to the end.
//
// # The names of go-grpc-middleware
//
// With Config.Compatible they are those of go-grpc-middleware's provider for Prometheus, with its labels and boundaries, so that
// dashboards and alerts stay as they are:
//
//	grpc_server_started_total, grpc_server_msg_received_total, grpc_server_msg_sent_total    grpc_type, grpc_service, grpc_method
//	grpc_server_handled_total                                                                and grpc_code: OK, NotFound, ...
//	grpc_server_handling_seconds                                                             if Config.HandlingTime is set
//
// and the same of grpc_client. What differs is what is measured wrong there: streams whose context ends, panics outside of which
// the metrics stand, and streams that are read past their end. Two policies, one with each set of names, may stand side by side.
//
// # Bounds
//
// A server serves the methods that it has, but with grpc.UnknownServiceHandler clients choose their names. Config.Services says
// which there are; without it the first Config.MaxMethods have a name of their own. The combinations of labels that have series
// of their own are at most Config.MaxSeries; those beyond share the one whose labels are all _OTHER.
//
// # Cost
//
// In a combination that was seen before nothing is allocated, neither in a chain nor alone on a server.
package metrics

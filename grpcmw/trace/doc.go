// Package trace puts spans of OpenTelemetry round calls over gRPC, on both sides, by otelgrpc.
//
//	server := grpc.NewServer(append(options, trace.ServerOption())...)
//	conn, err := grpc.NewClient(target, append(options, trace.DialOption())...)
//
// What otelgrpc does it does, and each attempt of a Retry has a span of its own. What is dear or dangerous in it is mended here:
//
//   - If no TracerProvider is set when the option is made, the option is empty and costs nothing: gRPC gathers statistics for
//     whoever asks, seventeen allocations a call on a server, even if nobody reads them. Config.Late is for providers that are
//     set later.
//   - A call that began before a provider was set has no span, and its end does not end the span of its caller.
//   - Health checks, reflection and channelz have no spans unless Config.Everything is set.
//   - Several tracestate fields are read as one; more than 32 members, 8192 bytes or a traceparent sent twice are not
//     taken over, and neither is baggage of more than 8192 bytes.
//   - It makes no metrics; packages metrics and otelmetrics do.
//
// The handlers stand outside of all interceptors, so what the policies of grpcmw log has the trace in its context.
package trace

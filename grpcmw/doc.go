// Package grpcmw puts the guards of mw in front of gRPC handlers and behind gRPC clients, for unary calls and streams.
//
// # Shape
//
// Every policy is one value, an *Interceptor, whose four methods are the four interceptors of gRPC:
//
//	guard := grpcmw.Breaker(b)
//	grpc.NewServer(grpc.UnaryInterceptor(guard.UnaryServer), grpc.StreamInterceptor(guard.StreamServer))
//	grpc.NewClient(target, grpc.WithUnaryInterceptor(guard.UnaryClient), grpc.WithStreamInterceptor(guard.StreamClient))
//
// Chain makes one of several, outermost first, which costs one allocation a call on a server and one on a client, however
// many policies are in it:
//
//	Recover > RequestID > Guard(rate limit, bulkhead, breaker) > handler
//
// # One permit a call, given back once
//
// A server's call holds its permits until the handler returns, panics or calls runtime.Goexit. A client's stream holds them
// until gRPC reports its end (grpc.OnFinish), which it does once for every stream, read to the end or not; counting what
// RecvMsg returns misses streams that are cancelled, and counts others twice. The order of the policies does not matter to
// that: each keeps its books in a defer.
//
// On a stream the first response (a message, or headers) settles a breaker's probe, so that a watch that lasts a day does not
// hold a half-open breaker for a day; the final status is the one outcome of the call.
//
// # Rejections
//
//	rate limit        ResourceExhausted   ErrorInfo RATE_LIMITED, RetryInfo, QuotaFailure
//	breaker           Unavailable         ErrorInfo BREAKER_OPEN, RetryInfo
//	bulkhead          ResourceExhausted   ErrorInfo CONCURRENCY_LIMIT, RetryInfo when known
//	adaptive limit,   Unavailable         ErrorInfo OVERLOADED, RetryInfo
//	throttle
//	waited in vain    as its guard        ErrorInfo QUEUE_TIMEOUT
//	deadline          DeadlineExceeded    ErrorInfo DEADLINE_TOO_SHORT, SERVER_TIMEOUT
//	panic             Internal            ErrorInfo PANIC
//
// The metadata of the ErrorInfo name the policy. When it is known when to come again, the trailer grpc-retry-pushback-ms says
// it too, for gRPC's own retries; it is -1 if the caller's deadline comes first. Response headers are left alone: they would
// commit the attempt. A rejection on a client has neither, since no server was asked; it is a *core.Rejection for errors.As,
// and every guard outside ignores it. Errors of a handler or a server are passed on untouched.
//
// # Exempt
//
// Health checks, reflection and channelz pass every policy unless it is told otherwise.
package grpcmw

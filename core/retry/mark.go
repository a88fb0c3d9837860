package retry

import "context"

type markKey struct{}

// Attempt returns which attempt of a call ctx belongs to: 1 for the first, or if nobody retries. Adapters send a number
// above 1 on, as gRPC does in grpc-previous-rpc-attempts (which is one less), so that the retries of the next tier know.
func Attempt(ctx context.Context) int {
	if n, ok := ctx.Value(markKey{}).(int); ok {
		return n
	}
	return 1
}

// WithAttempt returns ctx marked as attempt n of a call, for adapters that have received the number from a peer that they
// trust. While it is marked with 2 or more, retries within see an exhausted budget. n below 2 returns ctx as it is.
func WithAttempt(ctx context.Context, n int) context.Context {
	if n < 2 {
		return ctx
	}
	return context.WithValue(ctx, markKey{}, n)
}

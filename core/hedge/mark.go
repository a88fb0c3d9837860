package hedge

import "context"

type markKey struct{}

// once is the mark of a call that must not be made again; others are the number of an attempt.
const once = -1

// Once returns ctx marked: calls made with it, or with a context made from it, have one attempt. It is for calls that must not
// be made twice, on a path where others may.
func Once(ctx context.Context) context.Context { return context.WithValue(ctx, markKey{}, once) }

// Attempt returns which attempt of its call ctx belongs to: 1 for the first, and where nobody hedges. A function that picks a
// replica picks another one for another attempt.
func Attempt(ctx context.Context) int { return max(mark(ctx), 1) }

func mark(ctx context.Context) int {
	n, _ := ctx.Value(markKey{}).(int)
	return n
}

// withAttempt marks the context of an extra attempt. Hedges within see the mark and make one attempt only.
func withAttempt(ctx context.Context, n int) context.Context {
	return context.WithValue(ctx, markKey{}, n)
}

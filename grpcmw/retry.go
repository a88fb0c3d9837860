package grpcmw

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/mw-go/mw/core/retry"
)

// RetryConfig says which calls are made again. The zero value is the default.
type RetryConfig struct {
	// Codes are those after which another attempt makes sense. nil means Unavailable, and ResourceExhausted, which in any
	// case needs a RetryInfo or a pushback that says when. Aborted means that a transaction has to begin anew, which is the
	// caller's business; DeadlineExceeded, when it is not ours, that the server may still be at work.
	Codes []codes.Code
	// Methods says which methods may be called again. nil means all, as in a service config: leave out those whose effect must
	// not happen twice, for Unavailable does not say that it has not.
	Methods func(i Info) bool
}

// Retry returns the policy that makes unary calls again that fail, as r says: after its delays, within its budget, before the
// deadline. RetryInfo and the pushback trailer of the server, whichever asks for longer, are the least delay; a pushback
// below zero, or one that cannot be read, ends the call. Each attempt says in grpc-previous-rpc-attempts how many were
// before it, decodes into an empty reply, and has metadata, header, trailer and peer of its own; the caller gets those of
// the last one, and its OnFinish once. The error is that of the last attempt, untouched; if the caller leaves during a delay,
// Canceled or DeadlineExceeded, which unwraps to it.
//
// A stream is opened again as long as it could not be opened; r's AttemptTimeout is not for streams. Once it is open, nothing is repeated: what was sent may have been
// heard, and what was received was read.
//
// Rejections of our own guards are not repeated, unless r is configured to. gRPC's own retries, of the service config,
// multiply with these: DialOptions turns them off (grpc.WithDisableRetry), and so should you.
//
// On a server it marks the context of a call that is a further attempt of its caller, so that retries behind it make one
// attempt each. At most one Config.
func Retry(r *retry.Retry, c ...RetryConfig) *Interceptor {
	if r == nil {
		panic("grpcmw: Retry: nil Retry")
	}
	m := &retries{retry: r, RetryConfig: atMostOne("Retry", c)}
	if m.Codes == nil {
		m.Codes = []codes.Code{codes.Unavailable, codes.ResourceExhausted}
	}
	return single(m)
}

type retries struct {
	retry *retry.Retry
	RetryConfig
}

func (*retries) layer() string { return "Retry" }

// again reports whether another attempt makes sense after a code.
func (m *retries) again(code codes.Code) bool { return slices.Contains(m.Codes, code) }

func (m *retries) server(c *serverCall, at int) error {
	if n := incomingAttempt(c.ctx); n > 1 {
		outer := c.ctx
		c.ctx = retry.WithAttempt(outer, n)
		defer func() { c.ctx = outer }()
	}
	return c.next(at)
}

func (m *retries) unaryClient(ctx context.Context, c *clientCall, at int, req, reply any, opts []grpc.CallOption) error {
	if m.Methods != nil && !m.Methods(c.info()) {
		return c.unary(ctx, at+1, req, reply, opts)
	}
	l := lift(opts)
	var last *heard
	_, err := retry.Do(ctx, m.retry, func(ctx context.Context) (struct{}, error) {
		if p, ok := reply.(proto.Message); ok && last != nil && !isNil(reply) {
			proto.Reset(p)
		}
		last = &heard{}
		err := c.unary(numbered(ctx), at+1, req, reply, l.options(last))
		return struct{}{}, judge(ctx, err, last.trailer, m.again)
	})
	err = given(ctx, err)
	l.end(last, err)
	return err
}

// numbered tells the server which attempt it is. ctx is made anew for each from the caller's, so nothing piles up.
func numbered(ctx context.Context) context.Context {
	n := retry.Attempt(ctx)
	if n <= 1 {
		return ctx
	}
	if md, ok := metadata.FromOutgoingContext(ctx); ok && len(md[keyAttempts]) > 0 { // the caller knows better
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, keyAttempts, strconv.Itoa(n-1))
}

// given is the error that the caller gets.
func given(ctx context.Context, err error) error {
	failed, ok := errors.AsType[*retry.Error](err)
	if !ok {
		return plain(err)
	}
	switch {
	case failed.Last == nil:
		return status.FromContextError(ctx.Err()).Err()
	case failed.Attempts > 0 && (failed.Reason == retry.ReasonLeft || failed.Reason == retry.ReasonExpired) && Status(failed.Last).Code() != status.FromContextError(ctx.Err()).Code():
		return &failure{status.FromContextError(ctx.Err()), plain(failed.Last)}
	default:
		return plain(failed.Last)
	}
}

func (m *retries) streamClient(ctx context.Context, c *clientCall, at int, opts []grpc.CallOption) (grpc.ClientStream, error) {
	if m.Methods != nil && !m.Methods(c.info()) {
		return c.stream(ctx, at+1, opts)
	}
	rest, finish := liftFinish(opts)
	var o *opening
	attempt := func(own context.Context) (grpc.ClientStream, error) {
		o = &opening{finish: finish}
		// The stream outlives the attempt at opening it, so its context is the caller's with the number of the attempt.
		s, err := c.stream(numbered(retry.WithAttempt(ctx, retry.Attempt(own))), at+1, withFinish(o.end, rest))
		return s, judge(ctx, err, nil, m.again)
	}
	s, err := retry.Do(ctx, m.retry, attempt)
	if err != nil {
		err = given(ctx, err)
		for _, f := range finish {
			f(err)
		}
		return nil, err
	}
	o.open()
	return s, nil
}

// opening is an attempt at opening a stream. What gRPC says of the end of one that was not opened is not the end of the call.
type opening struct {
	finish []func(error)

	mu     sync.Mutex
	opened bool
	ended  bool
	err    error
}

// end hears that the stream is over, which may be before anybody has it.
func (o *opening) end(err error) {
	o.mu.Lock()
	o.ended, o.err = true, err
	opened := o.opened
	o.mu.Unlock()
	if opened {
		o.tell()
	}
}

// open says that the caller has the stream.
func (o *opening) open() {
	o.mu.Lock()
	o.opened = true
	ended := o.ended
	o.mu.Unlock()
	if ended {
		o.tell()
	}
}

func (o *opening) tell() {
	for _, f := range o.finish {
		f(o.err)
	}
}

package grpcmw

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/timeout"
)

// TimeoutConfig bounds streams, whose whole life says nothing. Each bound is a machine of its own, so that the configuration
// tunes it: nil bounds nothing. The zero value bounds unary calls alone.
type TimeoutConfig struct {
	// First is how long the first response of a stream may take: a message, or on a server headers.
	First *timeout.Timeout
	// Idle is how long a stream may go without a message in either direction.
	Idle *timeout.Timeout
	// MaxAge is how long a stream may live. On a client it gives back the permits of a stream that nobody reads or ends; on
	// a server it lets clients spread anew over the replicas.
	MaxAge *timeout.Timeout
	// Skip exempts calls. nil exempts none. Health checks, reflection and channelz are exempt before it is asked.
	Skip func(i Info) bool
}

// Timeout returns the policy that bounds how long calls take: unary ones by t, which may be nil, and streams by the Config.
// On a client it bounds what is inside of it: inside a retry each attempt, outside of one all of them.
//
// It is cooperative. A unary handler runs until it looks at its context; if it then fails, the client gets DeadlineExceeded
// with the ErrorInfo reason SERVER_TIMEOUT, and if it succeeds its reply, late. The handler of a stream gets the same
// error from RecvMsg and SendMsg at the moment when the time is over, and has to return; what RecvMsg was to fill must not
// be used then. A call whose caller has too little time left is refused with DeadlineExceeded and DEADLINE_TOO_SHORT, as t
// is configured.
//
// On a client the error is DeadlineExceeded too, matches core.ErrTimeout, and is a Timeout for guards inside and outside, so
// that a backend that hangs opens a breaker. At most one Config.
func Timeout(t *timeout.Timeout, c ...TimeoutConfig) *Interceptor {
	m := &timeouts{unary: t, TimeoutConfig: atMostOne("Timeout", c)}
	if t == nil && m.First == nil && m.Idle == nil && m.MaxAge == nil {
		panic("grpcmw: Timeout: nothing to bound")
	}
	return single(m)
}

type timeouts struct {
	unary *timeout.Timeout
	TimeoutConfig
}

func (*timeouts) layer() string { return "Timeout" }

const errorTimeout = "timeout"

// skips reports whether a call is none of its business.
func (m *timeouts) skips(i Info, exempt bool) bool {
	if exempt || m.Skip != nil && m.Skip(i) {
		return true
	}
	if i.Stream {
		return m.First == nil && m.Idle == nil && m.MaxAge == nil
	}
	return m.unary == nil
}

// left is how long the caller waits, as far as its context says.
func left(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return time.Until(deadline)
	}
	return core.Never
}

func (m *timeouts) server(c *serverCall, at int) (err error) {
	i := Info{Method: c.method, Stream: c.info != nil}
	if m.skips(i, c.exempt) {
		return c.next(at)
	}
	if i.Stream {
		return m.watch(c.ctx).serve(c, at)
	}
	return c.within(m.unary, at)
}

// within runs the rest of a unary call in t's time.
func (c *serverCall) within(t *timeout.Timeout, at int) (err error) {
	outer := c.ctx
	a, d := t.Admit(c.now(), left(outer))
	if !d.Admitted() {
		return c.reject(d)
	}
	ctx, cancel := a.Context(outer)
	o := core.Failure // of a panic
	defer func() {
		cancel()
		c.ctx = outer // what is outside is not over when this time is
		a.Done(0, o)
	}()
	c.ctx = ctx
	err = c.next(at)
	if err != nil && a.Over(ctx) {
		o = core.Timeout
		c.fail(errorTimeout)
		return timedOut("timed out", context.Cause(ctx), err)
	}
	o = sampled(ctx, err)
	return err
}

// sampled is an outcome for the sample of an adaptive limit: a timeout further down is none of ours.
func sampled(ctx context.Context, err error) core.Outcome {
	if o := Classify(ctx, err); o != core.Timeout {
		return o
	}
	return core.Failure
}

// timedOut is the error of a call that our limit ended. It unwraps to what ended it and to what came of that.
func timedOut(text string, cause, err error) error {
	return &failure{errorInfo(codes.DeadlineExceeded, text, ReasonServerTimeout), errors.Join(cause, err)}
}

func (m *timeouts) unaryClient(ctx context.Context, c *clientCall, at int, req, reply any, opts []grpc.CallOption) error {
	if m.skips(c.info(), c.exempt) {
		return c.unary(ctx, at+1, req, reply, opts)
	}
	return within(ctx, m.unary, func(ctx context.Context) error { return c.unary(ctx, at+1, req, reply, opts) })
}

// within makes a unary call in t's time.
func within(ctx context.Context, t *timeout.Timeout, call func(context.Context) error) error {
	a, d := t.Admit(0, left(ctx))
	if !d.Admitted() {
		return rejection(d, false)
	}
	inner, cancel := a.Context(ctx)
	defer cancel()
	o := core.Failure // of a panic
	defer func() { a.Done(0, o) }()
	err := call(inner)
	if err != nil && a.Over(inner) {
		o = core.Timeout
		return ours(context.Cause(inner), err)
	}
	o = sampled(inner, err)
	return err
}

// ours is the error on a client of a call that our limit ended.
func ours(cause, err error) error {
	return &failure{withDetails(codes.DeadlineExceeded, cause.Error()), errors.Join(cause, err)}
}

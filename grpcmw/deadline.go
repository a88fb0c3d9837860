package grpcmw

import (
	"context"

	"google.golang.org/grpc"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/timeout"
)

// DeadlineConfig is the Config of Deadline. The zero value is the default.
type DeadlineConfig struct {
	// Skip exempts calls. nil exempts none. Health checks, reflection and channelz are exempt before it is asked.
	Skip func(i Info) bool
}

// Deadline returns the policy that keeps the deadline a caller has sent within bounds, for unary calls and streams: no later
// than t's Limit from now, and earlier by t's Margin, so that the answer is there in time; a caller who has less left than
// t's MinRest, or than calls take at its RestQuantile, is refused at the door with DeadlineExceeded and the ErrorInfo
// reason DEADLINE_TOO_SHORT, before anything is done for it. A call without a deadline gets the Limit, a stream without
// one none: see Timeout for its times.
//
// On a client it does the same to the deadline that gRPC sends along, so that each hop has a little less than the one
// before. When the time is over it ends a call as Timeout does. At most one Config.
func Deadline(t *timeout.Timeout, c ...DeadlineConfig) *Interceptor {
	if t == nil {
		panic("grpcmw: Deadline: nil Timeout")
	}
	return single(&deadlines{t, atMostOne("Deadline", c).Skip})
}

type deadlines struct {
	t    *timeout.Timeout
	skip func(Info) bool
}

func (*deadlines) layer() string { return "Deadline" }

// skips reports whether a call is none of its business.
func (m *deadlines) skips(ctx context.Context, i Info, exempt bool) bool {
	_, bounded := ctx.Deadline()
	return exempt || i.Stream && !bounded || m.skip != nil && m.skip(i)
}

func (m *deadlines) server(c *serverCall, at int) error {
	if m.skips(c.ctx, Info{Method: c.method, Stream: c.info != nil}, c.exempt) {
		return c.next(at)
	}
	if c.info == nil {
		return c.within(m.t, at)
	}
	w, d := m.watch(c.ctx)
	if !d.Admitted() {
		return c.reject(d)
	}
	return w.serve(c, at)
}

// watch begins to watch a stream whose deadline is kept within bounds.
func (m *deadlines) watch(ctx context.Context) (*watch, core.Decision) {
	a, d := m.t.Admit(0, left(ctx))
	if !d.Admitted() {
		return nil, d
	}
	inner, cancel := a.Context(ctx)
	w := newWatch(inner)
	end := w.cancel
	w.cancel = func(cause error) {
		end(cause)
		cancel()
	}
	w.bounds[age].allowed = a
	return w, d
}

func (m *deadlines) unaryClient(ctx context.Context, c *clientCall, at int, req, reply any, opts []grpc.CallOption) error {
	if m.skips(ctx, c.info(), c.exempt) {
		return c.unary(ctx, at+1, req, reply, opts)
	}
	return within(ctx, m.t, func(ctx context.Context) error { return c.unary(ctx, at+1, req, reply, opts) })
}

func (m *deadlines) streamClient(ctx context.Context, c *clientCall, at int, opts []grpc.CallOption) (grpc.ClientStream, error) {
	if m.skips(ctx, c.info(), c.exempt) {
		return c.stream(ctx, at+1, opts)
	}
	w, d := m.watch(ctx)
	if !d.Admitted() {
		return nil, rejection(d, false)
	}
	return w.open(c, at, opts)
}

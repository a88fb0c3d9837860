package grpcmw

import (
	"context"
	"errors"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/mw-go/mw/core/hedge"
)

// HedgeConfig says which calls may be made twice. The zero value is the default.
type HedgeConfig struct {
	// Methods says which methods may be called twice at the same time. nil means those whose definition says
	// idempotency_level = NO_SIDE_EFFECTS or IDEMPOTENT, and no others.
	Methods func(i Info) bool
}

// Hedge returns the policy that makes another attempt at unary calls that are slow, as h says; the first that succeeds is the
// answer. Calls that must not happen twice are not touched, and neither are streams. Each attempt decodes into a reply of
// its own, and has header, trailer and peer of its own; the caller gets those of the one that decided the call, and its
// OnFinish once. The error is that of an attempt, untouched. A pushback below zero means no further attempt.
//
// On a server it does nothing. At most one Config.
func Hedge(h *hedge.Hedge, c ...HedgeConfig) *Interceptor {
	if h == nil {
		panic("grpcmw: Hedge: nil Hedge")
	}
	m := &hedges{hedge: h, methods: atMostOne("Hedge", c).Methods}
	if m.methods == nil {
		m.methods = func(i Info) bool { return m.levels.of(i.Method) != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN }
	}
	return single(m)
}

type hedges struct {
	hedge   *hedge.Hedge
	methods func(Info) bool
	levels  levels
}

func (*hedges) layer() string { return "Hedge" }

// tried is what an attempt brought.
type tried struct {
	reply any
	heard *heard
}

func (m *hedges) unaryClient(ctx context.Context, c *clientCall, at int, req, reply any, opts []grpc.CallOption) error {
	if !m.methods(c.info()) || shared(reply) {
		return c.unary(ctx, at+1, req, reply, opts)
	}
	l := lift(opts)
	var mu sync.Mutex
	var last *heard // of the attempt that failed last, if none succeeds
	won, err := hedge.Do(ctx, m.hedge, func(ctx context.Context) (tried, error) {
		t := tried{fresh(reply), &heard{}}
		err := c.unary(ctx, at+1, req, t.reply, l.options(t.heard))
		if err != nil {
			mu.Lock()
			last = t.heard
			mu.Unlock()
		}
		return t, judge(ctx, err, t.heard.trailer, retryable)
	})
	if err == nil {
		put(reply, won.reply)
		l.end(won.heard, nil)
		return nil
	}
	if several, ok := errors.AsType[*hedge.Error](err); ok {
		err = several.Err
	}
	if err = plain(err); ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = Status(err).Err()
	}
	mu.Lock()
	h := last
	mu.Unlock()
	l.end(h, err)
	return err
}

// retryable are the codes after which the next attempt is made at once.
func retryable(code codes.Code) bool {
	return code == codes.Unavailable || code == codes.ResourceExhausted
}

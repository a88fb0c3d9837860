package grpcmw

import (
	"context"
	"errors"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/cache"
)

// Question is what a ReplyCache keeps replies by. Comparable.
type Question struct {
	Target, Method string
	Vary           string // what CacheConfig.Vary says
	Request        string // in protobuf's wire format, as one build of the program always writes it
}

// ReplyCache is a cache of replies. They are shared, and must not be changed. Make one with cache.New or policy.Cache. Its
// Size counts replies, which are as large as grpc.MaxCallRecvMsgSize lets them be.
type ReplyCache = cache.Cache[Question, proto.Message]

// ReplyHooks are the hooks of a ReplyCache. Its Load and Store are for programs that fill the cache themselves.
type ReplyHooks = cache.Hooks[Question, proto.Message]

// CacheConfig says which replies are kept. The zero value is the default.
type CacheConfig struct {
	// Methods says which methods are cached. nil means those whose definition says idempotency_level = NO_SIDE_EFFECTS, and
	// no others.
	Methods func(i Info) bool
	// Vary says what else the reply depends on but the request: the tenant, the user, the language. Calls with the same word
	// share replies. nil means nothing; then calls with credentials of their own, the metadata authorization or cookie and
	// grpc.PerRPCCredentials, are not cached.
	Vary func(ctx context.Context, i Info) string
	// MaxRequest is how many bytes a request may have to be cached. Default 65536.
	MaxRequest int
}

// Cache returns the policy that keeps the replies of unary calls on a client, as c says: for its TTL they are copied into the
// caller's reply, and of several callers who ask the same at the same time one makes the call. That call goes on, with
// the values of his context, as long as one of them waits.
//
// What is not in protobuf's messages, is larger than MaxRequest or cannot be encoded passes, as do streams, and everything
// once c is closed. Who makes the call gets header, trailer and peer, others get none. OnFinish hears of the end once.
// Errors go to all who wait, untouched; NotFound and others that Classify calls a Success are answers, which no stale
// reply covers up, though they are kept only if c's Negative says so.
//
// It belongs outside of retries and guards. On a server it does nothing. It panics if c is nil. At most one Config.
func Cache(c *ReplyCache, conf ...CacheConfig) *Interceptor {
	if c == nil {
		panic("grpcmw: Cache: nil ReplyCache")
	}
	m := &caching{cache: c, CacheConfig: atMostOne("Cache", conf)}
	if m.MaxRequest < 0 {
		panic("grpcmw: Cache: a negative MaxRequest")
	}
	if m.MaxRequest == 0 {
		m.MaxRequest = 65536
	}
	if m.Methods == nil {
		m.Methods = func(i Info) bool { return m.levels.of(i.Method) == descriptorpb.MethodOptions_NO_SIDE_EFFECTS }
	}
	return single(m)
}

type caching struct {
	cache *ReplyCache
	CacheConfig
	levels levels
}

func (*caching) layer() string { return "Cache" }

// question is what a call asks; false if it is not for the cache.
func (m *caching) question(ctx context.Context, c *clientCall, req, reply any, opts []grpc.CallOption) (q Question, in, out proto.Message, ok bool) {
	i := c.info()
	in, isIn := req.(proto.Message)
	out, isOut := reply.(proto.Message)
	if c.exempt || !isIn || !isOut || isNil(req) || isNil(reply) || !m.Methods(i) || m.Vary == nil && personal(ctx, opts) {
		return q, nil, nil, false
	}
	if proto.Size(in) > m.MaxRequest {
		return q, nil, nil, false
	}
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(in)
	if err != nil {
		return q, nil, nil, false // gRPC says what is wrong with it
	}
	q = Question{Target: i.Target, Method: i.Method, Request: string(wire)}
	if m.Vary != nil {
		q.Vary = m.Vary(ctx, i)
	}
	return q, in, out, true
}

// personal reports whether a call has credentials of its own, so that its reply may be for nobody else.
func personal(ctx context.Context, opts []grpc.CallOption) bool {
	md, _ := metadata.FromOutgoingContext(ctx)
	if len(md["authorization"]) > 0 || len(md["cookie"]) > 0 {
		return true
	}
	for _, o := range opts {
		if _, ok := o.(grpc.PerRPCCredsCallOption); ok {
			return true
		}
	}
	return false
}

func (m *caching) unaryClient(ctx context.Context, c *clientCall, at int, req, reply any, opts []grpc.CallOption) error {
	q, in, out, ok := m.question(ctx, c, req, reply, opts)
	if !ok {
		return c.unary(ctx, at+1, req, reply, opts)
	}
	l := lift(opts)
	question, answer := in.ProtoReflect().Type(), out.ProtoReflect().Type()
	var said atomic.Pointer[heard] // by the call, if it was this caller's and is over
	kept, err := m.cache.Get(ctx, q, func(own context.Context) (proto.Message, error) {
		// The caller may leave before the call ends: his messages are not touched.
		again := question.New().Interface()
		if err := proto.Unmarshal([]byte(q.Request), again); err != nil {
			return nil, judged(own, err)
		}
		h, got := &heard{}, answer.New().Interface()
		err := c.unary(own, at+1, again, got, l.options(h))
		said.Store(h)
		return got, judged(own, err)
	})
	if err == nil {
		if err = deliver(out, kept); err != nil { // two types for one method: each gets its own
			return c.unary(ctx, at+1, req, reply, opts)
		}
	}
	if errors.Is(err, cache.ErrClosed) {
		return c.unary(ctx, at+1, req, reply, opts)
	}
	err = loaded(err)
	l.end(said.Load(), err)
	return err
}

// loaded is what the caller gets for an error of the cache.
func loaded(err error) error {
	if e, ok := errors.AsType[*attemptError](err); ok {
		return e.err
	}
	switch _, panicked := errors.AsType[*core.PanicError](err); {
	case panicked, err == core.ErrGoexit: // somebody else's: he got the panic
		return &failure{errorInfo(codes.Internal, "internal error", ReasonPanic), err}
	case err == context.Canceled, err == context.DeadlineExceeded: // of the one who waits
		return status.FromContextError(err).Err()
	default:
		return err
	}
}

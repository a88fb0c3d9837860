package grpcmw

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/fallback"
)

// FallbackConfig is the Config of Fallback. The zero value is the default.
type FallbackConfig struct {
	// StepTrailer is a trailer of a server's answer that names the step that gave it. Default none: nobody is told.
	StepTrailer string
	// Repeat says which methods a step's Conn may call again although the first call may have been executed. nil means those
	// whose definition says idempotency_level = NO_SIDE_EFFECTS or IDEMPOTENT. A call that one of our own guards has turned
	// away was not executed, and goes on whatever its method.
	Repeat func(i Info) bool
	// Skip exempts calls. nil exempts none. Health checks, reflection and channelz are exempt before it is asked.
	Skip func(i Info) bool
}

// FallbackStep is a place to ask when those before it have failed. It has one of Run and Conn.
type FallbackStep struct {
	// By is the step's policy: its name, time, limit and mode. Required.
	By *fallback.Fallback
	// Run makes a reply of the type that the caller waits for, such as a default. before is the last failure. The reply is copied
	// on a client, and is not changed on a server, so that it may be the same one each time.
	Run func(ctx context.Context, i Info, req any, before error) (reply any, err error)
	// Conn makes the call somewhere else, on a client.
	Conn grpc.ClientConnInterface
}

// Fallback returns the policy that answers unary calls from somewhere else when they fail: from the steps in order, until one
// has a reply. On a client the reply is copied into the caller's; AnsweredBy tells him which step it was. Streams pass.
//
// A step runs if its condition holds: by default after every failure as Classify says, so that NotFound is an answer and an
// open breaker a failure, but not for a caller who has left or whose deadline has passed, nor after a panic. If no step
// has a reply, the caller gets the first error, untouched. A step whose reply is nil or of another type has failed.
//
// On a client header, trailer and peer are those of the first call, and OnFinish hears of the end once. On a server the
// guards and logs outside are told what the step has answered.
//
// It belongs outside of retries and guards. It panics on a mistake of the program: no step, one without a policy, and one
// without exactly one of Run and Conn, which on a server is Run.
func Fallback(c FallbackConfig, steps ...FallbackStep) *Interceptor {
	if len(steps) == 0 {
		panic("grpcmw: Fallback: no step")
	}
	for i, s := range steps {
		if s.By == nil || (s.Run == nil) == (s.Conn == nil) {
			panic(fmt.Sprintf("grpcmw: Fallback: step %d: want By, and one of Run and Conn", i+1))
		}
	}
	m := &falling{FallbackConfig: c, steps: append([]FallbackStep(nil), steps...)}
	if m.Repeat == nil {
		m.Repeat = func(i Info) bool { return m.levels.of(i.Method) != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN }
	}
	return single(m)
}

// AnsweredBy returns the option of a client's call that tells which step of a Fallback has answered it: "" if none has.
func AnsweredBy(step *string) grpc.CallOption { return answeredBy{step: step} }

type answeredBy struct {
	grpc.EmptyCallOption
	step *string
}

type falling struct {
	FallbackConfig
	steps  []FallbackStep
	levels levels
}

func (*falling) layer() string { return "Fallback" }

func (m *falling) skips(i Info, exempt bool) bool {
	return exempt || i.Stream || m.Skip != nil && m.Skip(i)
}

// asked is a call that has failed, and looks for another answer.
type asked struct {
	info  Info
	req   any
	reply any                      // the caller's, on a client
	opts  []grpc.CallOption        // of the caller
	take  func(from any) error     // what becomes of a reply
	tell  func(from fallback.From) // hears who has answered
}

// fall asks the steps. It returns the first error if none has a reply.
func (m *falling) fall(ctx context.Context, a *asked, first error) error {
	chain := make(fallback.Chain[struct{}], len(m.steps))
	for i := range m.steps {
		s := &m.steps[i]
		chain[i] = fallback.Step[struct{}]{By: s.By, Run: func(ctx context.Context, before error) (none struct{}, err error) {
			return none, judged(ctx, m.run(ctx, s, a, plain(before), first))
		}}
	}
	_, from, err := fallback.DoFrom(ctx, chain, func(ctx context.Context) (none struct{}, err error) {
		return none, judged(ctx, first)
	})
	if err != nil {
		return first
	}
	a.tell(from)
	return nil
}

// judged is an error with the outcome that it has for the conditions of steps.
func judged(ctx context.Context, err error) error { return judge(ctx, err, nil, retryable) }

// run lets a step answer.
func (m *falling) run(ctx context.Context, s *FallbackStep, a *asked, before, first error) error {
	var reply any
	var err error
	switch {
	case s.Run != nil:
		reply, err = s.Run(ctx, a.info, a.req, before)
	default:
		var rejected *core.Rejection
		if !errors.As(first, &rejected) && !m.Repeat(a.info) {
			return errUnsafe
		}
		reply = fresh(a.reply)
		err = s.Conn.Invoke(ctx, a.info.Method, a.req, reply, a.opts...)
	}
	if err != nil {
		return err
	}
	return a.take(reply)
}

var errUnsafe = errors.New("grpcmw: Fallback: the call may have been executed, and is not made again")

func (m *falling) unaryClient(ctx context.Context, c *clientCall, at int, req, reply any, opts []grpc.CallOption) error {
	if m.skips(c.info(), c.exempt) {
		return c.unary(ctx, at+1, req, reply, opts)
	}
	var finish []func(error)
	rest := opts
	if finishes(opts) {
		rest, finish = liftFinish(opts)
	}
	name := ""
	err := c.unary(ctx, at+1, req, reply, rest)
	if err != nil {
		err = m.fall(ctx, &asked{
			info: c.info(), req: req, reply: reply, opts: lift(rest).rest,
			take: func(from any) error { return deliver(reply, from) },
			tell: func(from fallback.From) { name = from.Step },
		}, err)
	}
	for _, o := range opts {
		if o, ok := o.(answeredBy); ok && o.step != nil {
			*o.step = name
		}
	}
	for _, f := range finish {
		f(err)
	}
	return err
}

// finishes reports whether somebody wants to hear of the end of the call.
func finishes(opts []grpc.CallOption) bool {
	for _, o := range opts {
		if _, ok := o.(grpc.OnFinishCallOption); ok {
			return true
		}
	}
	return false
}

func (m *falling) server(c *serverCall, at int) error {
	i := Info{Method: c.method, Stream: c.info != nil}
	if m.skips(i, c.exempt) {
		return c.next(at)
	}
	first := c.next(at)
	if first == nil {
		return nil
	}
	return m.fall(c.ctx, &asked{
		info: i, req: c.req,
		take: func(from any) error {
			if isNil(from) {
				return errNoReply
			}
			c.resp = from
			return nil
		},
		tell: func(from fallback.From) {
			c.rejected, c.failure = false, ""
			if m.StepTrailer != "" {
				c.setTrailer(metadata.Pairs(m.StepTrailer, from.Step))
			}
		},
	}, first)
}

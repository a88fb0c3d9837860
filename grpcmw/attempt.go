package grpcmw

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/mw-go/mw/core"
)

// lifted is the options of a call that make it say something through a pointer, or at its end: once a call, while the
// attempts at it each have options of their own.
type lifted struct {
	rest     []grpc.CallOption
	headers  []*metadata.MD
	trailers []*metadata.MD
	peers    []*peer.Peer
	finish   []func(error)
}

// lift takes these options out of opts. What is returned does not share memory with opts.
func lift(opts []grpc.CallOption) *lifted {
	l := &lifted{rest: make([]grpc.CallOption, 0, len(opts)+3)}
	for _, o := range opts {
		switch o := o.(type) {
		case grpc.HeaderCallOption:
			l.headers = append(l.headers, o.HeaderAddr)
		case grpc.TrailerCallOption:
			l.trailers = append(l.trailers, o.TrailerAddr)
		case grpc.PeerCallOption:
			l.peers = append(l.peers, o.PeerAddr)
		case grpc.OnFinishCallOption:
			l.finish = append(l.finish, o.OnFinish)
		default:
			l.rest = append(l.rest, o)
		}
	}
	return l
}

// heard is what one attempt said through its options.
type heard struct {
	header, trailer metadata.MD
	peer            peer.Peer
}

// options are those of an attempt that writes to h.
func (l *lifted) options(h *heard) []grpc.CallOption {
	opts := append(l.rest[:len(l.rest):len(l.rest)], grpc.Trailer(&h.trailer))
	if len(l.headers) > 0 {
		opts = append(opts, grpc.Header(&h.header))
	}
	if len(l.peers) > 0 {
		opts = append(opts, grpc.Peer(&h.peer))
	}
	return opts
}

// end gives the caller what the attempt that decided the call said, and tells of the end of the call. h is nil if there was no
// attempt.
func (l *lifted) end(h *heard, err error) {
	if h != nil {
		for _, md := range l.headers {
			*md = h.header
		}
		for _, md := range l.trailers {
			*md = h.trailer
		}
		for _, p := range l.peers {
			*p = h.peer
		}
	}
	for _, f := range l.finish {
		f(err)
	}
}

// attemptError is the error of an attempt, with what it says of further ones. It never reaches the caller: plain takes it off.
type attemptError struct {
	err     error
	outcome core.Outcome
	after   time.Duration // 0 no wish, below 0 stop
	final   bool
}

func (e *attemptError) Error() string             { return e.err.Error() }
func (e *attemptError) Unwrap() error             { return e.err }
func (e *attemptError) Outcome() core.Outcome     { return e.outcome }
func (e *attemptError) RetryAfter() time.Duration { return e.after }
func (e *attemptError) Permanent() bool           { return e.final }

// judge says what the error of an attempt means for further ones. again decides by code whether they make sense at all.
func judge(ctx context.Context, err error, trailer metadata.MD, again func(codes.Code) bool) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*core.Rejection](err); ok {
		return err // of a guard further in: the machine knows
	}
	st := Status(err)
	e := &attemptError{err: err, after: max(retryDelay(st), 0), outcome: Classify(ctx, err)}
	if ms := trailer[keyPushback]; len(ms) > 0 {
		e.after = pushedBack(ms, e.after)
		if st.Code() == codes.Unavailable && e.outcome == core.Failure {
			e.outcome = core.Overload
		}
	}
	switch code := st.Code(); {
	case errors.Is(err, core.ErrTimeout): // ours, of the attempt
	case code == codes.ResourceExhausted:
		e.final = e.after <= 0 || !again(code)
	default:
		e.final = !again(code)
	}
	return e
}

// retryDelay is the RetryInfo of a status, 0 if it has none.
func retryDelay(st *status.Status) time.Duration {
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

// pushedBack joins the pushback trailer and a RetryInfo: the longer wins. A negative one, one that cannot be read and one that
// comes twice mean to stop (A6).
func pushedBack(ms []string, info time.Duration) time.Duration {
	n, err := strconv.ParseInt(ms[0], 10, 32)
	if len(ms) > 1 || err != nil || n < 0 {
		return -1
	}
	return max(time.Duration(n)*time.Millisecond, info)
}

// plain returns what the caller gets for the error of an attempt: that of the call as it came.
func plain(err error) error {
	if e, ok := errors.AsType[*attemptError](err); ok {
		return e.err
	}
	return err
}

// fresh returns an empty reply of the type of reply, for an attempt of its own.
func fresh(reply any) any {
	if m, ok := reply.(proto.Message); ok && !isNil(reply) {
		return m.ProtoReflect().New().Interface()
	}
	if v := reflect.ValueOf(reply); v.Kind() == reflect.Pointer && !v.IsNil() {
		return reflect.New(v.Type().Elem()).Interface()
	}
	return reply // nil, as a proxy may have it
}

// shared reports whether fresh returns reply itself although somebody may decode into it.
func shared(reply any) bool {
	return reply != nil && (isNil(reply) || reflect.TypeOf(reply).Kind() != reflect.Pointer)
}

// put copies an attempt's reply to the caller's.
func put(reply, from any) {
	if m, ok := reply.(proto.Message); ok && !isNil(reply) {
		proto.Reset(m)
		proto.Merge(m, from.(proto.Message))
		return
	}
	if v := reflect.ValueOf(reply); v.Kind() == reflect.Pointer && !v.IsNil() {
		v.Elem().Set(reflect.ValueOf(from).Elem())
	}
}

// deliver is put for a reply that comes from somewhere else, and may be of the wrong type.
func deliver(reply, from any) error {
	if isNil(reply) {
		return nil // nobody wants it
	}
	to, ok := reply.(proto.Message)
	m, is := from.(proto.Message)
	switch {
	case isNil(from):
		return errNoReply
	case ok && is && to.ProtoReflect().Descriptor() == m.ProtoReflect().Descriptor():
	case !ok && reflect.TypeOf(from) == reflect.TypeOf(reply):
	default:
		return fmt.Errorf("grpcmw: the reply is a %T, the caller waits for a %T", from, reply)
	}
	put(reply, from)
	return nil
}

var errNoReply = errors.New("grpcmw: neither a reply nor an error")

func isNil(v any) bool {
	r := reflect.ValueOf(v)
	return !r.IsValid() || r.Kind() == reflect.Pointer && r.IsNil()
}

// incomingAttempt is which attempt of its caller's a call on a server is, by the trailer's twin in the metadata: 1 for the first.
// What cannot be read, or comes twice, counts as none.
func incomingAttempt(ctx context.Context) int {
	v := metadata.ValueFromIncomingContext(ctx, keyAttempts)
	if len(v) != 1 {
		return 1
	}
	n, err := strconv.ParseUint(v[0], 10, 16)
	if err != nil {
		return 1
	}
	return int(n) + 1
}

package grpcmw

import (
	"context"
	"sync"

	"google.golang.org/grpc"

	"github.com/mw-go/mw/core"
)

// clientAdmission is a held of one attempt of a client's call.
type clientAdmission struct {
	held
	ctx  context.Context
	once sync.Once // OnFinish, an error of the streamer and a panic may all end it
}

// info describes the call.
func (c *clientCall) info() Info {
	return Info{Method: c.method, Target: c.target(), Stream: c.desc != nil}
}

// unaryClient implements unaryClientLayer.
func (m *guards) unaryClient(ctx context.Context, c *clientCall, at int, req, reply any, opts []grpc.CallOption) (err error) {
	a := &clientAdmission{held: held{m: m}, ctx: ctx}
	asked, finished := false, false
	defer func() {
		switch {
		case finished:
			a.finish(err)
		case asked: // a panic or runtime.Goexit
			a.abort(core.Abandoned(ctx))
		default:
			a.abort(core.Ignored)
		}
	}()
	d, _ := a.acquire(ctx, c.info(), c.exempt, m.now())
	if !d.Admitted() {
		return rejection(d, false)
	}
	asked = true
	err = c.unary(ctx, at+1, req, reply, opts)
	finished = true
	return err
}

// streamClient implements streamClientLayer. The stream is over when gRPC says so (OnFinish), which is the one sign that
// comes whatever the caller does; or when it was never opened.
func (m *guards) streamClient(ctx context.Context, c *clientCall, at int, opts []grpc.CallOption) (s grpc.ClientStream, err error) {
	a := &clientAdmission{held: held{m: m}, ctx: ctx}
	asked, finished := false, false
	defer func() {
		switch {
		case finished && err != nil:
			a.finish(err)
		case finished:
		case asked:
			a.abort(core.Abandoned(ctx))
		default:
			a.abort(core.Ignored)
		}
	}()
	d, _ := a.acquire(ctx, c.info(), c.exempt, m.now())
	if !d.Admitted() {
		return nil, rejection(d, false)
	}
	asked = true
	s, err = c.stream(ctx, at+1, withFinish(contained(a.finish), opts))
	finished = true
	if err == nil && a.tracked() {
		s = &clientStream{ClientStream: s, a: a}
	}
	return s, err
}

// finish ends it after a call that ended with err. Only the first end counts.
func (a *clientAdmission) finish(err error) {
	a.once.Do(func() { a.settle(a.ctx, a.m.now(), err) })
}

// abort ends it with an outcome that no error tells.
func (a *clientAdmission) abort(o core.Outcome) {
	a.once.Do(func() { a.end(a.m.now(), o) })
}

// clientStream tells the guards of the first response. It asks the stream inside for nothing: Context and Header would
// commit an attempt that gRPC may still repeat.
type clientStream struct {
	grpc.ClientStream
	a    *clientAdmission
	told bool // RecvMsg is never called twice at the same time
}

// RecvMsg tells the guards of the first message.
func (s *clientStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil && !s.told {
		s.told = true
		s.a.progress()
	}
	return err
}

var (
	_ unaryClientLayer  = (*guards)(nil)
	_ streamClientLayer = (*guards)(nil)
)

package grpcmw

import (
	"context"
	"runtime"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/timeout"
)

// watch ends the context of a stream when one of its times is over. Every method may be called at any time, also twice.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	outer  *watch // that of a policy further out, on a server; nil if there is none

	mu      sync.Mutex
	stopped bool
	bounds  [3]bound
}

// The bounds of a watch.
const (
	first = iota
	idle
	age
)

// bound is a time that runs.
type bound struct {
	allowed timeout.Allowance
	cause   *timeout.Error
	timer   *time.Timer // nil if it does not run
}

func newWatch(ctx context.Context) *watch {
	w := &watch{}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	return w
}

// watch begins to watch a stream whose context is ctx.
func (m *timeouts) watch(ctx context.Context) *watch {
	w := newWatch(ctx)
	w.mu.Lock() // a time may be over before the next has begun
	defer w.mu.Unlock()
	for i, t := range [...]*timeout.Timeout{first: m.First, idle: m.Idle, age: m.MaxAge} {
		if t == nil {
			continue
		}
		b := &w.bounds[i]
		var d core.Decision
		if b.allowed, d = t.Admit(0, core.Never); b.allowed.Rest == core.Never {
			continue // disabled, or in shadow
		}
		b.cause = &timeout.Error{Policy: d.By.Name, Limit: b.allowed.Rest}
		b.timer = time.AfterFunc(b.allowed.Rest, func() { w.cancel(b.cause) })
	}
	return w
}

// message tells of a message in either direction; answered that it was a response.
func (w *watch) message(answered bool) {
	if w.outer != nil {
		w.outer.message(answered)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	if b := &w.bounds[idle]; b.timer != nil {
		b.timer.Reset(b.allowed.Rest)
	}
	if b := &w.bounds[first]; answered && b.timer != nil {
		b.timer.Stop()
		b.timer = nil
		b.allowed.Done(0, core.Success)
	}
}

// over returns the *timeout.Error of the time that has ended the stream, ours or that of a policy further out; nil if none has.
func (w *watch) over() error {
	if over, ok := context.Cause(w.ctx).(*timeout.Error); ok {
		return over
	}
	return nil
}

// stop ends the watch, and the stream's context with it. err is what the stream has ended with.
func (w *watch) stop(err error) {
	over := w.over()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	w.stopped = true
	w.cancel(nil) // if the time is not over
	for i := range w.bounds {
		b := &w.bounds[i]
		if b.timer != nil {
			b.timer.Stop()
		}
		switch {
		case b.cause != nil && over == error(b.cause), b.allowed.Over(w.ctx):
			b.allowed.Done(0, core.Timeout)
		case err != nil:
			b.allowed.Done(0, core.Failure)
		default:
			b.allowed.Done(0, core.Canceled) // it says nothing of how long it would have taken
		}
	}
}

// await runs a RecvMsg or SendMsg of a server's stream. These heed wire alone, the context that gRPC gave the stream, and await
// does not wait for them longer than the watch does. What it leaves behind ends when the handler has returned.
func (w *watch) await(wire context.Context, f func() error, answer bool) error {
	if over := w.over(); over != nil {
		return timedOut("timed out", over, nil)
	}
	e := &exchanged{ended: make(chan struct{})}
	go e.run(f)
	select {
	case <-e.ended:
		err := e.result()
		if err == nil {
			w.message(answer)
		}
		return err
	case <-w.ctx.Done():
	}
	if wire.Err() != nil { // the function knows how it ended
		<-e.ended
		return e.result()
	}
	return timedOut("timed out", context.Cause(w.ctx), nil)
}

// exchanged is a RecvMsg or SendMsg in a goroutine of its own. How it ends, the panic of a codec included, is how it ends for
// whoever waits: a goroutine's own panic would end the process, where no Recover sees it.
type exchanged struct {
	ended    chan struct{}
	returned bool
	err      error
	panicked *core.PanicError
}

func (e *exchanged) run(f func() error) {
	defer close(e.ended)
	defer func() {
		if !e.returned {
			if p := recover(); p != nil {
				e.panicked = core.Recovered(p)
			}
		}
	}()
	e.err = f()
	e.returned = true
}

// result is to be asked once it has ended.
func (e *exchanged) result() error {
	switch {
	case e.panicked != nil:
		panic(e.panicked)
	case !e.returned:
		runtime.Goexit()
	}
	return e.err
}

// streamClient implements streamClientLayer.
func (m *timeouts) streamClient(ctx context.Context, c *clientCall, at int, opts []grpc.CallOption) (grpc.ClientStream, error) {
	if m.skips(c.info(), c.exempt) {
		return c.stream(ctx, at+1, opts)
	}
	return m.watch(ctx).open(c, at, opts)
}

// open opens a client's stream under the watch, which it ends with the stream.
func (w *watch) open(c *clientCall, at int, opts []grpc.CallOption) (grpc.ClientStream, error) {
	opts, finish := liftFinish(opts)
	ended := func(err error) {
		err = w.judge(err)
		w.stop(err)
		for _, f := range finish {
			f(err)
		}
	}
	opened := false
	defer func() {
		if !opened {
			w.stop(nil)
		}
	}()
	s, err := c.stream(w.ctx, at+1, withFinish(ended, opts))
	if err != nil {
		return nil, w.judge(err)
	}
	opened = true
	return &watchedStream{ClientStream: s, w: w}, nil
}

// serve runs the rest of a server's stream under the watch, which it ends.
func (w *watch) serve(c *serverCall, at int) (err error) {
	w.outer = c.stream.watch
	outer := c.ctx
	defer func() {
		w.stop(err)
		c.ctx = outer // and not the watch: a goroutine that the handler has left behind may still look at it
	}()
	c.ctx, c.stream.watch = w.ctx, w
	if err = c.next(at); err == nil {
		return nil
	}
	if over := w.over(); over != nil {
		c.fail(errorTimeout)
		return timedOut("timed out", over, err)
	}
	return err
}

// judge turns what a stream ended with into what it ended with because of us.
func (w *watch) judge(err error) error {
	if over := w.over(); over != nil && err != nil {
		return ours(over, err)
	}
	return err
}

// withFinish returns opts with a function that hears of the end of the call, before those of the layers outside do: what they
// do may end the context of those inside.
func withFinish(f func(error), opts []grpc.CallOption) []grpc.CallOption {
	return append(append(make([]grpc.CallOption, 0, len(opts)+1), grpc.OnFinish(f)), opts...)
}

// contained keeps the panic of a function of the program's from the goroutine of gRPC's in which a stream ends, where it would end
// the process, and from the ends of the policies outside. The books are closed by then.
func contained(f func(error)) func(error) {
	return func(err error) {
		finished := false
		defer func() {
			if !finished {
				_ = recover()
			}
		}()
		f(err)
		finished = true
	}
}

// liftFinish takes the functions that are to hear of the end of a call out of opts, for a layer that has a word in how it
// ends. What is returned does not share memory with opts.
func liftFinish(opts []grpc.CallOption) (rest []grpc.CallOption, finish []func(error)) {
	rest = make([]grpc.CallOption, 0, len(opts))
	for _, o := range opts {
		if f, ok := o.(grpc.OnFinishCallOption); ok {
			finish = append(finish, f.OnFinish)
			continue
		}
		rest = append(rest, o)
	}
	return rest, finish
}

// watchedStream is a client's stream with times.
type watchedStream struct {
	grpc.ClientStream
	w *watch
}

func (s *watchedStream) SendMsg(m any) error {
	err := s.ClientStream.SendMsg(m)
	if err == nil {
		s.w.message(false)
	}
	return s.w.judge(err)
}

func (s *watchedStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil {
		s.w.message(true)
	}
	return s.w.judge(err)
}

func (s *watchedStream) Header() (metadata.MD, error) {
	md, err := s.ClientStream.Header()
	return md, s.w.judge(err)
}

func (s *watchedStream) CloseSend() error { return s.w.judge(s.ClientStream.CloseSend()) }

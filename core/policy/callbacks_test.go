package policy_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// fate is what a user's function meets in place of returning.
type fate int

const (
	panics   fate = iota
	exits         // it calls runtime.Goexit
	cancels       // its caller is cancelled meanwhile; it ends with its context, if it has one
	outlives      // its caller's deadline passes meanwhile; likewise
	hangs         // it ignores its context, until it is released
	fates
)

var fateNames = [fates]string{"panic", "Goexit", "cancel", "deadline", "hang"}

// tells is who hears of a function that did not return.
type tells int

const (
	direct  tells = iota // the caller: the panic is his, untouched
	carried              // the caller, by a *core.PanicError that he panics with
	asError              // the caller, by an error
	counted              // nobody but a count
	event                // the same, but it was in a goroutine of a caller, whom Goexit ends
)

// scene is a call with a function that meets its fate.
type scene struct {
	fate    fate
	ctx     context.Context // the caller's
	cancel  context.CancelFunc
	release chan struct{}
	struck  atomic.Int32
	hears   atomic.Bool // the function has a context,
	heeded  atomic.Bool // which has ended it
}

func newScene(f fate) *scene {
	s := &scene{fate: f, release: make(chan struct{})}
	deadline := time.Hour
	if f == outlives {
		deadline = time.Second
	}
	s.ctx, s.cancel = context.WithTimeout(context.Background(), deadline)
	return s
}

var errBoom = errors.New("boom")

func blowUp() { panic(errBoom) }

// strike is the body of the function under attack, whose first run meets the fate. ctx is what it was given.
func (s *scene) strike(ctx context.Context) error {
	s.hears.Store(true)
	if s.meet(ctx.Done()) {
		s.heeded.Store(true)
		return ctx.Err()
	}
	return nil
}

// strikeBlind is strike for a function that is given no context.
func (s *scene) strikeBlind() { s.meet(nil) }

// meet reports whether done has ended the function.
func (s *scene) meet(done <-chan struct{}) bool {
	if s.struck.Add(1) > 1 {
		return false
	}
	switch s.fate {
	case panics:
		blowUp()
	case exits:
		runtime.Goexit()
	case cancels:
		s.cancel()
		fallthrough
	case outlives:
		select {
		case <-done:
			return true
		case <-s.release:
		}
	case hangs:
		<-s.release
	}
	return false
}

// subject is a machine under attack.
type subject struct {
	call  func(ctx context.Context) error // comes to the function under attack
	serve func(ctx context.Context) error // must succeed afterwards, and if somebody else calls meanwhile; nil: call
	rest  func() string                   // what is wrong while no call is under way; empty if nothing is
	count func() uint64                   // of panics that nobody else hears of
	tune  func() error                    // causes an event
	stop  func(ctx context.Context) error // nil: there is nothing to stop
}

// ending is how a caller came out of a call.
type ending struct {
	err    error
	value  any // of its panic
	stack  string
	exited bool
}

func perform(call func() error) <-chan ending {
	end := make(chan ending, 1)
	go func() {
		e := ending{exited: true}
		defer func() {
			if e.value = recover(); e.value != nil {
				e.exited, e.stack = false, string(debug.Stack())
			}
			end <- e
		}()
		e.err = call()
		e.exited = false
	}()
	return end
}

// want checks that a function that did not return was heard of where it is documented.
func (e *ending) want(t *testing.T, f fate, by tells, count func() uint64) {
	t.Helper()
	wants := [...]string{direct: "panic", carried: "carried", asError: "error", counted: "", event: ""}[by]
	if f == exits {
		wants = [...]string{direct: "exit", carried: "exit", asError: "goexit", counted: "", event: "exit"}[by]
	}
	got := ""
	p, isCarried := e.value.(*core.PanicError)
	inError, isError := errors.AsType[*core.PanicError](e.err)
	switch {
	case e.exited:
		got = "exit"
	case isCarried && p.Value == errBoom && strings.Contains(string(p.Stack), "blowUp"):
		got = "carried"
	case e.value == errBoom && strings.Contains(e.stack, "blowUp"):
		got = "panic"
	case isError && inError.Value == errBoom && strings.Contains(string(inError.Stack), "blowUp"):
		got = "error"
	case errors.Is(e.err, core.ErrGoexit):
		got = "goexit"
	case e.value != nil:
		got = fmt.Sprintf("panic %v", e.value)
	}
	if got != wants {
		t.Errorf("the caller heard of it by %q, documented is %q: %v", got, wants, e.err)
	}
	if (by == counted || by == event) && count() != 1 {
		t.Errorf("counted %d times", count())
	}
}

// TestCallbacksMayFall is every function that users give to a machine, by every fate: whatever it meets, permits,
// places, waiters and goroutines come back, other callers are served meanwhile and afterwards, and a panic is heard of
// where it is documented, with the stack on which it arose.
func TestCallbacksMayFall(t *testing.T) {
	for _, r := range callbackRows() {
		for f := range fates {
			t.Run(r.machine+"/"+r.callback+"/"+fateNames[f], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { r.run(t, f) })
			})
		}
	}
}

func (r *callbackRow) run(t *testing.T, f fate) {
	s := newScene(f)
	defer s.cancel()
	sub := r.open(t, s, r.callback)
	if sub.serve == nil {
		sub.serve = sub.call
	}
	end := perform(func() error { return sub.call(s.ctx) })
	synctest.Wait()
	if f == cancels && s.hears.Load() && s.heeded.Load() == r.deaf {
		t.Errorf("the context of the function ends with that of the caller: %v, documented is %v", r.deaf, !r.deaf)
	}
	crowd := make([]<-chan ending, 3)
	for i := range crowd {
		crowd[i] = perform(func() error { return sub.serve(context.Background()) })
	}
	time.Sleep(2 * time.Second)
	if f == hangs {
		s.cancel()
	}
	synctest.Wait()
	if f == hangs && (len(end) == 1) != r.leaves {
		t.Errorf("a caller whose context ends has left %v, documented is %v", len(end) == 1, r.leaves)
	}
	close(s.release)
	time.Sleep(time.Minute) // for what is in the background
	synctest.Wait()
	for i, end := range append([]<-chan ending{end}, crowd...) {
		select {
		case e := <-end:
			switch {
			case i == 0 && f <= exits:
				e.want(t, f, r.tells, sub.count)
			case e.exited || e.value != nil:
				t.Errorf("caller %d: exited %v, panic %v", i, e.exited, e.value)
			case i > 0 && e.err != nil && !r.alone:
				t.Errorf("caller %d was not served: %v", i, e.err)
			}
		default:
			t.Errorf("caller %d hangs", i)
		}
	}
	if s.struck.Load() == 0 {
		t.Error("the function was not called")
	}
	if wrong := sub.rest(); wrong != "" {
		t.Errorf("at rest: %s", wrong)
	}
	if e := <-perform(func() error { return sub.serve(context.Background()) }); e != (ending{}) {
		t.Errorf("afterwards: %+v", e)
	}
	synctest.Wait()
	if wrong := sub.rest(); wrong != "" {
		t.Errorf("at rest again: %s", wrong)
	}
	if heard := s.struck.Load(); r.tells == event {
		if err := sub.tune(); err != nil || s.struck.Load() == heard {
			t.Errorf("no event is heard any more, %v", err)
		}
	}
	if sub.stop != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := sub.stop(ctx); err != nil {
			t.Errorf("stopped: %v", err)
		}
	}
}

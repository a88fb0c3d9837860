package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// Lifecycle is the state of a process. Make one with New. Safe for concurrent use.
type Lifecycle struct {
	draining chan struct{} // closed when the state is Draining or later
	stopped  chan struct{} // closed when it is Stopped

	mu     sync.Mutex
	config Config
	state  State
	heard  map[int]chan State // by subscription
	last   int
	stops  []stop
	hurry  context.CancelFunc // ends the contexts of the stops; nil before Shutdown
	err    error              // of Shutdown, once it is Stopped
}

type stop struct {
	name string
	run  func(context.Context) error
}

// New returns a Lifecycle that is Starting. The error reports every bad field of c.
func New(c Config) (*Lifecycle, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Lifecycle{
		draining: make(chan struct{}), stopped: make(chan struct{}), config: c, heard: make(map[int]chan State),
	}, nil
}

// Tune puts c in force for a Shutdown that has not begun. On error nothing changes.
func (l *Lifecycle) Tune(c Config) error {
	commit, err := l.Prepare(c)
	if err != nil {
		return err
	}
	commit()
	return nil
}

// Prepare checks c and returns the function that puts it in force, for transactions over several machines. It holds
// nothing, and commit cannot fail.
func (l *Lifecycle) Prepare(c Config) (commit func(), err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.config = c
	}, nil
}

// Config returns the effective settings, defaults filled in.
func (l *Lifecycle) Config() Config {
	l.mu.Lock()
	defer l.mu.Unlock()
	return schema.Fill(l.config)
}

// Ready says that the process takes work.
func (l *Lifecycle) Ready() { l.on(ready) }

// Unready says that it takes none for now, such as while a dependency is away.
func (l *Lifecycle) Unready() { l.on(unready) }

// State returns where the process is.
func (l *Lifecycle) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// Draining returns a channel that is closed when work has to come to an end: what lives long, such as a stream, selects on it.
func (l *Lifecycle) Draining() <-chan struct{} { return l.draining }

// Stopped returns a channel that is closed when everything has stopped.
func (l *Lifecycle) Stopped() <-chan struct{} { return l.stopped }

// Watch returns a channel that has the state, and the latest each time that it changes; states that follow each other faster
// than they are read are skipped. Call cancel when done with it.
func (l *Lifecycle) Watch() (states <-chan State, cancel func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	id, c := l.last, make(chan State, 1)
	c <- l.state
	l.heard[id] = c
	return c, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.heard, id)
	}
}

// OnDrain adds a function that stops something, such as a server: gracefully, and by force when its context ends. Shutdown
// runs all of them at the same time, after Wait. name is for errors. A nil function, and one that comes when the draining has
// begun, is an error: it would never run.
func (l *Lifecycle) OnDrain(name string, run func(context.Context) error) error {
	if run == nil {
		return fmt.Errorf("lifecycle: %s: nil function", name)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state >= Draining {
		return fmt.Errorf("lifecycle: %s: the process is %v already", name, l.state)
	}
	l.stops = append(l.stops, stop{name, run})
	return nil
}

// on moves on, and tells who watches.
func (l *Lifecycle) on(e event) State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.move(e)
}

// move is on with mu held.
func (l *Lifecycle) move(e event) State {
	now := l.state.next(e)
	if now == l.state {
		return now
	}
	l.state = now
	switch now {
	case Draining:
		close(l.draining)
	case Stopped:
		close(l.stopped)
	}
	for _, c := range l.heard {
		select {
		case <-c: // nobody has read the last one
		default:
		}
		c <- now
	}
	return now
}

// Shutdown takes the process out of service: not ready, Wait, then the functions of OnDrain, which have Grace, and returns when
// all of them have returned. If ctx ends before, it goes on at once with what is left, by force. A second call waits for the
// first one to end.
//
// The error joins those of the functions. A panic in one is its error, a *core.PanicError; the others run on.
func (l *Lifecycle) Shutdown(ctx context.Context) error {
	l.mu.Lock()
	if l.state >= Leaving {
		hurry := l.hurry
		l.mu.Unlock()
		select {
		case <-l.stopped:
		case <-ctx.Done():
			hurry()
			<-l.stopped
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.err
	}
	c := schema.Fill(l.config)
	forced, hurry := context.WithCancel(ctx)
	l.hurry = hurry
	l.move(shutdown)
	l.mu.Unlock()
	defer hurry()

	if c.Wait > 0 {
		select {
		case <-time.After(c.Wait):
		case <-forced.Done():
		}
	}
	graced, cancel := context.WithTimeout(forced, c.Grace)
	defer cancel()
	l.mu.Lock()
	l.move(waited)
	stops := l.stops
	l.mu.Unlock()
	errs := make([]error, len(stops))
	var running sync.WaitGroup
	for i, s := range stops {
		running.Go(func() { errs[i] = s.call(graced) })
	}
	running.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = errors.Join(errs...)
	l.move(ended)
	return l.err
}

// call runs the function. One that ends its goroutine counts as one that has returned.
func (s stop) call(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: %w", s.name, core.Recovered(p))
		}
	}()
	if err = s.run(ctx); err != nil {
		err = fmt.Errorf("%s: %w", s.name, err)
	}
	return err
}

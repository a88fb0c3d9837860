// Package feed delivers a machine's events to its listener: in order, each once, one at a time, outside every lock.
package feed

import (
	"sync"

	"github.com/mw-go/mw/core"
)

// Limit is how many events may wait for a listener that hangs. The oldest beyond it are dropped and counted: the
// listener then misses old news, and the machine's memory stays bounded.
const Limit = 1024

// Feed queues events. Push may run under the machine's lock; Deliver must not. The zero Feed drops everything. Safe for
// concurrent use.
type Feed struct {
	listen func(core.Event) // set before use, never changed

	mu         sync.Mutex // guards what follows
	queue      []core.Event
	delivering bool
	dropped    uint64
	panics     uint64
}

// Listen sets the listener; nil drops everything. Call it once, before any other method.
func (f *Feed) Listen(listen func(core.Event)) { f.listen = listen }

// Push queues e. It never blocks on the listener.
func (f *Feed) Push(e core.Event) {
	if f.listen == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) >= Limit {
		f.queue = append(f.queue[:0], f.queue[1:]...)
		f.dropped++
	}
	f.queue = append(f.queue, e)
}

// Deliver hands queued events to the listener until none is left, unless another goroutine (or a caller further up this
// stack) is doing so already: that one then delivers ours too.
func (f *Feed) Deliver() {
	if f.listen == nil {
		return
	}
	for f.deliverOne() {
	}
}

// deliverOne takes one event out and calls the listener. The deferred half runs also when the listener panics or calls
// runtime.Goexit, so that delivering never stays set; after a Goexit, which nothing can stop, it delivers the rest.
func (f *Feed) deliverOne() (more bool) {
	e, ok := f.take()
	if !ok {
		return false
	}
	returned := false
	defer func() {
		f.mu.Lock()
		f.delivering = false
		if !returned {
			f.panics++
		}
		f.mu.Unlock()
		if returned {
			return
		}
		if recover() != nil {
			more = true
		} else {
			f.Deliver()
		}
	}()
	f.listen(e)
	returned = true
	return true
}

func (f *Feed) take() (e core.Event, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.delivering || len(f.queue) == 0 {
		return e, false
	}
	f.delivering = true
	e = f.queue[0]
	f.queue = append(f.queue[:0], f.queue[1:]...)
	return e, true
}

// Faults returns how many events were dropped for a listener that hung and how many times the listener panicked or
// called runtime.Goexit.
func (f *Feed) Faults() (dropped, panics uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dropped, f.panics
}

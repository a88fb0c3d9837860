package pool

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mw-go/mw/core"
)

// waiter is a caller of Acquire that has to wait. It may wait more than once, when what it got was not fit.
type waiter[T any] struct {
	ready chan struct{} // closed when it is answered
	place *list.Element // nil once it is answered
	slot  *slot[T]      // the answer: this, or
	err   error         // why not
	since bool          // it has waited before, and keeps its place at the front
	timer *time.Timer   // ends its patience; nil if that has no end
	late  bool          // its time is up
}

func (w *waiter[T]) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// need takes an idle resource, or waits for one.
func (p *Pool[T]) need(ctx context.Context, s *settings, w *waiter[T]) (*slot[T], error) {
	gone, done := ctx.Err(), ctx.Done() // a context is anybody's code, and may panic: it is asked while nothing is held
	sl, err := p.join(s, w, gone)
	if sl != nil || err != nil {
		return sl, err
	}
	var patience <-chan time.Time
	if s.Config.MaxWait != core.None {
		if w.timer == nil {
			w.timer = time.NewTimer(s.Config.MaxWait)
		}
		patience = w.timer.C
	}
	select {
	case <-w.ready:
		return w.slot, w.err
	case <-patience:
		w.late = true
		if p.leave(w) {
			return w.slot, w.err
		}
		return nil, p.reject(s, core.ReasonWaited)
	case <-done:
		if p.leave(w) {
			return w.slot, w.err
		}
		return nil, p.reject(s, reasonOf(ctx.Err()))
	}
}

// join queues w, unless something is idle after all or it may not wait.
func (p *Pool[T]) join(s *settings, w *waiter[T], gone error) (*slot[T], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, p.errClosed()
	}
	if p.n.queued == 0 || w.since {
		if sl := p.pop(); sl != nil {
			return sl, nil
		}
	}
	if w.late { // what it was handed in the last instant was not fit
		return nil, p.rejected(s, core.ReasonWaited)
	}
	if reason := p.n.admits(&s.Config); reason != 0 && !w.since {
		return nil, p.rejected(s, reason)
	}
	if gone != nil {
		return nil, p.rejected(s, reasonOf(gone))
	}
	w.ready, w.slot, w.err = make(chan struct{}), nil, nil
	if w.since {
		w.place = p.queue.PushFront(w)
	} else {
		w.place = p.queue.PushBack(w)
	}
	w.since = true
	p.n.queued++
	p.gate.Store(1)
	p.serve()
	return nil, nil
}

func reasonOf(err error) core.Reason {
	if errors.Is(err, context.DeadlineExceeded) {
		return core.ReasonExpired
	}
	return core.ReasonLeft
}

// leave takes w out of the queue, and reports whether it has been answered in the same instant. It keeps the answer if only
// its time was up, and passes a resource on if its caller has gone.
func (p *Pool[T]) leave(w *waiter[T]) (answered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case w.place != nil:
		p.remove(w)
	case w.late || w.err != nil:
		return true
	default:
		p.push(w.slot)
	}
	p.serve()
	return false
}

// remove takes w out of the queue. mu is held.
func (p *Pool[T]) remove(w *waiter[T]) {
	p.queue.Remove(w.place)
	w.place = nil
	p.n.queued--
}

// answer wakes the first in the queue; false if nobody waits. mu is held.
func (p *Pool[T]) answer(sl *slot[T], err error) bool {
	e := p.queue.Front()
	if e == nil {
		return false
	}
	w := e.Value.(*waiter[T])
	p.remove(w)
	w.slot, w.err = sl, err
	close(w.ready)
	return true
}

// serve does what has become possible or due: close what is too much, hand over what is idle, create what is wanted.
// mu is held.
func (p *Pool[T]) serve() {
	c := &p.live.Load().Config
	for p.closed && p.answer(nil, p.errClosed()) {
	}
	if p.closed || p.n.surplus(c) > 0 {
		for _, sl := range slices.Backward(p.popAll()) { // the one that has been idle longest first
			if p.closed || p.n.surplus(c) > 0 {
				p.retire(sl)
			} else {
				p.push(sl)
			}
		}
	}
	for p.n.queued > 0 {
		sl := p.pop()
		if sl == nil {
			break
		}
		p.answer(sl, nil)
	}
	if !p.closed {
		for range p.n.wanted(c, p.failing) {
			p.open(c)
		}
	}
	gate := uint32(0)
	if p.closed || p.n.queued > 0 || p.n.surplus(c) > 0 {
		gate = 1
	}
	p.gate.Store(gate)
	if p.closed && p.n.open == 0 && p.jobs == 0 {
		p.finish()
	}
}

// reject counts a rejection and returns it.
func (p *Pool[T]) reject(s *settings, reason core.Reason) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rejected(s, reason)
}

// rejected is reject with mu held.
func (p *Pool[T]) rejected(s *settings, reason core.Reason) error {
	p.count.rejected++
	return &core.Rejection{Kind: core.KindPool, Policy: s.Policy.Name, Reason: reason}
}

func (p *Pool[T]) errClosed() error {
	return fmt.Errorf("pool %q: %w", p.live.Load().Policy.Name, ErrClosed)
}

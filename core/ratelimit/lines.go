package ratelimit

import (
	"container/list"
	"sync"
	"sync/atomic"

	"github.com/mw-go/mw/core"
)

// lines are the queues of waiting calls, one a key. A waiter holds no reservation: only the head of a line charges, when
// its tokens are there, so that leaving needs no refund and a Tune moves everybody at once. The head's own goroutine
// holds the line's only timer.
//
// Lock order: the settings' lock, then mu, then a shard's lock.
type lines struct {
	waiting atomic.Int64 // all lines together; nonzero sends every call through mu, so that nobody overtakes

	mu    sync.Mutex // guards what follows
	byKey map[core.Key]*line
}

// line is the queue of one key.
type line struct {
	key   core.Key
	queue list.List // of *waiter
	owed  int64     // units that the queue will charge
}

// waiter is a place in a line. lines.mu guards it.
type waiter struct {
	line  *line
	place *list.Element
	cost  int64 // units
	ahead int64 // units to be charged before it, as of the last look; 0 for the head
	// looking: the settings have changed since its last look. The head is told, and each in turn tells the next, so that
	// everybody finds a decision made by those before it, and nobody walks the line.
	looking bool
	wake    chan struct{} // has room for one: look again
}

func (w *waiter) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// next returns the waiter behind w, or nil.
func (w *waiter) next() *waiter {
	if e := w.place.Next(); e != nil {
		return e.Value.(*waiter)
	}
	return nil
}

// pass sends a change of settings down the line, from w which has looked at it.
func (w *waiter) pass() {
	if n := w.next(); w.looking && n != nil {
		n.ahead, n.looking = w.ahead+w.cost, true
		n.nudge()
	}
	w.looking = false
}

// owed returns how many units those who wait for the key's tokens will charge.
func (ls *lines) owed(k core.Key) int64 {
	if ls.waiting.Load() == 0 {
		return 0
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ln := ls.byKey[k]; ln != nil {
		return ln.owed
	}
	return 0
}

// join puts a call that will charge cost at the end of the key's line. mu is held.
func (ls *lines) join(k core.Key, cost int64) *waiter {
	if ls.byKey == nil {
		ls.byKey = make(map[core.Key]*line)
	}
	ln := ls.byKey[k]
	if ln == nil {
		ln = &line{key: k}
		ls.byKey[k] = ln
	}
	w := &waiter{line: ln, cost: cost, ahead: ln.owed, wake: make(chan struct{}, 1)}
	w.place = ln.queue.PushBack(w)
	ln.owed += cost
	ls.waiting.Add(1)
	return w
}

// leave takes w out of its line and wakes the one behind it if that is the head now, or has to look in w's stead. mu is held.
func (ls *lines) leave(w *waiter) {
	ln, n := w.line, w.next()
	first := w.place.Prev() == nil
	ln.queue.Remove(w.place)
	ln.owed -= w.cost
	ls.waiting.Add(-1)
	if n == nil {
		if first {
			delete(ls.byKey, ln.key)
		}
		return
	}
	if first || w.looking {
		n.ahead = w.ahead
		n.looking = n.looking || w.looking
		n.nudge()
	}
}

// retime has every waiter look at new settings.
func (ls *lines) retime() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, ln := range ls.byKey {
		head := ln.queue.Front().Value.(*waiter)
		head.looking = true
		head.nudge()
	}
}

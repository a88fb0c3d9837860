package adaptive

import (
	"container/list"
	"context"
	"errors"
	"time"

	"github.com/mw-go/mw/core"
)

// queue holds the calls that wait for a slot, a line for each class. It is guarded by the Limiter's mu.
//
// No wake-up is lost: a waiter first shows itself in gate.waiting and then looks for room; whoever gives room back
// does so first and then looks at gate.waiting. One of the two sees the other.
type queue struct {
	lines [ranks]struct {
		line
		list list.List // of *waiter, in order of arrival
	}
	n int
}

type waiter struct {
	cost   int64
	rank   int
	ready  chan struct{} // closed when it is woken
	place  *list.Element // nil once it is woken
	reason core.Reason   // why it was woken: 0 granted, reasonLetRun, ReasonFull; set before ready is closed
}

// reasonLetRun tells a waiter that the mode has changed and it may run beside the limit.
const reasonLetRun core.Reason = 0x7f

func (q *queue) len() int { return q.n }

// wait queues for slots until they are granted or the wait has to end. cost is what was granted: less than was asked
// if that was more than the limit.
func (l *Limiter) wait(ctx context.Context, s *settings, c core.Call, now core.Time) (cost int64, why core.Reason) {
	if err := ctx.Err(); err != nil {
		return 0, reasonOf(err)
	}
	gone := ctx.Done() // a context is anybody's code, and may panic: it is asked while nothing is held
	w, most := l.join(s, c, now)
	if w == nil {
		return 0, core.ReasonFull
	}
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-w.ready:
		why = w.reason
	case <-t.C:
		why = l.leave(w, core.ReasonWaited)
	case <-gone:
		if why = l.leave(w, core.ReasonLeft); why == core.ReasonLeft {
			why = reasonOf(ctx.Err())
		}
	}
	return w.cost, why
}

func reasonOf(err error) core.Reason {
	if errors.Is(err, context.DeadlineExceeded) {
		return core.ReasonExpired
	}
	return core.ReasonLeft
}

// join puts a call into the queue, for no longer than most; w is nil if there is no place.
func (l *Limiter) join(s *settings, c core.Call, now core.Time) (w *waiter, most time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q, r := &l.queue, rank(c.Class)
	if q.n >= int(s.Config.Queue) && !q.pushOut(l, r) {
		return nil, 0
	}
	// In case a tick has just found that the overload is over. The next one delivers the event: a listener that never
	// returns must not take a waiter with it.
	l.press(s, now)
	ln := &q.lines[r]
	ln.line, most = ln.join(&s.Config, now, r >= l.m.shed.edge)
	w = &waiter{cost: min(c.Tokens(), maxCost), rank: r, ready: make(chan struct{})}
	w.place = ln.list.PushBack(w)
	q.n++
	l.gate.waiting.Store(int32(q.n))
	q.grant(l, l.live.Load())
	return w, most
}

// pushOut makes room for a call in a full queue, at the cost of one that is less critical, or of the oldest in a line
// that serves the newest first anyway.
func (q *queue) pushOut(l *Limiter, r int) bool {
	for victim := ranks - 1; victim >= r; victim-- {
		ln := &q.lines[victim]
		if e := ln.list.Front(); e != nil && (victim > r || ln.last) {
			w := e.Value.(*waiter)
			w.reason = core.ReasonFull
			q.wake(l, w)
			return true
		}
	}
	return false
}

// leave takes w out of the queue. One that has been granted in the same instant keeps its slots if only its time was up,
// and passes them on if its caller has gone.
func (l *Limiter) leave(w *waiter, why core.Reason) core.Reason {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case w.place != nil:
		l.queue.remove(l, w)
	case why == core.ReasonWaited || w.reason != 0:
		return w.reason
	default:
		l.room.Add(-uint64(w.cost))
	}
	l.queue.grant(l, l.live.Load()) // w may have held back cheaper calls, or slots
	return why
}

// remove takes w out of its line.
func (q *queue) remove(l *Limiter, w *waiter) {
	ln := &q.lines[w.rank]
	ln.list.Remove(w.place)
	w.place = nil
	if ln.list.Len() == 0 {
		ln.line = line{}
	}
	q.n--
	l.gate.waiting.Store(int32(q.n))
}

func (q *queue) wake(l *Limiter, w *waiter) {
	q.remove(l, w)
	close(w.ready)
}

// serve grants what can be granted.
func (l *Limiter) serve() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue.grant(l, l.live.Load())
}

// grant wakes those who get slots, the most critical first, or everybody if the mode no longer bounds anything.
func (q *queue) grant(l *Limiter, s *settings) {
	for r := range q.lines {
		ln := &q.lines[r]
		for ln.list.Len() > 0 {
			e := ln.list.Front()
			if ln.last {
				e = ln.list.Back()
			}
			w := e.Value.(*waiter)
			if s.Policy.Mode != core.Enforce {
				w.reason = reasonLetRun
			} else {
				cost, ok := l.takeSlots(w.cost, w.rank)
				if !ok {
					return // nor does anybody less critical go first
				}
				w.cost = cost
			}
			q.wake(l, w)
		}
	}
}

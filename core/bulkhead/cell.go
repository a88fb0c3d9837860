package bulkhead

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/keyed"
)

// cell is the concurrent shell round one room and its queue.
//
// No wake-up is lost: a waiter first shows itself in waiting and then looks for room; whoever gives room back does so
// first and then looks at waiting. One of the two sees the other.
type cell struct {
	b       *Bulkhead
	room    atomic.Uint64
	waiting atomic.Int64

	mu    sync.Mutex // guards what follows
	queue list.List  // of *waiter
}

type waiter struct {
	cost   int64
	ready  chan struct{} // closed when it is woken
	place  *list.Element // nil once it is woken
	reason core.Reason   // why it was woken: 0 granted, reasonLetRun, ReasonTooCostly; set before ready is closed
}

// reasonLetRun tells a waiter that the mode has changed and it may run beside the limit.
const reasonLetRun core.Reason = 0x7f

func (cl *cell) load() room { return room(cl.room.Load()) }

func (cl *cell) alive() bool { return !cl.load().isRetired() }

// Restart has nothing to move: a bulkhead keeps no times.
func (cl *cell) Restart(uint32, core.Time, core.Time) {}

// Progress is never called: the permits are not tracked.
func (cl *cell) Progress(uint32, core.Time, core.Time) {}

// Settle gives the slots back, to the head of the queue if there is one.
func (cl *cell) Settle(cost uint32, _, _ core.Time, _ bool, _ core.Outcome) {
	r := cl.put(int64(cost))
	if cl.waiting.Load() != 0 {
		cl.serve()
	}
	if !cl.b.roomy.Load() {
		cl.relax(r)
	}
}

// put returns slots to the room.
func (cl *cell) put(cost int64) room { return room(cl.room.Add(^uint64(cost) + 1)) }

// takeExactly takes slots for a call and counts it; ok is false if they are not to be had at the first try.
func (cl *cell) takeExactly(cost, limit int64) (next room, ok bool) {
	r := cl.load()
	next, ok = r.take(cost, limit)
	return next + one, ok && cl.waiting.Load() == 0 && !r.isRetired() && cl.room.CompareAndSwap(uint64(r), uint64(next+one))
}

// add takes slots and counts a call without looking, for a cell that was roomy: at most half of its slots were taken. So cores
// that share the word pass it on once for an Acquire and not twice or more. The limit holds all the same: who
// finds the result beyond half of it takes the addition back, and the cell is roomy no more. Until then it stands for a
// call that does not run, but only half the limit of them at one moment could keep out a call that had a slot.
func (cl *cell) add(cost int64) room { return room(cl.room.Add(uint64(room(cost) + one))) }

// takeBack undoes add.
func (cl *cell) takeBack(cost int64) {
	cl.b.roomy.Store(false)
	cl.room.Add(-uint64(room(cost) + one))
	if cl.waiting.Load() != 0 { // who took our addition for a call, and waits
		cl.serve()
	}
}

const (
	minRoomy = 16 // the smallest limit that can be roomy
	maxBlind = 16 // the largest cost that is added without looking: hundreds of thousands at once would overflow a room
)

// relax makes a bulkhead without keys roomy when three quarters of its slots are free.
func (cl *cell) relax(r room) {
	if limit := int64(cl.b.live.Load().Config.Limit); limit >= minRoomy && r.running() <= limit/4 && cl.b.own == cl {
		cl.b.roomy.Store(true)
	}
}

// wait queues for cost slots until they are granted or the wait has to end. ok is false if the cell has been retired.
func (cl *cell) wait(ctx context.Context, s *settings, cost int64) (reason core.Reason, ok bool) {
	if err := ctx.Err(); err != nil {
		return reasonOf(err), true
	}
	gone := ctx.Done() // a context is anybody's code, and may panic: it is asked while nothing is held
	w := &waiter{cost: cost, ready: make(chan struct{})}
	cl.mu.Lock()
	if cl.load().isRetired() {
		cl.mu.Unlock()
		return 0, false
	}
	if reason = overflow(&s.Config, cl.queue.Len(), cost); reason != 0 {
		cl.mu.Unlock()
		return reason, true
	}
	w.place = cl.queue.PushBack(w)
	cl.waiting.Add(1)
	cl.grant(cl.b.live.Load())
	cl.mu.Unlock()

	t := time.NewTimer(s.Config.MaxWait)
	defer t.Stop()
	select {
	case <-w.ready:
		return w.reason, true
	case <-t.C:
		return cl.leave(w, core.ReasonWaited), true
	case <-gone:
		if reason = cl.leave(w, core.ReasonLeft); reason == core.ReasonLeft {
			reason = reasonOf(ctx.Err())
		}
		return reason, true
	}
}

func reasonOf(err error) core.Reason {
	if errors.Is(err, context.DeadlineExceeded) {
		return core.ReasonExpired
	}
	return core.ReasonLeft
}

// leave takes w out of the queue. One that has been granted in the same instant keeps its slots if only its time was
// up, and passes them on if its caller has gone.
func (cl *cell) leave(w *waiter, why core.Reason) core.Reason {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	switch {
	case w.place != nil:
		cl.remove(w)
	case why == core.ReasonWaited || w.reason != 0:
		return w.reason
	default:
		cl.put(w.cost)
	}
	cl.grant(cl.b.live.Load()) // w may have held back cheaper calls, or slots
	return why
}

// remove takes w out of the queue. mu is held.
func (cl *cell) remove(w *waiter) {
	cl.queue.Remove(w.place)
	w.place = nil
	cl.waiting.Add(-1)
}

// serve grants what can be granted. The settings are read under mu: a Tune comes here after it has stored its own, so
// once it has returned nobody grants by older ones.
func (cl *cell) serve() {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.grant(cl.b.live.Load())
}

// grant wakes the heads of the queue that fit or never will, or everybody if the mode no longer bounds anything. mu is
// held.
func (cl *cell) grant(s *settings) {
	for e := cl.queue.Front(); e != nil; e = cl.queue.Front() {
		w := e.Value.(*waiter)
		switch limit := int64(s.Config.Limit); {
		case s.Policy.Mode != core.Enforce:
			w.reason = reasonLetRun
		case w.cost > limit:
			w.reason = core.ReasonTooCostly
		case !cl.tryTake(w.cost, limit):
			return
		}
		cl.remove(w)
		close(w.ready)
	}
}

func (cl *cell) tryTake(cost, limit int64) bool {
	for {
		r := cl.load()
		next, ok := r.take(cost, limit)
		if !ok {
			return false
		}
		if cl.room.CompareAndSwap(uint64(r), uint64(next)) {
			return true
		}
	}
}

// openCell gives a key a new cell.
func (b *Bulkhead) openCell(ref *keyed.Ref[cell], _ core.Key, _ core.Time) { ref.Store(&cell{b: b}) }

// closeCell retires a cell that nobody uses or waits in.
func (b *Bulkhead) closeCell(ref *keyed.Ref[cell], _ core.Time) bool {
	cl := ref.Load()
	if cl == nil {
		return false
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	r := cl.load()
	if r.running() != 0 || cl.queue.Len() != 0 || !cl.room.CompareAndSwap(uint64(r), uint64(r|retired)) {
		return false
	}
	ref.Past += r.admitted()
	ref.Store(nil)
	return true
}

package ratelimit

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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

type line struct {
	queue []*waiter
	owed  int64 // units that the queue will charge
}

type waiter struct {
	cost int64         // units
	wake chan struct{} // has room for one: look again
}

func (w *waiter) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// join appends w to the key's line. mu is held.
func (ls *lines) join(k core.Key, w *waiter) *line {
	if ls.byKey == nil {
		ls.byKey = make(map[core.Key]*line)
	}
	ln := ls.byKey[k]
	if ln == nil {
		ln = &line{}
		ls.byKey[k] = ln
	}
	ln.queue = append(ln.queue, w)
	ln.owed += w.cost
	ls.waiting.Add(1)
	return ln
}

// leave takes w out of its line and wakes the head that follows. mu is held.
func (ls *lines) leave(k core.Key, ln *line, w *waiter) {
	i := slices.Index(ln.queue, w)
	ln.queue = slices.Delete(ln.queue, i, i+1)
	ln.owed -= w.cost
	ls.waiting.Add(-1)
	if len(ln.queue) == 0 {
		delete(ls.byKey, k)
	} else if i == 0 {
		ln.queue[0].nudge()
	}
}

// ahead returns the units that will be charged before w's turn. mu is held.
func (ln *line) ahead(w *waiter) (units int64) {
	for _, x := range ln.queue {
		if x == w {
			break
		}
		units += x.cost
	}
	return units
}

// retime wakes every waiter to look at the new settings.
func (ls *lines) retime() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, ln := range ls.byKey {
		for _, w := range ln.queue {
			w.nudge()
		}
	}
}

// grace is how much later than MaxWait a waiter may be served: timers fire late.
const grace = time.Millisecond

// wait decides on a call that cannot be served at once, or must not overtake those who wait. It fills in d.
func (l *Limiter) wait(ctx context.Context, c core.Call, cost int64, d *core.Decision) {
	k := c.Key
	if l.cells == nil {
		k = core.Key{}
	}
	w := &waiter{cost: cost}
	var ln *line
	arrived := d.Now
	for {
		s, v := l.moment(d.Now)
		d.By = &s.Policy
		l.lines.mu.Lock()
		if ln == nil {
			ln = l.lines.byKey[k]
		}
		done, pause := l.step(ctx, s, v, k, &ln, w, arrived, d)
		l.lines.mu.Unlock()
		if done {
			return
		}
		err := pauseFor(ctx, w, pause)
		d.Now = core.Now()
		if err != nil {
			l.abandon(k, ln, w, err, d)
			return
		}
	}
}

// step makes one attempt for w, which is not in a line yet if w.wake is nil. It reports that d is final, or how long to
// pause: negative for a waiter that is not the head and has no time of its own. mu is held.
func (l *Limiter) step(ctx context.Context, s *settings, v int64, k core.Key, ln **line, w *waiter, arrived core.Time,
	d *core.Decision,
) (done bool, pause time.Duration) {
	queued := w.wake != nil
	finish := func() (bool, time.Duration) {
		if queued {
			l.lines.leave(k, *ln, w)
		}
		return true, 0
	}
	if s.Policy.Mode == core.Disabled {
		d.Remaining = -1
		l.count.Add(countAdmitted, 1)
		return finish()
	}
	ahead := int64(0)
	if *ln != nil {
		ahead = (*ln).ahead(w)
	}
	var short, debt int64
	if ahead == 0 {
		short, debt = l.charge(s, k, d.Now, v, w.cost)
	} else {
		_, short, debt = s.Derived.admit(l.look(k, s, v), v, w.cost)
		short += ahead
	}
	d.Remaining = s.Derived.left(debt)
	if ahead == 0 && short <= 0 {
		l.count.Add(countAdmitted, 1)
		return finish()
	}
	if r := l.giveUp(ctx, s, short, w, d.Now, arrived); r != 0 {
		l.refuse(d, s, r, short, w.cost)
		return finish()
	}
	if !queued {
		w.wake = make(chan struct{}, 1)
		*ln = l.lines.join(k, w)
	}
	if ahead > 0 {
		return false, -1
	}
	return false, s.Derived.wait(short)
}

// giveUp says why a call that lacks short units should not wait (any longer); 0 if it should.
func (l *Limiter) giveUp(ctx context.Context, s *settings, short int64, w *waiter, now, arrived core.Time) core.Reason {
	if s.Policy.Mode == core.Shadow || w.cost > s.Derived.burst {
		return core.ReasonLimited
	}
	until := now.Add(s.Derived.wait(short))
	deadline, limited := ctx.Deadline()
	switch late := until.Sub(arrived) > s.Config.MaxWait; {
	case w.wake == nil && s.Config.MaxWait == 0:
		return core.ReasonLimited
	case w.wake == nil && (late || limited && s.Derived.wait(short) > time.Until(deadline)):
		return core.ReasonTooLong
	case w.wake != nil && until.Sub(arrived) > s.Config.MaxWait+grace:
		return core.ReasonWaited
	}
	return 0
}

// pauseFor sleeps until w is nudged, pause is over (never, if negative) or ctx ends.
func pauseFor(ctx context.Context, w *waiter, pause time.Duration) error {
	var fire <-chan time.Time
	if pause >= 0 {
		t := time.NewTimer(pause)
		defer t.Stop()
		fire = t.C
	}
	select {
	case <-w.wake:
	case <-fire:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// abandon takes a waiter whose context ended out of its line. It has charged nothing.
func (l *Limiter) abandon(k core.Key, ln *line, w *waiter, err error, d *core.Decision) {
	l.lines.mu.Lock()
	l.lines.leave(k, ln, w)
	l.lines.mu.Unlock()
	d.Reason = core.ReasonLeft
	if errors.Is(err, context.DeadlineExceeded) {
		d.Reason = core.ReasonExpired
	}
	l.count.Add(countRejected, 1)
}

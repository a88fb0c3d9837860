package ratelimit

import (
	"context"
	"errors"
	"time"

	"github.com/mw-go/mw/core"
)

// grace is how much later than MaxWait a waiter may be served: timers fire late.
const grace = time.Millisecond

// request is a call that cannot be served at once, or must not overtake those who wait. Its context is anybody's code, and
// may hang or panic: it is asked before the call is in a line, and after it has left it, and never under the lock.
type request struct {
	key     core.Key
	cost    int64 // units
	arrived core.Time
	until   time.Time // its caller's deadline,
	ends    bool      // if there is one
}

// bucket returns the key whose bucket a call charges.
func (l *Limiter) bucket(k core.Key) core.Key {
	if l.cells == nil {
		return core.Key{}
	}
	return k
}

// wait decides on a call by the queue. It fills in d.
func (l *Limiter) wait(ctx context.Context, c core.Call, cost int64, d *core.Decision) {
	r := request{key: l.bucket(c.Key), cost: cost, arrived: d.Now}
	r.until, r.ends = ctx.Deadline()
	gone := ctx.Done()
	var w *waiter // nil until it is in a line
	for {
		s, v := l.moment(d.Now)
		l.lines.mu.Lock()
		if l.live.Load() != s { // with the lock held it stays: a change takes the lock to tell those who wait
			l.lines.mu.Unlock()
			continue
		}
		d.By = &s.Policy
		next, pause := l.step(s, v, r, w, d)
		l.lines.mu.Unlock()
		if next == nil {
			return
		}
		w = next
		alive := w.pause(gone, pause)
		d.Now = core.Now()
		if !alive {
			l.abandon(ctx, w, d)
			return
		}
	}
}

// step makes one attempt for r, which waits as w, or not yet if that is nil. It returns nil when d is final, and
// otherwise the place in line and how long to pause: negative for one that is not the head, and has no time of its own.
// lines.mu is held.
func (l *Limiter) step(s *settings, v int64, r request, w *waiter, d *core.Decision) (*waiter, time.Duration) {
	short, ahead, final := l.attempt(s, v, r, w, d)
	if !final {
		if reason := giveUp(s, short, r, w != nil, d.Now); reason != 0 {
			l.refuse(d, s, reason, short, r.cost)
			final = true
		}
	}
	switch {
	case final && w != nil:
		l.lines.leave(w)
		return nil, 0
	case final:
		return nil, 0
	case w == nil:
		w = l.lines.join(r.key, r.cost)
	}
	w.pass()
	if ahead > 0 {
		return w, -1
	}
	return w, s.Derived.wait(short)
}

// attempt admits r if nobody is ahead of it and its tokens are there. Otherwise it reports how many units are short,
// those counted that will be charged before.
func (l *Limiter) attempt(s *settings, v int64, r request, w *waiter, d *core.Decision) (short, ahead int64, final bool) {
	if s.Policy.Mode == core.Disabled {
		d.Remaining = -1
		l.count.Add(countAdmitted, 1)
		return 0, 0, true
	}
	if w != nil {
		ahead = w.ahead
	} else if ln := l.lines.byKey[r.key]; ln != nil {
		ahead = ln.owed
	}
	var debt int64
	if ahead == 0 {
		short, debt = l.charge(s, r.key, d.Now, v, r.cost)
	} else {
		_, short, debt = s.Derived.admit(l.look(r.key, s, v), v, r.cost)
		short = max(short+ahead, 0)
	}
	d.Remaining = int32(s.Derived.left(debt))
	if ahead == 0 && short <= 0 {
		l.count.Add(countAdmitted, 1)
		return short, ahead, true
	}
	return short, ahead, false
}

// giveUp says why a call that lacks short units should not wait (any longer); 0 if it should.
func giveUp(s *settings, short int64, r request, waiting bool, now core.Time) core.Reason {
	if s.Policy.Mode == core.Shadow || r.cost > s.Derived.burst || !waiting && s.Config.MaxWait == 0 {
		return core.ReasonLimited
	}
	left := s.Derived.wait(short)
	total := now.Add(left).Sub(r.arrived)
	switch {
	case r.ends && left > time.Until(r.until), !waiting && total > s.Config.MaxWait:
		return core.ReasonTooLong
	case waiting && total > s.Config.MaxWait+grace:
		return core.ReasonWaited
	}
	return 0
}

// pause sleeps until w is nudged, d is over (never, if negative) or its caller is gone, and reports whether it is not.
func (w *waiter) pause(gone <-chan struct{}, d time.Duration) (alive bool) {
	var fire <-chan time.Time
	if d >= 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		fire = t.C
	}
	select {
	case <-w.wake:
	case <-fire:
	case <-gone:
		return false
	}
	return true
}

// abandon takes a waiter whose context ended out of its line. It has charged nothing.
func (l *Limiter) abandon(ctx context.Context, w *waiter, d *core.Decision) {
	l.lines.mu.Lock()
	l.lines.leave(w)
	l.lines.mu.Unlock()
	l.count.Add(countRejected, 1)
	d.Reason = core.ReasonLeft
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		d.Reason = core.ReasonExpired
	}
}

package adaptive

import (
	"time"

	"github.com/mw-go/mw/core"
)

// Restart has nothing to move: a call is timed from its permit's start, which core moves.
func (l *Limiter) Restart(uint32, core.Time, core.Time) {}

// Progress takes the latency of a stream at its first response. How long it lasts after that says nothing about load.
func (l *Limiter) Progress(tag uint32, start, now core.Time) {
	now = now.Or()
	l.took(tag, start, now)
	l.tickIfDue(now)
}

// Settle gives the slots back, and hears how the call went if it was timed. The tick comes last: it may tell a
// listener, who may never return.
func (l *Limiter) Settle(tag uint32, start, now core.Time, progressed bool, o core.Outcome) {
	l.room.Add(-uint64(costOf(tag)))
	if start != 0 && !progressed {
		now = now.Or()
		l.hear(tag, start, now, o)
	}
	if l.gate.waiting.Load() != 0 {
		l.serve()
	}
	if start != 0 {
		l.tickIfDue(now.Or())
	}
}

// hear turns an outcome into a latency, a drop, or nothing.
func (l *Limiter) hear(tag uint32, start, now core.Time, o core.Outcome) {
	switch o {
	case core.Success:
		l.took(tag, start, now)
	case core.Timeout, core.Overload:
		l.counters.drop()
	case core.Failure:
		if l.live.Load().Config.FailureDrops {
			l.counters.drop()
		}
	case core.Canceled, core.Expired:
		// Whoever gives up early says nothing about the backend. Who gave up on a call that was slow already must be
		// heard, or impatient users would hide an overload.
		if slow := l.gate.slow.Load(); slow > 0 && now.Sub(start) >= time.Duration(slow) {
			l.took(tag, start, now)
		}
	}
}

// took records a latency, unless the clock has run backwards.
func (l *Limiter) took(tag uint32, start, now core.Time) {
	if d := now.Sub(start); d > 0 {
		l.counters.latency(d, runningOf(tag))
	}
}

func (l *Limiter) tickIfDue(now core.Time) {
	if now >= core.Time(l.gate.due.Load()) {
		l.tick(now)
	}
}

// tick lets the machine take in what has happened, if nobody else is at it.
func (l *Limiter) tick(now core.Time) {
	if !l.mu.TryLock() {
		return
	}
	if now >= core.Time(l.gate.due.Load()) {
		l.advance(now)
	}
	l.mu.Unlock()
	l.live.Feed.Deliver()
}

// advance is a tick. mu is held.
func (l *Limiter) advance(now core.Time) {
	s := l.live.Load()
	in := intake{
		tally: l.counters.drain(), refused: l.gate.refused.Swap(false), ranks: l.gate.seen.Swap(0),
		admitted: room(l.room.Load()).admitted(),
	}
	if l.m.pressed {
		in.arrived = new([levels]uint32)
		for i := range l.arrived {
			in.arrived[i] = l.arrived[i].Swap(0)
		}
	}
	l.m.tick(&s.Config, in, now, fraction(l.random()))
	if l.m.pressed && l.m.shed.over() && l.queue.len() == 0 && !l.gate.refused.Load() {
		l.m.pressed = false
		l.tell(s, "shedding", "admitting", "slots are free", now)
	}
	l.publish(&s.Config, now)
	l.queue.grant(l, s)
}

// publish shows the machine's state to the calls. mu is held.
func (l *Limiter) publish(c *Config, now core.Time) {
	for r, limit := range l.m.caps(c, now) {
		l.gate.caps[r].Store(limit)
	}
	l.gate.thin.Store(l.m.thin)
	l.gate.cut.Store(int32(l.m.shed.cut))
	l.gate.turn.Store(turnOf(now))
	l.gate.pace.Store(int64(l.m.pace(c)))
	l.gate.slow.Store(int64(c.Tolerance * l.m.base.value))
	l.gate.pressed.Store(l.m.pressed)
	if l.m.started {
		l.gate.due.Store(int64(l.m.due))
	}
}

// refuse notes that a call has found no slot.
func (l *Limiter) refuse(now core.Time) {
	if !l.gate.refused.Load() {
		l.gate.refused.Store(true)
	}
	if l.gate.pressed.Load() {
		return
	}
	l.mu.Lock()
	l.press(l.live.Load(), now)
	l.mu.Unlock()
	l.live.Feed.Deliver()
}

// press makes every call look closer. mu is held.
func (l *Limiter) press(s *settings, now core.Time) {
	if l.m.pressed {
		return
	}
	for i := range l.arrived {
		l.arrived[i].Store(0)
	}
	l.m.press(now, room(l.room.Load()).admitted())
	l.publish(&s.Config, now)
	l.tell(s, "admitting", "shedding", "no slot free", now)
}

// tell queues an event. mu is held.
func (l *Limiter) tell(s *settings, from, to, cause string, now core.Time) {
	l.era++
	l.live.Feed.Push(core.Event{
		By: &s.Policy, Type: core.StateChanged, From: from, To: to, Cause: cause, Era: l.era, At: now,
	})
}

// letRun admits a call beside the limit: it is counted in flight, and charges nothing.
func (l *Limiter) letRun(c core.Call) core.Permit {
	cost := min(c.Tokens(), 1<<28)
	l.beside.Add(cost)
	l.count.Add(countBeside, 1)
	return core.NewPermit((*bystander)(l), uint32(cost), 0)
}

// bystander is the side of a Limiter that settles calls let run beside the limit.
type bystander Limiter

// Restart has nothing to move.
func (b *bystander) Restart(uint32, core.Time, core.Time) {}

// Progress is never called: the permits are not tracked.
func (b *bystander) Progress(uint32, core.Time, core.Time) {}

// Settle ends the call.
func (b *bystander) Settle(cost uint32, _, _ core.Time, _ bool, _ core.Outcome) {
	b.beside.Add(-int64(cost))
}

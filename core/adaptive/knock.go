package adaptive

import "github.com/mw-go/mw/core"

// Knock is for whoever turns calls away at a door before the one where Acquire is, and takes nothing. It rejects the calls
// that are above the cut-off during an overload whatever the draw, with ReasonShed: those of a class that is shed as a
// whole, and those whose key is. They count as calls that came and were rejected, so that the cut-off is drawn from all that
// come and not from those that were let in. The rest is for Acquire, which alone knows of slots and of the queue, and draws
// for calls without a key: to draw twice would shed too many. It takes no lock.
func (l *Limiter) Knock(c core.Call) core.Decision {
	s := l.live.At(c.Now)
	d := core.Decision{By: &s.Policy, Now: c.Now, Verdict: core.Verdict{Remaining: -1}}
	if !l.gate.pressed.Load() || s.Policy.Mode != core.Enforce {
		return d
	}
	r := rank(c.Class)
	at := level(r, c.Key, l.gate.turn.Load(), 0) // without a key the first of its class to be let in
	if at <= int(l.gate.cut.Load()) {
		return d
	}
	if c.Key.IsZero() {
		at = level(r, c.Key, 0, l.random())
	}
	d.Now = c.Now.Or()
	l.arrived[at].Add(1)
	l.count.Add(countRejected, 1)
	d.Reason = core.ReasonShed
	return l.hinted(s, d)
}

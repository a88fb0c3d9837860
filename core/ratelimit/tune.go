package ratelimit

import (
	"time"

	"github.com/mw-go/mw/core"
)

// Prepare checks c and returns the function that puts it in force, for transactions over several machines. It holds
// nothing, and commit cannot fail.
func (l *Limiter) Prepare(c Config) (commit func(), err error) {
	put, err := l.live.Prepare(c)
	if err != nil {
		return nil, err
	}
	return func() {
		put()
		l.moment(core.Now()) // completes a change of rate; a call may have done so already
	}, nil
}

// Tune puts c in force: debts are kept, settled at the old rate and clamped to the new burst, whatever the number of
// keys in constant time; waiting calls are timed anew. On error nothing changes.
func (l *Limiter) Tune(c Config) error {
	commit, err := l.Prepare(c)
	if err != nil {
		return err
	}
	commit()
	return nil
}

// Config returns the effective settings, defaults filled in.
func (l *Limiter) Config() Config { return l.live.Load().Config }

// Override puts mode in force for d (0: until Restore) whatever the configuration says; it outlives Tune. Errors: a
// mode other than enforce, shadow and disabled, and a negative d.
func (l *Limiter) Override(mode core.Mode, d time.Duration) error { return l.live.Override(mode, d) }

// Restore ends an override.
func (l *Limiter) Restore() { l.live.Restore() }

// derive makes the clock for c. A change of mode or waits keeps the one there is. A change of rate or burst takes two
// steps: first the old clock is closed, and then, when the closed one is in force and so no call can begin by the
// open one any more, the next call or the tuner itself makes the new one, as of the moment the old one was closed.
func (l *Limiter) derive(old *settings, c Config, now core.Time) clock {
	if old == nil {
		return newClock(nil, c, now)
	}
	k := old.Derived
	if k.closed {
		k = l.follow(&k, old.Config, l.closed)
	}
	if c.Limit != old.Config.Limit || c.Period != old.Config.Period || c.Burst != old.Config.Burst {
		return k.closing()
	}
	if _, yes := k.overdue(now); yes {
		return l.follow(&k, c, now)
	}
	return k
}

// follow makes the clock of c that comes after k at time now, after a sweep if one is due.
func (l *Limiter) follow(k *clock, c Config, now core.Time) clock {
	if v, yes := k.overdue(now); yes {
		l.each(func(cl *cell) { cl.refresh(k, v) })
		k = k.freshened(v)
	}
	return newClock(k, c, now)
}

// changed runs when fresh is in force.
func (l *Limiter) changed(_, fresh *settings, _ core.Time) {
	if fresh.Derived.closed {
		l.closed = core.Now()
	}
	if l.cells != nil {
		l.cells.SetBound(fresh.Config.MaxKeys)
	}
	l.lines.retime()
}

// Snapshot is what a page, a metric or a test reads of a limiter.
type Snapshot struct {
	core.Status
	Config    Config
	Remaining int64 // tokens in the bucket of the zero key
	Waiting   int   // calls waiting for tokens
}

// Snapshot returns the state as of now. It may take locks; it is not for the path of a call.
func (l *Limiter) Snapshot() Snapshot {
	d := l.Peek(core.Call{})
	s := l.live.Load()
	snap := Snapshot{Status: l.live.Status(), Config: s.Config, Remaining: int64(d.Remaining)}
	snap.Admitted = l.count.Load(countAdmitted)
	snap.Rejected = l.count.Load(countRejected)
	snap.Shadowed = l.count.Load(countShadowed)
	snap.Waiting = int(l.lines.waiting.Load())
	if l.cells != nil {
		snap.Keys, snap.Overflowed = l.cells.Len(), l.cells.Spilled()
	}
	return snap
}

// Status returns the part of the Snapshot that all guards share.
func (l *Limiter) Status() core.Status { return l.Snapshot().Status }

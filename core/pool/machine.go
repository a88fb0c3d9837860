package pool

import (
	"time"

	"github.com/mw-go/mw/core"
)

// stack is the head of the idle stack as one word: the number of the slot on top in the lower bits (0: empty), above
// them how many slots lie on it, and above these a tag that every change moves on. So who has read a head and the
// slot below it replaces the head only if nothing has happened in between, though the same slot may be on top again.
// The tag comes round after 2^32 changes: a goroutine would have to sleep through exactly as many between two of its
// instructions.
type stack uint64

const (
	slotBits  = 16
	slotMask  = 1<<slotBits - 1
	depthOne  = stack(1) << slotBits
	tagOne    = stack(1) << (2 * slotBits)
	depthMask = tagOne - depthOne
	tagMask   = ^(tagOne - 1)
)

func (s stack) top() uint32 { return uint32(s & slotMask) }
func (s stack) depth() int  { return int(s & depthMask >> slotBits) }

// push returns the stack with slot on top; the slot must remember the old top as the one below it.
func (s stack) push(slot uint32) stack {
	return s&^stack(slotMask) + tagOne + depthOne | stack(slot)
}

// pop returns the stack without its top, below which lies next.
func (s stack) pop(next uint32) stack {
	return s&^stack(slotMask) + tagOne - depthOne | stack(next)
}

// emptied returns the stack with nothing on it.
func (s stack) emptied() stack { return s&tagMask + tagOne }

// limits are the times of a Config as decisions need them: forever stands for none.
type limits struct {
	life, idle, doubt time.Duration
	beat              time.Duration // how often idle resources are looked over
	track             bool          // who acquires is noted
}

// forever is longer than any time that is compared with it, and its jitter does not overflow.
const forever = time.Duration(1 << 62)

// beats is how often an idle resource is looked at in the time that it may lie idle.
const beats = 8

func orForever(d time.Duration) time.Duration {
	if d == core.None {
		return forever
	}
	return d
}

func limitsOf(c Config, validates bool) limits {
	l := limits{life: orForever(c.MaxLifetime), idle: orForever(c.IdleTimeout), doubt: forever}
	l.track = c.LeakAfter != core.None
	if validates {
		l.doubt = orForever(c.ValidateAfter)
	}
	if l.beat = min(l.life, l.idle); l.beat < forever {
		l.beat /= beats
	}
	return l
}

// ages are the times of one resource.
type ages struct {
	born  core.Time
	since core.Time // idle since
	// spread is its share of the jitter, in 1024ths.
	spread int64
}

// spreadOf draws the share of the jitter of a resource by u, evenly from [0, 1).
func spreadOf(jitter core.Ratio, u float64) int64 {
	if jitter == core.None {
		return 0
	}
	return int64((2*u - 1) * float64(jitter) * 1024)
}

func (a *ages) stretch(d time.Duration) time.Duration { return d + d/1024*time.Duration(a.spread) }

// old reports whether a resource has had its time.
func (a *ages) old(l *limits, now core.Time) bool { return now.Sub(a.born) >= a.stretch(l.life) }

// stale reports whether a resource has been idle for so long that one beyond Min is closed.
func (a *ages) stale(l *limits, now core.Time) bool { return now.Sub(a.since) >= a.stretch(l.idle) }

// doubtful reports whether a resource has been idle for so long that it is validated before use.
func (a *ages) doubtful(l *limits, now core.Time) bool { return now.Sub(a.since) >= l.doubt }

// census counts the places taken.
type census struct {
	open     int // resources that are idle, out or being created
	creating int // those of them that are being created
	closing  int // those that are no longer open and still being closed
	queued   int // callers that wait; the first of them, as many as creating, wait for what is being created
}

// room is how many more resources may be created.
func (n *census) room(c *Config) int { return max(c.Max-n.open-n.closing, 0) }

// surplus is how many resources are to be closed as soon as they are idle.
func (n *census) surplus(c *Config) int { return max(n.open-c.Max, 0) }

// unserved is how many callers wait for whom nothing is being created.
func (n *census) unserved() int { return max(n.queued-n.creating, 0) }

// wanted is how many resources are to be created now: for those who wait, if nothing is idle, and up to Min unless
// creating has just failed.
func (n *census) wanted(c *Config, failing bool) int {
	want := n.unserved()
	if !failing {
		want = max(want, c.Min-n.open)
	}
	return min(want, n.room(c))
}

// admits says what becomes of a caller that finds nothing idle: it may wait (0), or there are too many already.
func (n *census) admits(c *Config) core.Reason {
	if n.room(c) > 0 || n.queued-n.creating < int(max(c.Queue, 0)) {
		return 0
	}
	return core.ReasonFull
}

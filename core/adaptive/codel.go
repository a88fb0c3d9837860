package adaptive

import (
	"time"

	"github.com/mw-go/mw/core"
)

// line is how long calls of one class may wait, and in which order: controlled delay in the form of Facebook's
// (Maurer, Fail at Scale, 2015). A line that has been empty of late holds a burst, which the next moments will serve:
// calls wait in order of arrival for up to QueueInterval. One that has not been empty for that long holds calls that
// came too many: those wait no longer than QueueTarget, and the newest, whose callers are still there, go first.
//
// Each class has its own, and only that in which the cut-off lies, and less critical ones, can be flooded: of more
// critical calls there are fewer than the slots can carry, however long a burst of them lasts.
type line struct {
	busy  bool // calls are waiting
	since core.Time
	last  bool // the newest first
}

// join returns the line with one more call, and how long that may wait.
func (l line) join(c *Config, now core.Time, flooded bool) (line, time.Duration) {
	if !l.busy {
		l = line{busy: true, since: now}
	}
	l.last = flooded && now.Sub(l.since) >= c.QueueInterval
	if l.last {
		return l, c.QueueTarget
	}
	return l, c.QueueInterval
}

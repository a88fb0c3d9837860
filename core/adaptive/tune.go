package adaptive

import (
	"time"

	"github.com/mw-go/mw/core"
)

// Prepare checks c and returns the function that puts it in force, for transactions over several machines. It holds
// nothing, and commit cannot fail.
func (l *Limiter) Prepare(c Config) (commit func(), err error) { return l.live.Prepare(c) }

// Tune puts c in force. Calls in flight stay: below their number the limit is reached by attrition. A larger limit wakes
// waiting calls. The limit and the baseline that were found stay, within the new bounds. On error nothing changes.
func (l *Limiter) Tune(c Config) error { return l.live.Tune(c) }

// Config returns the effective settings, defaults filled in.
func (l *Limiter) Config() Config { return l.live.Load().Config }

// Override puts mode in force for d (0: until Restore) whatever the configuration says; it outlives Tune. Errors: a mode
// other than enforce, shadow and disabled, and a negative d.
func (l *Limiter) Override(mode core.Mode, d time.Duration) error { return l.live.Override(mode, d) }

// Restore ends an override.
func (l *Limiter) Restore() { l.live.Restore() }

// changed holds the limit within the new bounds and lets waiting calls start that may.
func (l *Limiter) changed(_, fresh *settings, now core.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.m.control = l.m.clamped(&fresh.Config)
	l.publish(&fresh.Config, now)
	l.queue.grant(l, fresh)
}

// Snapshot is what a page, a metric or a test reads of a limiter.
type Snapshot struct {
	core.Status
	Config   Config
	Limit    int           // calls at once, as of now; lower for a moment during a probe
	Running  int64         // slots taken, those of calls that shadow and disabled mode let run included
	Peak     int           // the most calls in flight of late
	Waiting  int           // calls in the queue
	Baseline time.Duration // the unloaded latency; 0 until it is known
	Latency  time.Duration // of late
	Shedding bool          // calls are being held back
	Probing  bool
	CutClass core.Class // while Shedding: calls of less critical classes are shed,
	CutShare float64    // and those of this class but for this share
}

// Snapshot returns the state as of now. It takes the lock; it is not for the path of a call.
func (l *Limiter) Snapshot() Snapshot {
	snap := Snapshot{Status: l.live.Status(), Config: l.Config(), Running: l.beside.Load()}
	taken := room(l.room.Load())
	snap.Running += taken.running()
	snap.Admitted = taken.admitted() + l.count.Load(countBeside)
	snap.Rejected, snap.Shadowed = l.count.Load(countRejected), l.count.Load(countShadowed)
	l.mu.Lock()
	defer l.mu.Unlock()
	snap.Limit, snap.Waiting = int(l.m.effective(&snap.Config)), l.queue.len()
	snap.Peak, snap.Probing, snap.Shedding = int(l.m.peak), l.m.probing != 0, l.m.pressed
	snap.Baseline, snap.Latency = time.Duration(l.m.base.value), time.Duration(l.m.base.now.latency)
	snap.CutClass = core.CriticalPlus + core.Class(l.m.shed.cut/places)
	snap.CutShare = float64(l.m.shed.cut%places+1) / places
	return snap
}

// Status returns the part of the Snapshot that all guards share.
func (l *Limiter) Status() core.Status { return l.Snapshot().Status }

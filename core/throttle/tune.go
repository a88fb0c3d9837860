package throttle

import (
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/window"
)

// Prepare checks c and returns the function that puts it in force, for transactions over several machines. It holds
// nothing, and commit cannot fail.
func (t *Throttle) Prepare(c Config) (commit func(), err error) { return t.live.Prepare(c) }

// Tune puts c in force. The counts stay, put where they belong in a longer or shorter window. On error nothing changes.
func (t *Throttle) Tune(c Config) error { return t.live.Tune(c) }

// Config returns the effective settings, defaults filled in.
func (t *Throttle) Config() Config { return t.live.Load().Config }

// Override puts mode in force for d (0: until Restore) whatever the configuration says; it outlives Tune. Errors: a mode
// other than enforce, shadow and disabled, and a negative d.
func (t *Throttle) Override(mode core.Mode, d time.Duration) error { return t.live.Override(mode, d) }

// Restore ends an override.
func (t *Throttle) Restore() { t.live.Restore() }

// changed moves the counts into a new window.
func (t *Throttle) changed(old, fresh *settings, now core.Time) {
	if old.Config.Window == fresh.Config.Window {
		return
	}
	for r := range t.classes {
		cl := &t.classes[r]
		cl.window.Store(cl.window.Load().Resize(window.NewLayout(now, fresh.Config.Window), now))
	}
}

// Snapshot is what a page, a metric or a test reads of a throttle.
type Snapshot struct {
	core.Status
	Config   Config
	Outcomes [core.Outcomes]uint64 // lifetime counts of results
	Classes  [ranks]ClassSnapshot  // the most critical first
}

// ClassSnapshot is the state of the calls of one class.
type ClassSnapshot struct {
	Class      core.Class
	Requests   int64   // in the window
	Accepts    int64   // of those
	Odds       float64 // with which a call is rejected
	Throttling bool    // calls have been rejected, and the window still holds something bad
}

// Snapshot returns the state as of now. It is not for the path of a call.
func (t *Throttle) Snapshot() Snapshot {
	snap := Snapshot{Status: t.live.Status(), Config: t.Config()}
	for o := range snap.Outcomes {
		snap.Outcomes[o] = t.count.Load(o)
		snap.Admitted += snap.Outcomes[o]
	}
	snap.Rejected, snap.Shadowed = t.count.Load(countRejected), t.count.Load(countShadowed)
	now := core.Now()
	for r := range t.classes {
		cl := &t.classes[r]
		sum := cl.window.Load().Sum(now)
		snap.Classes[r] = ClassSnapshot{
			Class: classOf(r), Requests: sum.Total(), Accepts: sum.Good, Odds: odds(&snap.Config, sum),
			Throttling: cl.throttling.Load() && sum.Bad > 0,
		}
	}
	return snap
}

// Status returns the part of the Snapshot that all guards share. A call counts as admitted when it ends.
func (t *Throttle) Status() core.Status { return t.Snapshot().Status }

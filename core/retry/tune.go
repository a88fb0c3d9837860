package retry

import (
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
)

// Prepare checks c and returns the function that puts it in force, for transactions over several machines. It holds
// nothing, and commit cannot fail.
func (r *Retry) Prepare(c Config) (commit func(), err error) { return r.live.Prepare(c) }

// Tune puts c in force for calls that begin from now on; the budget keeps its balance. On error nothing changes.
func (r *Retry) Tune(c Config) error { return r.live.Tune(c) }

// Config returns the effective settings, defaults filled in.
func (r *Retry) Config() Config { return r.live.Load().Config }

// Override puts mode in force for d (0: until Restore) whatever the configuration says; it outlives Tune. Errors: a
// mode other than enforce, shadow and disabled, and a negative d.
func (r *Retry) Override(mode core.Mode, d time.Duration) error { return r.live.Override(mode, d) }

// Restore ends an override.
func (r *Retry) Restore() { r.live.Restore() }

// Budget returns the budget that the retry takes from: that of its Hooks, or its own.
func (r *Retry) Budget() *budget.Budget { return r.budget }

// Snapshot is what a page, a metric or a test reads of a retry. Status.Admitted counts calls begun, Status.Rejected those
// that ended because the budget had no token for them, and Status.Shadowed those that shadow mode did not retry although
// it would have.
type Snapshot struct {
	core.Status
	Config  Config
	Budget  budget.Snapshot
	Retries uint64          // attempts made beyond the first of each call
	Rescued uint64          // calls that succeeded at a further attempt
	GaveUp  [Reasons]uint64 // calls that failed, by reason
}

// Snapshot returns the state as of now. It may take locks; it is not for the path of a call.
func (r *Retry) Snapshot() Snapshot {
	snap := Snapshot{
		Status: r.live.Status(), Config: r.Config(), Budget: r.budget.Snapshot(),
		Retries: r.count.Load(countRetries), Rescued: r.count.Load(countRescued),
	}
	snap.Admitted, snap.Shadowed = r.count.Load(countBegun), r.count.Load(countShadowed)
	for why := range Reason(reasons) {
		snap.GaveUp[why] = r.count.Load(countGaveUp + int(why))
	}
	snap.Rejected = snap.GaveUp[ReasonBudget] + snap.GaveUp[ReasonNested]
	return snap
}

// Status returns the part of the Snapshot that all machines share.
func (r *Retry) Status() core.Status { return r.Snapshot().Status }

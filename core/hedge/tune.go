package hedge

import (
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
)

// Prepare checks c and returns the function that puts it in force, for transactions over several machines. It holds
// nothing, and commit cannot fail.
func (h *Hedge) Prepare(c Config) (commit func(), err error) { return h.live.Prepare(c) }

// Tune puts c in force for calls that begin from now on; samples and tokens stay. On error nothing changes.
func (h *Hedge) Tune(c Config) error { return h.live.Tune(c) }

// Config returns the effective settings, defaults filled in.
func (h *Hedge) Config() Config { return h.live.Load().Config }

// Override puts mode in force for d (0: until Restore) whatever the configuration says; it outlives Tune. Errors: a
// mode other than enforce, shadow and disabled, and a negative d.
func (h *Hedge) Override(mode core.Mode, d time.Duration) error { return h.live.Override(mode, d) }

// Restore ends an override.
func (h *Hedge) Restore() { h.live.Restore() }

// Budget returns the budget of its Hooks, nil if it has none.
func (h *Hedge) Budget() *budget.Budget { return h.hooks.Budget }

// Outermost returns what its Hooks say: whether it is the hedge that tells the Budget of the calls.
func (h *Hedge) Outermost() bool { return h.hooks.Outermost }

// Snapshot is what a page, a metric or a test reads of a hedge. Status.Admitted counts calls begun, Status.Rejected
// those for which a further attempt was wanted and none was made, because Ratio and Burst, MaxStragglers or the Budget
// did not allow it, and Status.Shadowed those that would have had one but for shadow mode.
type Snapshot struct {
	core.Status
	Config     Config
	Delay      time.Duration // in force; below zero while there are too few samples for one
	Tokens     float64       // extra attempts that Ratio and Burst allow at this moment
	Extra      uint64        // extra attempts made
	Won        uint64        // calls that an extra attempt has answered
	Lost       uint64        // attempts that ended after their call was decided
	Stragglers int           // attempts whose call is decided and that still run
	Losers     int           // these and those that are going to be: at most MaxStragglers
	Panics     uint64        // panics and Goexits that reached no caller: in attempts that had lost, and in OnLoser
}

// Snapshot returns the state as of now. It may take locks; it is not for the path of a call.
func (h *Hedge) Snapshot() Snapshot {
	s := h.live.At(0)
	snap := Snapshot{
		Status: h.live.Status(), Config: s.Config, Delay: s.Derived.at(core.Now()),
		Tokens: float64(bucket(h.tokens.Load()).put(s.Derived.rates, 0)) / token,
		Extra:  h.count.Load(countExtra), Won: h.count.Load(countWon), Lost: h.count.Load(countLost),
		Stragglers: int(h.stragglers.Load()), Losers: int(h.losers.Load()), Panics: h.count.Load(countPanics),
	}
	snap.Admitted, snap.Rejected = h.count.Load(countBegun), h.count.Load(countRefused)
	snap.Shadowed = h.count.Load(countShadowed)
	return snap
}

// Status returns the part of the Snapshot that all machines share.
func (h *Hedge) Status() core.Status { return h.Snapshot().Status }

package breaker

import (
	"math/bits"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/keyed"
)

// Snapshot is what a page, a metric or a test reads of a breaker. State, Window and Probes of a Keyed breaker are those
// of the zero key.
type Snapshot struct {
	core.Status // Admitted counts a call when it ends
	Config      Config
	State       State
	Era         uint32
	Since       core.Time // when the state was entered
	Until       core.Time // Open: when it ends
	Cause       string    // of the last change of state
	Good, Bad   int64     // results in the window; 0 unless closed
	InARow      int64     // consecutive failures
	Probing     int       // probes running
	Outcomes    [core.Outcomes]uint64
	OpenKeys    int // keyed: cells that are open or half-open
}

// Snapshot returns the state as of now. It may take locks; it is not for the path of a call.
func (b *Breaker) Snapshot() Snapshot {
	snap := Snapshot{Status: b.live.Status()}
	s := b.live.Load()
	snap.Config = s.Config
	for o := range core.Outcomes {
		snap.Outcomes[o] = b.count.Load(o)
		snap.Admitted += snap.Outcomes[o]
	}
	snap.Rejected, snap.Shadowed = b.count.Load(countRejected), b.count.Load(countShadowed)
	if b.cells != nil {
		snap.Keys, snap.Overflowed = b.cells.Len(), b.cells.Spilled()
		b.cells.Range(func(_ core.Key, ref *keyed.Ref[cell]) {
			if cl := ref.Load(); cl != nil && cl.phase.Load().state != Closed {
				snap.OpenKeys++
			}
		})
	}
	b.look(core.Key{}).read(s, &snap)
	return snap
}

func (cl *cell) read(s *settings, snap *Snapshot) {
	now := core.Now()
	cl.mu.Lock()
	m, ph := cl.m, cl.phase.Load()
	cl.mu.Unlock()
	snap.State, snap.Era, snap.Since, snap.Cause = m.state, m.era, m.since, m.cause
	snap.Probing = bits.OnesCount32(m.probe.running)
	switch m.state {
	case Closed:
		sum := cl.window(ph, s, now).Sum(now)
		snap.Good, snap.Bad, snap.InARow = sum.Good, sum.Bad, ph.inARow.Load()
	case Open:
		snap.Until = m.until
	}
}

// Status returns the part of the Snapshot that all guards share.
func (b *Breaker) Status() core.Status { return b.Snapshot().Status }

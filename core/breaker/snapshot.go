package breaker

import (
	"math/bits"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/keyed"
	"github.com/mw-go/mw/core/latency"
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
	Latency     Pace      // with Latency.Watch
	Outcomes    [core.Outcomes]uint64
	OpenKeys    int // keyed: cells that are open or half-open
}

// Pace is what the rules on slow calls see. Count, Quantile, InFlight, Overdue and Kernels are 0 unless the breaker is closed and
// watches.
type Pace struct {
	Count    uint64        // durations in the window
	Quantile time.Duration // the one that the rules speak of; 0 while there are too few calls
	Baseline time.Duration // what it usually is; 0 until it is learned
	Limit    time.Duration // from which on a call is slow to some rule; core.Never if none has a threshold
	InFlight int64         // calls that have begun and not ended, nor answered
	Overdue  int64         // those of them that are slow already
	Kernels  latency.Stats
}

// Latencies returns the durations in the window of the zero key's closed state, for a page, an export or a merge; empty
// without Latency.Watch.
func (b *Breaker) Latencies() latency.Snapshot { return b.latenciesOf(core.Key{}) }

func (b *Breaker) latenciesOf(k core.Key) (s latency.Snapshot) {
	if cl := b.look(k); cl != nil {
		if w := cl.phase.Load().pace.Load(); w != nil {
			return w.Snapshot(0)
		}
	}
	return s
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
	m, ph, p := cl.m, cl.phase.Load(), cl.pace
	cl.mu.Unlock()
	snap.State, snap.Era, snap.Since, snap.Cause = m.state, m.era, m.since, m.cause
	snap.Probing = bits.OnesCount32(m.probe.running)
	switch m.state {
	case Closed:
		sum := cl.window(ph, s, now).Sum(now)
		snap.Good, snap.Bad, snap.InARow = sum.Good, sum.Bad, ph.inARow.Load()
		snap.Latency.readWindow(ph.pace.Load(), &s.Config, p, now)
	case Open:
		snap.Until = m.until
	}
	snap.Latency.Limit = p.limit(&s.Config.Latency)
	if p.lessons >= learnt {
		snap.Latency.Baseline = time.Duration(p.baseline)
	}
}

// readWindow fills in what is known of the window; nil if there is none.
func (p *Pace) readWindow(w *latency.Window, c *Config, now pace, at core.Time) {
	if w == nil || !c.Latency.Watch {
		return
	}
	p.Count, p.InFlight, p.Kernels = w.Count(at), w.InFlight(), w.Stats()
	p.Quantile, _ = w.Quantile(at, c.Latency.Quantile)
	if limit := now.limit(&c.Latency); limit != core.Never {
		p.Overdue = w.Overdue(at, limit)
	}
}

// Status returns the part of the Snapshot that all guards share.
func (b *Breaker) Status() core.Status { return b.Snapshot().Status }

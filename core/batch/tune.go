package batch

import (
	"time"

	"github.com/mw-go/mw/core"
)

// Prepare checks c and returns the function that puts it in force, for transactions over several machines. It holds
// nothing, and commit cannot fail.
func (b *Batcher[Req, Resp]) Prepare(c Config) (commit func(), err error) { return b.live.Prepare(c) }

// Tune puts c in force. Items that are held stay, and batches that run go on. On error nothing changes.
func (b *Batcher[Req, Resp]) Tune(c Config) error { return b.live.Tune(c) }

// Config returns the effective settings, defaults filled in.
func (b *Batcher[Req, Resp]) Config() Config { return b.live.Load().Config }

// Override puts mode in force for d (0: until Restore) whatever the configuration says; it outlives Tune. Errors: a
// mode other than enforce, shadow and disabled, and a negative d.
func (b *Batcher[Req, Resp]) Override(mode core.Mode, d time.Duration) error {
	return b.live.Override(mode, d)
}

// Restore ends an override.
func (b *Batcher[Req, Resp]) Restore() { b.live.Restore() }

// changed applies new settings to the batch that is being collected and to those who wait.
func (b *Batcher[Req, Resp]) changed(_, fresh *settings, now core.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if g := b.open; g != nil {
		b.timer.Stop()
		if why := g.pile.enough(&fresh.Config); why != notYet {
			b.seal(why)
		} else {
			b.setTimer(max(fresh.Config.Delay-now.Sub(g.pile.since), 1)) // what is due goes below, or when a batch has run
		}
	}
	b.advance()
}

// Snapshot is what a page, a metric or a test reads of a batcher. Items/Batches is the mean size.
type Snapshot struct {
	core.Status
	Config     Config
	Collecting int // items of the batch that is being collected
	Held       int // items that do not run yet, those included
	Running    int // batches
	Waiting    int // callers without a place

	Batches uint64 // that have stopped collecting, for one of these reasons:
	Full    uint64 // MaxItems
	Heavy   uint64 // MaxBytes
	Due     uint64 // Delay
	Drained uint64 // Close, or another mode
	Items   uint64 // that have run in batches
	Paper   uint64 // batches that the items of shadow mode would have made
}

// Snapshot returns the state as of now. It takes the lock; it is not for the path of a call.
func (b *Batcher[Req, Resp]) Snapshot() Snapshot {
	snap := Snapshot{Status: b.live.Status(), Config: b.Config()}
	snap.Admitted, snap.Rejected = b.count.Load(countAdmitted), b.count.Load(countRejected)
	snap.Shadowed = b.count.Load(countShadowed)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open != nil {
		snap.Collecting = b.open.pile.items
	}
	snap.Held, snap.Running, snap.Waiting = b.held, b.running, b.queue.Len()
	snap.Full, snap.Heavy, snap.Due, snap.Drained = b.sent[full], b.sent[heavy], b.sent[due], b.sent[drained]
	snap.Batches = snap.Full + snap.Heavy + snap.Due + snap.Drained
	snap.Items, snap.Paper = b.items, b.drawn
	return snap
}

// Status returns the part of the Snapshot that all machines share.
func (b *Batcher[Req, Resp]) Status() core.Status { return b.Snapshot().Status }

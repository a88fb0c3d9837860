package bulkhead

import (
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/keyed"
)

// Prepare checks c and returns the function that puts it in force, for transactions over several machines. It holds
// nothing, and commit cannot fail.
func (b *Bulkhead) Prepare(c Config) (commit func(), err error) { return b.live.Prepare(c) }

// Tune puts c in force. Calls in flight stay: below their number the limit is reached by attrition. A larger limit
// wakes waiting calls. On error nothing changes.
func (b *Bulkhead) Tune(c Config) error { return b.live.Tune(c) }

// Config returns the effective settings, defaults filled in.
func (b *Bulkhead) Config() Config { return b.live.Load().Config }

// Override puts mode in force for d (0: until Restore) whatever the configuration says; it outlives Tune. Errors: a
// mode other than enforce, shadow and disabled, and a negative d.
func (b *Bulkhead) Override(mode core.Mode, d time.Duration) error { return b.live.Override(mode, d) }

// Restore ends an override.
func (b *Bulkhead) Restore() { b.live.Restore() }

// changed lets waiting calls start that may by the new settings.
func (b *Bulkhead) changed(_, fresh *settings, _ core.Time) {
	if b.cells != nil {
		b.cells.SetBound(fresh.Config.MaxKeys)
	}
	b.each(func(cl *cell, _ uint64) { cl.serve() })
}

// each visits every cell, with the calls admitted by those that had its place before.
func (b *Bulkhead) each(visit func(cl *cell, past uint64)) {
	if b.cells == nil {
		visit(b.own, 0)
		return
	}
	b.cells.Range(func(_ core.Key, ref *keyed.Ref[cell]) { visit(ref.Load(), ref.Past) })
}

// Snapshot is what a page, a metric or a test reads of a bulkhead.
type Snapshot struct {
	core.Status
	Config  Config
	Running int64 // slots taken, those of calls that shadow and disabled mode let run included
	Waiting int
}

// Snapshot returns the state as of now. It may take locks; it is not for the path of a call.
func (b *Bulkhead) Snapshot() Snapshot {
	snap := Snapshot{Status: b.live.Status(), Config: b.Config(), Running: b.beside.Load()}
	snap.Admitted = b.count.Load(countBeside)
	snap.Rejected, snap.Shadowed = b.count.Load(countRejected), b.count.Load(countShadowed)
	b.each(func(cl *cell, past uint64) {
		r := cl.load()
		snap.Running += r.running()
		snap.Admitted += past + r.admitted()
		snap.Waiting += int(cl.waiting.Load())
	})
	if b.cells != nil {
		snap.Keys, snap.Overflowed = b.cells.Len(), b.cells.Spilled()
	}
	return snap
}

// Status returns the part of the Snapshot that all guards share.
func (b *Bulkhead) Status() core.Status { return b.Snapshot().Status }

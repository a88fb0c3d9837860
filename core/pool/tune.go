package pool

import (
	"fmt"
	"time"

	"github.com/mw-go/mw/core"
)

// Prepare checks c and returns the function that puts it in force, for transactions over several machines. It holds
// nothing, and commit cannot fail.
func (p *Pool[T]) Prepare(c Config) (commit func(), err error) { return p.live.Prepare(c) }

// Tune puts c in force. Resources out stay: below their number Max is reached as they come back. A larger Max creates
// for those who wait. On error nothing changes.
func (p *Pool[T]) Tune(c Config) error { return p.live.Tune(c) }

// Config returns the effective settings, defaults filled in.
func (p *Pool[T]) Config() Config { return p.live.Load().Config }

// Override accepts core.Enforce alone: a pool has no other mode.
func (p *Pool[T]) Override(mode core.Mode, d time.Duration) error {
	if mode != core.Enforce {
		return fmt.Errorf("pool %q: override %v is not allowed; allowed: enforce", p.live.Load().Policy.Name, mode)
	}
	return p.live.Override(mode, d)
}

// Restore ends an override.
func (p *Pool[T]) Restore() { p.live.Restore() }

// counts are the lifetime counts that are taken under the lock.
type counts struct {
	rejected, created, createFailures, closed, closeFailures, expired, invalid, discarded uint64
}

// Snapshot is what a page, a metric or a test reads of a pool. Status.Admitted counts leases when they end.
type Snapshot struct {
	core.Status
	Config    Config
	Idle      int
	Out       int // leased, or just handed to a caller
	Creating  int
	Closing   int
	Waiting   int
	Abandoned int // runs of Create and Close that did not return in time and have lost their places

	Created, CreateFailures uint64
	Closed, CloseFailures   uint64
	Expired                 uint64 // closed for their age or for being idle; part of Closed, as the next two
	Invalid                 uint64 // refused by Validate
	Discarded               uint64
}

// Snapshot returns the state as of now. It takes the lock; it is not for the path of a call.
func (p *Pool[T]) Snapshot() Snapshot {
	snap := Snapshot{Status: p.live.Status(), Config: p.Config()}
	for _, sl := range *p.slots.Load() {
		snap.Admitted += sl.era.Load()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.count
	snap.Creating, snap.Closing, snap.Waiting, snap.Abandoned = p.n.creating, p.n.closing, p.n.queued, p.abandoned
	snap.Idle = stack(p.idle.Load()).depth()
	snap.Out = p.n.open - p.n.creating - snap.Idle
	snap.Rejected, snap.Created, snap.CreateFailures = c.rejected, c.created, c.createFailures
	snap.Closed, snap.CloseFailures = c.closed, c.closeFailures
	snap.Expired, snap.Invalid, snap.Discarded = c.expired, c.invalid, c.discarded
	return snap
}

// Status returns the part of the Snapshot that all machines share.
func (p *Pool[T]) Status() core.Status { return p.Snapshot().Status }

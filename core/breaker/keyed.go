package breaker

import (
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/keyed"
	"github.com/mw-go/mw/core/latency"
)

// Keyed is a Breaker with a state of its own for each Call.Key, such as a host. At most about MaxKeys active keys are
// told apart; idle ones are forgotten without loss, and new ones beyond the bound share one state. Trip, Reset and State
// of the Breaker in it are for the zero Key. Make one with NewKeyed.
type Keyed struct{ Breaker }

// NewKeyed returns a breaker with a state for each key. Errors are those of New.
func NewKeyed(name string, c Config, h Hooks) (*Keyed, error) {
	b := &Keyed{}
	if err := b.start(name, c, h); err != nil {
		return nil, err
	}
	b.cells = keyed.New(b.Config().MaxKeys, keyed.Rules[keyed.Ref[cell]]{Start: b.openCell, Retire: b.closeCell})
	return b, nil
}

// TripKey is Trip for one key.
func (b *Keyed) TripKey(k core.Key, d time.Duration) { b.trip(k, d) }

// ResetKey is Reset for one key.
func (b *Keyed) ResetKey(k core.Key) { b.reset(k) }

// State returns the state of one key; Closed for a key never seen or forgotten, or one that shares the overflow cell.
func (b *Keyed) State(k core.Key) State { return b.look(k).state() }

// Latencies is that of a Breaker, for one key.
func (b *Keyed) Latencies(k core.Key) latency.Snapshot { return b.latenciesOf(k) }

// retired is added to the pins of a cell that is out of service.
const retired = -1 << 62

// streak is for how many windows a run of consecutive failures, or a learned baseline of latencies, is remembered in a
// cell that is otherwise idle.
const streak = 10

// cell returns the cell of a call.
func (b *Breaker) cell(c core.Call) *cell {
	if b.cells == nil {
		return b.own
	}
	return keyed.Need(b.cells, c.Key, c.Now, (*cell).alive)
}

func (cl *cell) alive() bool { return cl.pins.Load() >= 0 }

// pinned returns the cell of a call with a pin on it.
func (b *Breaker) pinned(c core.Call) *cell {
	for {
		if cl := b.cell(c); cl.pin() {
			return cl
		}
	}
}

// look returns a key's cell, nil if it has none.
func (b *Breaker) look(k core.Key) *cell {
	if b.cells == nil {
		return b.own
	}
	return keyed.Look(b.cells, k)
}

func (cl *cell) state() State {
	if cl == nil {
		return Closed
	}
	return cl.phase.Load().state
}

// pin keeps a keyed cell from being retired; false if it is.
func (cl *cell) pin() bool {
	if cl.b.cells == nil {
		return true
	}
	if cl.pins.Add(1) > 0 {
		return true
	}
	cl.pins.Add(-1)
	return false
}

func (cl *cell) unpin() {
	if cl.b.cells != nil {
		cl.pins.Add(-1)
	}
}

// openCell gives a key a new cell.
func (b *Breaker) openCell(ref *keyed.Ref[cell], k core.Key, now core.Time) {
	ref.Store(newCell(b, k, now, 1))
}

// closeCell retires a cell that holds no information: closed and stable, nothing in its window, no permit out.
func (b *Breaker) closeCell(ref *keyed.Ref[cell], now core.Time) bool {
	cl := ref.Load()
	if cl == nil || !cl.idle(now) || !cl.pins.CompareAndSwap(0, retired) {
		return false
	}
	if !cl.idle(now) { // a result arrived between the two looks
		cl.pins.Add(-retired)
		return false
	}
	ref.Store(nil)
	return true
}

func (cl *cell) idle(now core.Time) bool {
	c := &cl.b.live.Load().Config
	ph := cl.phase.Load()
	if ph.state != Closed || ph.window.Load().Sum(now).Total() > 0 {
		return false
	}
	if c.ConsecutiveFailures != core.None && ph.inARow.Load() > 0 &&
		now.Sub(core.Time(ph.lastBad.Load())) < streak*c.Window {
		return false
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if w := ph.pace.Load(); w != nil && w.Count(now) > 0 || cl.pace.lessons > 0 && now.Sub(cl.pace.seen) < streak*c.Window {
		return false
	}
	return cl.m.state == Closed && (cl.m.opened == 0 || now.Sub(cl.m.since) >= c.Window)
}

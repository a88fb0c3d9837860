package bulkhead

import "github.com/mw-go/mw/core"

// room is the state of a cell as one word: the slots taken in the lower bits and, above them, how many calls have been
// admitted so far, so that counting costs no operation of its own. The lifetime count wraps at 2^40.
type room uint64

const (
	runningBits = 24
	runningMask = 1<<runningBits - 1
	retired     = room(1) << (runningBits - 1) // a cell out of service; limits stay far below
)

func (r room) running() int64   { return int64(r & (runningMask &^ retired)) }
func (r room) admitted() uint64 { return uint64(r >> runningBits) }
func (r room) isRetired() bool  { return r&retired != 0 }

// one is an admitted call in a room's count.
const one = room(1) << runningBits

// take returns the state with cost more slots taken; ok is false, and the state as it was, if they do not fit. It counts
// nothing: slots may be taken for a waiting call that turns out to have left.
func (r room) take(cost, limit int64) (next room, ok bool) {
	if r.running()+cost > limit {
		return r, false
	}
	return r + room(cost), true
}

// overflow says what becomes of a call that found no room: queue it (0), or reject it for the reason returned.
func overflow(c *Config, waiting int, cost int64) core.Reason {
	switch {
	case cost > int64(c.Limit):
		return core.ReasonTooCostly
	case waiting >= c.Queue:
		return core.ReasonFull
	default:
		return 0
	}
}

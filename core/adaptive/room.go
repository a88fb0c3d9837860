package adaptive

// room is the calls in flight as one word: their slots in the lower bits and, above them, how many calls have been
// admitted so far, so that counting costs no operation of its own and every call has a number. The lifetime count
// wraps at 2^40.
type room uint64

const (
	runningBits = 24
	runningMask = 1<<runningBits - 1
	one         = room(1) << runningBits // an admitted call in a room's count
)

func (r room) running() int64   { return int64(r & runningMask) }
func (r room) admitted() uint64 { return uint64(r >> runningBits) }

// A permit's tag holds the slots that the call takes and, if it is timed, how many were taken when it began.
const (
	costBits = 12
	maxCost  = 1<<costBits - 1
	maxTag   = 1<<(29-costBits) - 1 // core.TagBits is 29
)

func tagOf(cost, running int64) uint32 { return uint32(cost | min(running, maxTag)<<costBits) }

func costOf(tag uint32) int64    { return int64(tag & maxCost) }
func runningOf(tag uint32) int64 { return int64(tag >> costBits) }

package core

import "context"

// Class is how critical a call is, from Google's SRE book. Only shedding looks at it.
type Class uint8

// The classes, most critical last to go. The zero Class is treated as Critical.
const (
	Unclassified Class = iota
	CriticalPlus
	Critical
	SheddablePlus
	Sheddable
)

// Call is what a guard needs to know of a call. The zero Call is valid.
type Call struct {
	Now   Time   // the adapter's reading of the clock; 0: the guard reads it if it needs to
	Key   Key    // which cell of a keyed guard; others ignore it
	Cost  uint32 // tokens or slots; 0 means 1
	Class Class
}

// Tokens returns the cost, 1 if it is not set.
func (c Call) Tokens() int64 { return int64(max(c.Cost, 1)) }

// Guard admits calls. Every guard of this module has this shape, so an adapter is written once for a transport and
// not once for a policy. Implementations are safe for concurrent use.
type Guard interface {
	// Acquire decides. It may wait, if the policy is configured to; then it ends no later than ctx and Decision.Now is
	// later than Call.Now. The Permit is the zero Permit unless the call is admitted.
	//
	// ctx is looked at only while waiting: a done ctx does not keep a guard that would not wait from admitting.
	Acquire(ctx context.Context, c Call) (Permit, Decision)
	// Peek returns what Acquire would decide now (or that it would queue, as admitted) and takes nothing.
	Peek(c Call) Decision
}

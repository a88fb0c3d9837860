package core

import "context"

// Event is a change of a machine that operators want to hear of: a breaker that opened, a policy that was tuned. Calls
// admitted or rejected are counted, not told. It is a value; keep it as long as you like.
type Event struct {
	By    *Policy
	Key   Key // the cell of a keyed machine; zero otherwise
	Type  EventType
	From  string // the state, mode or setting before
	To    string // and after
	Cause string // why, in a few fixed words: "failure rate", "probes succeeded", "operator"
	Era   uint32 // orders the state changes of one cell
	At    Time
}

// EventType tells what changed.
type EventType uint8

// The event types.
const (
	StateChanged EventType = iota // a breaker went from From to To
	ModeChanged                   // the effective mode changed, by configuration, override or its expiry
	Tuned                         // new settings are in force
)

var eventNames = [...]string{"state_changed", "mode_changed", "tuned"}

// String returns the name used in logs and metrics.
func (t EventType) String() string {
	if int(t) < len(eventNames) {
		return eventNames[t]
	}
	return "unknown"
}

// Hooks are the functions a guard calls. They are fixed when it is made: functions are not configuration. The zero Hooks
// is valid.
type Hooks struct {
	// Classify turns what a call returned into an Outcome, in Do. Adapters classify for themselves. nil means
	// Classify. It runs in the caller's goroutine, under no lock.
	Classify func(ctx context.Context, err error) Outcome
	// OnEvent hears the machine's events, in order and each once, one at a time, under no lock, in the goroutine of
	// some call that caused one. It may call back into the machine. A slow listener delays that one call and later events, not the
	// machine; a panic in it is caught and counted (Snapshot has the count), so that a permit is never lost to it.
	OnEvent func(Event)
}

package fallback

import "github.com/mw-go/mw/core"

// verdict says what becomes of a step.
type verdict uint8

const (
	pass  verdict = iota // it is not for this call
	would                // it would have run, but for shadow mode
	full                 // it is for this call, and has no place
	run
)

// decide says what becomes of a step in a mode, with so many calls in it, if its condition holds or not. next is how
// many are in it then.
func decide(mode core.Mode, holds bool, running int64, limit core.Count) (v verdict, next int64) {
	switch {
	case mode == core.Disabled || !holds:
		return pass, running
	case mode == core.Shadow:
		return would, running
	case limit != core.None && running >= int64(limit):
		return full, running
	default:
		return run, running + 1
	}
}

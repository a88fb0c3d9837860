package core

// Status is the part of a machine's Snapshot that all machines share: what a page, a metric or a test reads. Counts are
// lifetime counts; each is exact, and several read together may be a few calls apart.
type Status struct {
	Policy        Policy
	Overridden    bool   // an operator's override is in force
	OverrideUntil Time   // when it ends; 0 when it lasts until restored, or there is none
	Admitted      uint64 // calls admitted (a runner: begun), those in shadow and disabled mode included
	Rejected      uint64
	Shadowed      uint64 // calls that shadow mode admitted although the policy would have rejected them
	Keys          int    // cells of a keyed guard, idle ones included
	Overflowed    uint64 // calls that found every cell taken by an active key and shared the overflow cell
	EventsDropped uint64 // events lost because the listener hung
	EventPanics   uint64 // panics of the listener
}

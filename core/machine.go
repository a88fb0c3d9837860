package core

import "time"

// Machine is a machine under operation, guard or runner: what a page, metrics and an operator's console need of any of
// them.
type Machine interface {
	// Status returns the shared part of the machine's Snapshot. It may take locks.
	Status() Status
	// Override puts a mode in force for d (0: until Restore) whatever the configuration says. It outlives reloads.
	Override(mode Mode, d time.Duration) error
	// Restore ends an override.
	Restore()
}

//go:build race

package trace

// raceEnabled: the race detector allocates for itself.
const raceEnabled = true

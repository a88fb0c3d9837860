//go:build race

package compress

// raceEnabled: the race detector allocates for itself.
const raceEnabled = true

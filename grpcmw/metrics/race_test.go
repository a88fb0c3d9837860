//go:build race

package metrics

// raceEnabled: the race detector allocates for itself.
const raceEnabled = true

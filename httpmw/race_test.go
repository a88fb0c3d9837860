//go:build race

package httpmw

// raceEnabled: the race detector allocates for itself.
const raceEnabled = true

//go:build race

package otelmetrics

// raceEnabled: the race detector allocates for itself.
const raceEnabled = true

package adaptive

import "math"

// vegas keeps the number of calls that queue in the backend, as told by the latency beyond the unloaded one, between two
// bounds, after TCP Vegas and the VegasLimit of Netflix's concurrency-limits, whose constants it has.
func vegas(c *Config, limit float64, w sample, base float64) float64 {
	step := max(1, math.Log10(limit))
	if w.overDropped(c) {
		return limit - step
	}
	if base == 0 || w.count == 0 {
		return limit
	}
	queued := math.Ceil(limit * (1 - base/max(w.latency, base)))
	switch {
	case queued > 6*step:
		return limit - step
	case w.dropped > 0 || queued >= 3*step:
		return limit
	case queued <= step:
		return limit + 6*step
	default:
		return limit + step
	}
}

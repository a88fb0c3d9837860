package adaptive

// aimd raises the limit by one until calls are dropped or take longer than is healthy, and then lowers it by a
// factor. It assumes nothing about latencies, so without MaxHealthyLatency it sees only a backend that rejects calls
// or times out.
func aimd(c *Config, limit float64, w sample, _ float64) float64 {
	switch {
	case w.overDropped(c), c.MaxHealthyLatency > 0 && w.latency > float64(c.MaxHealthyLatency):
		return limit * float64(c.Backoff)
	case w.dropped > 0:
		return limit
	default:
		return limit + 1
	}
}

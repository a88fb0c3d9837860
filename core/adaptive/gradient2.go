package adaptive

import "math"

// gradient2 moves the limit by the gradient between the unloaded latency and that of the window, after the
// Gradient2Limit of Netflix's concurrency-limits. It differs in that room for a queue is added only while the
// gradient allows growth (added always, as there, it lets the limit creep up in mild overload), and that dropped
// calls count.
func gradient2(c *Config, limit float64, w sample, base float64) float64 {
	g := 1.0
	if base > 0 && w.count > 0 {
		g = min(max(c.Tolerance*base/w.latency, 0.5), 1)
	}
	if w.overDropped(c) {
		g = min(g, max(1-w.dropShare(), 0.5))
	}
	aim := limit * g
	if g == 1 && w.dropped == 0 {
		aim += max(4, math.Sqrt(limit))
	}
	s := float64(c.Smoothing)
	return (1-s)*limit + s*aim
}

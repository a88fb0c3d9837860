package adaptive

import (
	"math"
	"time"

	"github.com/mw-go/mw/core"
)

// control finds the limit. A plain value: each window takes one and returns the next. Time and randomness are arguments.
type control struct {
	limit float64
	base  baseline
	peak  float64 // the most calls in flight of late; old ones fade

	probing core.Time // a probe is on until then; 0: none is
	probed  core.Time // when the next is due; 0: the limit holds nobody back
}

// sample is what a window has seen of the calls that ended in it.
type sample struct {
	span    time.Duration
	count   int     // latencies taken
	latency float64 // their geometric mean in nanoseconds, not below quick
	running float64 // the mean of the calls in flight when they began
	most    int     // the most in flight when one of them began
	dropped int     // calls that were dropped; they are not in count
	refused bool    // calls were held back for want of a slot
}

func (w sample) dropShare() float64 { return float64(w.dropped) / float64(max(w.count+w.dropped, 1)) }

// overDropped reports whether enough calls were dropped to lower the limit for it.
func (w sample) overDropped(c *Config) bool {
	return w.dropped > 0 && w.dropShare() >= float64(c.DropShare)
}

// begin returns the state before any call.
func begin(c *Config) control { return control{limit: float64(c.InitialLimit)} }

const (
	fading     = 10 * time.Second // over which the most calls in flight are forgotten
	probeDepth = 0.6              // of the limit, during a probe
	probeLen   = 8                // windows: one until the calls feel it, the others to see
	eager      = 10               // the first probe comes that many times sooner, and one after a find
)

// next takes in a window that ended at now.
func (m control) next(c *Config, w sample, now core.Time, random float64) control {
	m.peak = max(m.peak*math.Exp(-float64(w.span)/float64(fading)), float64(w.most))
	frozen := w.refused || float64(w.most) >= 0.9*m.effective(c)
	limit := m.limit
	if m.probing == 0 && (float64(w.most) >= m.limit/2 || w.overDropped(c)) { // else nobody has tried it
		limit = algorithms[c.Algorithm](c, m.limit, w, m.base.value)
	}
	if limit < m.limit && c.Algorithm != AIMD && !w.overDropped(c) {
		limit = min(max(limit, m.base.floor()), m.limit)
	}
	before := m.base.value
	m.base = m.base.learn(c, w, frozen)
	m.limit = max(limit, m.base.room) // the fall was a mistake, if there is room
	m = m.probe(c, frozen, m.base.value < before, now, random)
	return m.clamped(c)
}

var algorithms = [...]func(c *Config, limit float64, w sample, base float64) float64{gradient2, vegas, aimd}

// clamped holds the limit within what the settings allow.
func (m control) clamped(c *Config) control {
	if c.Headroom > 0 && m.peak > 0 {
		m.limit = min(m.limit, max(c.Headroom*m.peak, float64(c.InitialLimit)))
	}
	m.limit = min(max(m.limit, float64(c.MinLimit)), float64(c.MaxLimit))
	return m
}

// probe begins and ends the moments in which a limiter under lasting overload runs with a lower limit.
func (m control) probe(c *Config, frozen, fell bool, now core.Time, random float64) control {
	if c.Probe < 0 || c.Algorithm == AIMD || m.base.value == 0 || !frozen && m.probing == 0 {
		m.probing, m.probed = 0, 0
		return m
	}
	soon, later := m.due(c.Probe/eager, now, random), m.due(c.Probe, now, random)
	switch {
	case m.probed == 0 || fell:
		m.probing, m.probed = 0, soon
	case m.probing != 0 && now >= m.probing:
		m.probing, m.probed = 0, later
	case m.probing == 0 && now >= m.probed:
		m.probing = now.Add(probeLen * m.length(c))
	}
	return m
}

// due is the time about d from now, give or take a quarter.
func (m control) due(d time.Duration, now core.Time, random float64) core.Time {
	return now.Add(time.Duration(float64(d) * (0.75 + random/2)))
}

// effective is the limit in force, as a number of calls.
func (m control) effective(c *Config) float64 {
	if m.probing != 0 {
		return max(math.Floor(m.limit*probeDepth), float64(c.MinLimit))
	}
	return math.Floor(m.limit)
}

// length is how long a window has to be: long enough for the calls to feel the last change of the limit.
func (m control) length(c *Config) time.Duration {
	return max(c.Window, time.Duration(m.base.value))
}

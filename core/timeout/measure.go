package timeout

import (
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/latency"
)

// refresh is how long a limit taken from the samples stands: ten times a second is quick beside a window of seconds,
// and asking for a quantile at every call would cost more than the call.
const refresh = 100 * time.Millisecond

// measure is what a snapshot of the settings makes of the calls: the limit and the floor in force.
type measure struct {
	name   string
	config Config
	window *latency.Window // nil if the settings ask for no quantile
	now    atomic.Pointer[bound]
	busy   atomic.Bool // somebody is renewing it
}

// bound is a limit and a floor, immutable.
type bound struct {
	cause *Error        // carries the limit
	floor time.Duration // the least time a caller must have left
	at    core.Time     // when it was taken
	taken bool          // from the samples; else it waits for the first call, whose time it then is
}

// derive makes the measure of new settings. It goes on with the samples of the old.
func derive(name string, old *settings, c Config) *measure {
	m := &measure{name: name, config: c}
	if c.Adaptive || c.RestQuantile != core.None {
		shape := latency.Config{Window: c.Window}
		if old != nil {
			m.window = old.Derived.window
		}
		if m.window == nil {
			m.window, _ = latency.New(shape) // our range of Window is within its own: neither call can fail
		} else if old.Config.Window != c.Window {
			_ = m.window.Tune(0, shape)
		}
	}
	m.now.Store(&bound{cause: &Error{Policy: name, Limit: c.Limit}, floor: c.MinRest})
	return m
}

// learns reports whether samples are wanted. The measure of disabled mode is nil, and wants none.
func (m *measure) learns() bool { return m != nil && m.window != nil }

// at returns the bound in force at time now (0: the clock is read if it is needed). One caller renews it, the others
// go on with the last.
func (m *measure) at(now core.Time) *bound {
	b := m.now.Load()
	if m.window == nil {
		return b
	}
	now = now.Or()
	if age := now.Sub(b.at); b.taken && age >= 0 && age < refresh || !m.busy.CompareAndSwap(false, true) {
		return b
	}
	defer m.busy.Store(false)
	return m.renew(now)
}

// renew takes the bound from the samples. The caller is the only one.
func (m *measure) renew(now core.Time) *bound {
	b := &bound{cause: m.now.Load().cause, floor: m.config.MinRest, at: now, taken: true}
	if m.config.Adaptive {
		q, ok := m.window.Quantile(now, float64(m.config.Quantile))
		if limit := adapt(&m.config, q, ok); limit != b.cause.Limit {
			b.cause = &Error{Policy: m.name, Limit: limit}
		}
	}
	if r := m.config.RestQuantile; r != core.None {
		if q, ok := m.window.Quantile(now, float64(r)); ok {
			b.floor = max(b.floor, q)
		}
	}
	m.now.Store(b)
	return b
}

// learn takes the sample of a call. limit is what bounded it, nil if nothing of ours did.
func (m *measure) learn(now core.Time, o core.Outcome, took time.Duration, limit *bound) {
	if m.window == nil {
		return
	}
	var most time.Duration
	if limit != nil {
		most = limit.cause.Limit
	}
	if d, ok := sample(o, took, most); ok {
		m.window.Record(now, d)
	}
}

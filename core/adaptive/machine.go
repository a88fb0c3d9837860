package adaptive

import (
	"time"

	"github.com/mw-go/mw/core"
)

// machine is everything that a Limiter decides by, but for the calls in flight and in the queue: the limit, the
// shares, the cut-off. It moves at ticks, which come from the calls themselves, about one a window. Time and
// randomness are arguments; time that runs backwards stands still. It changes in place: see shedder.
type machine struct {
	control
	shed    shedder
	pressed bool // calls are being held back: new ones are counted by level, and cut off

	started bool
	opened  core.Time // when the window began
	stepped core.Time // when the shedder last moved
	due     core.Time // of the next tick
	thin    uint64    // calls whose number has one of these bits are not timed

	sum      tally
	refused  bool // in this window
	blocked  bool // since the shedder last moved
	arrived  [levels]uint32
	admitted uint64 // lifetime count when the shedder last moved

	seen  [ranks]bool // calls of a class have come
	heard [ranks]core.Time
}

// intake is what has happened since the last tick.
type intake struct {
	tally    tally
	refused  bool
	arrived  *[levels]uint32 // nil: nobody counted
	admitted uint64          // lifetime count
	ranks    uint32          // bit set of the classes that came
}

const (
	stale     = 10               // lengths after which a window without enough samples is dropped
	reserving = 10 * time.Second // how long slots are held back for a class that has come
	enough    = 512              // latencies in a window; of more, every second is taken, or fourth, ...
	few       = enough / 4
	maxThin   = 63
	invited   = 0.05 // of the calls that the slots carry: so many rejected ones are told to come back in that time
	longest   = 60   // times RetryAfter: nobody is told to wait longer
)

// first returns a machine before any call.
func first(c *Config) *machine {
	m := &machine{control: begin(c)}
	m.shed.begin()
	return m
}

// tick takes in what has happened up to now.
func (m *machine) tick(c *Config, in intake, now core.Time, random float64) {
	if !m.started {
		m.started, m.opened, m.stepped = true, now, now
	}
	now = max(now, m.opened)
	m.sum = m.sum.plus(in.tally)
	m.refused = m.refused || in.refused
	m.blocked = m.blocked || in.refused
	for r := range ranks {
		if in.ranks&(1<<r) != 0 {
			m.seen[r], m.heard[r] = true, now
		}
	}
	m.window(c, now, random)
	m.step(c, in, now)
	m.due = min(m.opened.Add(m.length(c)), m.stepped.Add(c.Window))
	if m.due <= now { // samples are missing
		m.due = now.Add(max(m.length(c), c.Window) / stale)
	}
}

// window closes the window if it is time.
func (m *machine) window(c *Config, now core.Time, random float64) {
	span, n := now.Sub(m.opened), int(m.sum.count+m.sum.dropped)
	switch {
	case span < m.length(c):
		return
	case n >= c.MinSamples:
		m.control = m.next(c, m.sum.sample(span, m.refused), now, random)
		for ; n > enough && m.thin < maxThin; n /= 2 {
			m.thin = 2*m.thin + 1
		}
		if n < few {
			m.thin /= 2
		}
	case span < stale*m.length(c):
		return
	default: // a few calls long ago and a few now say nothing together
		m.thin = 0
	}
	m.sum, m.refused, m.opened = tally{}, false, now
}

// step moves the cut-off.
func (m *machine) step(c *Config, in intake, now core.Time) {
	if in.arrived != nil {
		for i, n := range in.arrived {
			m.arrived[i] += n
		}
	}
	span := now.Sub(m.stepped)
	if span < c.Window {
		return
	}
	if m.pressed {
		n := 0
		for _, calls := range m.arrived {
			n += int(calls)
		}
		switch {
		case n >= c.MinSamples:
			m.shed.step(&m.arrived, span, m.capacity(c, in.admitted, span), m.blocked)
		case span < stale*c.Window:
			return
		default:
			m.shed.rest(m.blocked)
		}
	}
	m.arrived, m.blocked, m.stepped, m.admitted = [levels]uint32{}, false, now, in.admitted
}

// capacity is how many calls a second the slots carry: as many as they did, or could by Little's law.
func (m *machine) capacity(c *Config, admitted uint64, span time.Duration) float64 {
	rate := float64(admitted-m.admitted) / span.Seconds()
	if m.base.now.latency > 0 {
		rate = max(rate, m.effective(c)/m.base.now.latency*float64(time.Second))
	}
	return rate
}

// pace is the time between two calls that are told to come back; 0 if it is not known what the slots carry.
func (m *machine) pace(c *Config) time.Duration {
	return time.Duration(m.base.now.latency / (invited * m.effective(c)))
}

// appoint says when a call that is rejected now may come back, if next is the earliest time that is not given away, and
// gives that time away.
func appoint(next, now core.Time, after, pace time.Duration) (at, then core.Time) {
	at = min(max(next, now.Add(after)), now.Add(longest*after))
	return at, at.Add(pace)
}

// press begins to count calls by level, when one has been held back.
func (m *machine) press(now core.Time, admitted uint64) {
	m.shed.begin()
	m.pressed, m.arrived = true, [levels]uint32{}
	if m.started {
		m.stepped, m.admitted = max(now, m.stepped), admitted
	}
}

// caps are the limits of the classes. Slots are held back for more critical calls only while such calls come.
func (m *machine) caps(c *Config, now core.Time) (caps [ranks]int64) {
	limit := m.effective(c)
	shares := [ranks]core.Ratio{1, c.ShareCritical, c.ShareSheddablePlus, c.ShareSheddable}
	above := false
	for r := range ranks {
		caps[r] = int64(limit)
		if above {
			caps[r] = max(int64(limit*float64(shares[r])+0.5), 1)
		}
		above = above || m.seen[r] && now.Sub(m.heard[r]) < reserving
	}
	caps[0] = int64(m.limit) // no probe is worth a call of the highest class
	return caps
}

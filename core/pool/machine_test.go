package pool

import (
	"math"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

func TestStack(t *testing.T) {
	s := stack(0)
	below := []uint32{0}
	for _, slot := range []uint32{1, 7, 10000, slotMask} {
		below = append(below, s.top())
		before := s
		s = s.push(slot)
		if s.top() != slot || s.depth() != len(below)-1 || s&tagMask == before&tagMask {
			t.Fatalf("after push %d: top %d, depth %d", slot, s.top(), s.depth())
		}
	}
	for i := len(below) - 1; i > 0; i-- {
		before := s
		s = s.pop(below[i])
		if s.top() != below[i] || s.depth() != i-1 || s&tagMask == before&tagMask {
			t.Fatalf("after a pop: top %d, depth %d", s.top(), s.depth())
		}
	}
	last := s | tagMask // the tag comes round
	if next := last.push(5); next.top() != 5 || next.depth() != 1 || next&tagMask != 0 {
		t.Errorf("the tag spills over: %x", uint64(next))
	}
	full := s.push(3).push(4)
	if e := full.emptied(); e.top() != 0 || e.depth() != 0 || e&tagMask == full&tagMask {
		t.Errorf("emptied: %x", uint64(e))
	}
}

func TestLimits(t *testing.T) {
	c := Config{MaxLifetime: core.None, IdleTimeout: core.None, ValidateAfter: time.Second, LeakAfter: core.None}
	for name, test := range map[string]struct {
		change    func(c *Config)
		validates bool
		want      limits
	}{
		"nothing ends":       {func(*Config) {}, true, limits{forever, forever, time.Second, forever, false}},
		"nothing validates":  {func(*Config) {}, false, limits{forever, forever, forever, forever, false}},
		"never validated":    {func(c *Config) { c.ValidateAfter = core.None }, true, limits{forever, forever, forever, forever, false}},
		"idle is shorter":    {func(c *Config) { c.IdleTimeout, c.MaxLifetime = 8*time.Second, time.Hour }, false, limits{time.Hour, 8 * time.Second, forever, time.Second, false}},
		"lifetime is":        {func(c *Config) { c.IdleTimeout, c.MaxLifetime = time.Hour, 80*time.Second }, false, limits{80 * time.Second, time.Hour, forever, 10 * time.Second, false}},
		"leaks are reported": {func(c *Config) { c.LeakAfter = time.Minute }, false, limits{forever, forever, forever, forever, true}},
	} {
		c := c
		test.change(&c)
		if got := limitsOf(c, test.validates); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

func TestAges(t *testing.T) {
	const start = core.Time(-5e18) // as in a bubble
	l := &limits{life: 100 * time.Second, idle: 10 * time.Second, doubt: time.Second}
	for _, test := range []struct {
		name                 string
		a                    ages
		now                  core.Time
		old, stale, doubtful bool
	}{
		{"new", ages{start, start, 0}, start, false, false, false},
		{"the clock runs back", ages{start, start, 0}, start - 1e18, false, false, false},
		{"just sound", ages{start, start, 0}, start + 1e9 - 1, false, false, false},
		{"doubtful", ages{start, start, 0}, start + 1e9, false, false, true},
		{"stale", ages{start, start, 0}, start + 1e10, false, true, true},
		{"used meanwhile", ages{start, start + 99e9, 0}, start + 99e9, false, false, false},
		{"old", ages{start, start + 99e9, 0}, start + 100e9, true, false, true},
		{"its share of the jitter is -0.5", ages{start, start, -512}, start + 51e9, true, true, true},
		{"its share of the jitter is 0.5", ages{start, start, 512}, start + 14e9, false, false, true},
		{"a lifetime that saturates", ages{math.MinInt64, math.MaxInt64, 0}, math.MaxInt64, true, false, false},
	} {
		if got := test.a.old(l, test.now); got != test.old {
			t.Errorf("%s: old %v", test.name, got)
		}
		if got := test.a.stale(l, test.now); got != test.stale {
			t.Errorf("%s: stale %v", test.name, got)
		}
		if got := test.a.doubtful(l, test.now); got != test.doubtful {
			t.Errorf("%s: doubtful %v", test.name, got)
		}
	}
	none := limitsOf(Config{MaxLifetime: core.None, IdleTimeout: core.None, ValidateAfter: core.None, LeakAfter: core.None}, true)
	for _, spread := range []int64{-512, 0, 512} {
		a := ages{0, 0, spread}
		if now := core.Time(50 * 365 * 24 * time.Hour); a.old(&none, now) || a.stale(&none, now) || a.doubtful(&none, now) {
			t.Errorf("none ends after fifty years, spread %d", spread)
		}
	}
}

// TestJitterIsHeld: no share is beyond the Config's, both ends are reached, and the mean is nothing.
func TestJitterIsHeld(t *testing.T) {
	const d = 1000 * time.Second
	var sum time.Duration
	least, most := forever, time.Duration(0)
	for i := range 10001 {
		a := ages{spread: spreadOf(0.1, float64(i)/10001)}
		got := a.stretch(d)
		sum += got
		least, most = min(least, got), max(most, got)
	}
	if least < 900*time.Second || least > 901*time.Second || most > 1100*time.Second || most < 1099*time.Second {
		t.Errorf("from %v to %v", least, most)
	}
	if mean := sum / 10001; (mean - d).Abs() > d/1000 {
		t.Errorf("the mean is %v", mean)
	}
	if spreadOf(core.None, 0.99) != 0 {
		t.Error("jitter without jitter")
	}
}

func TestCensus(t *testing.T) {
	c := &Config{Max: 4, Min: 2, Queue: 1}
	for _, test := range []struct {
		name            string
		n               census
		failing         bool
		room, surplus   int
		unserved, wants int
		admits          core.Reason
	}{
		{"empty, below Min", census{}, false, 4, 0, 0, 2, 0},
		{"empty, but creating fails", census{}, true, 4, 0, 0, 0, 0},
		{"one waits, below Min", census{queued: 1}, false, 4, 0, 1, 2, 0},
		{"one waits, but creating fails", census{queued: 1}, true, 4, 0, 1, 1, 0},
		{"more wait than Min", census{queued: 3}, false, 4, 0, 3, 3, 0},
		{"more wait than there is room for", census{queued: 9}, false, 4, 0, 9, 4, 0},
		{"what is being created is enough", census{open: 3, creating: 2, queued: 2}, false, 1, 0, 0, 0, 0},
		{"it is not", census{open: 3, creating: 1, queued: 2}, false, 1, 0, 1, 1, 0},
		{"full, the queue has room", census{open: 4}, false, 0, 0, 0, 0, 0},
		{"full, and so is the queue", census{open: 4, queued: 1}, false, 0, 0, 1, 0, core.ReasonFull},
		{"full, but those who wait are served", census{open: 4, creating: 1, queued: 1}, false, 0, 0, 0, 0, 0},
		{"closing takes a place", census{open: 2, closing: 2, queued: 1}, false, 0, 0, 1, 0, core.ReasonFull},
		{"closing keeps below Min", census{open: 1, closing: 3}, false, 0, 0, 0, 0, 0},
		{"Max has shrunk", census{open: 6}, false, 0, 2, 0, 0, 0},
		{"Max has shrunk, closing", census{open: 4, closing: 2}, false, 0, 0, 0, 0, 0},
	} {
		if got := test.n.room(c); got != test.room {
			t.Errorf("%s: room %d", test.name, got)
		}
		if got := test.n.surplus(c); got != test.surplus {
			t.Errorf("%s: surplus %d", test.name, got)
		}
		if got := test.n.unserved(); got != test.unserved {
			t.Errorf("%s: unserved %d", test.name, got)
		}
		if got := test.n.wanted(c, test.failing); got != test.wants {
			t.Errorf("%s: wanted %d", test.name, got)
		}
		if got := test.n.admits(c); got != test.admits {
			t.Errorf("%s: admits %v", test.name, got)
		}
	}
	nobody := &Config{Max: 1, Queue: core.None}
	for _, test := range []struct {
		n    census
		want core.Reason
	}{{census{}, 0}, {census{open: 1}, core.ReasonFull}, {census{open: 1, creating: 1, queued: 1}, core.ReasonFull}, {census{open: 1, creating: 1}, 0}} {
		if got := test.n.admits(nobody); got != test.want {
			t.Errorf("without a queue, %+v: %v", test.n, got)
		}
	}
}

// FuzzMachine drives a census and a stack by op bytes as the shell does, and checks that places are never overdrawn,
// nobody waits while something could be created, and the stack agrees with a slice.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{3, 1, 2, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7})
	f.Add([]byte{1, 1, 0, 0, 2, 2, 4, 0, 4, 4, 3, 3, 7, 200, 0, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) < 3 {
			return
		}
		c := Config{Max: 1 + int(ops[0]%5), Queue: core.Count(ops[2] % 4)}
		c.Min = int(ops[1]) % (c.Max + 1)
		m := &sketch{t: t, c: c}
		for _, op := range ops[3:] {
			m.step(op)
			m.serve()
			m.check()
		}
	})
}

// sketch is what a pool does to its census and stack, without a pool.
type sketch struct {
	t       *testing.T
	c       Config
	n       census
	s       stack
	next    [64]uint32 // below each slot
	idle    []uint32   // what the stack should hold
	free    []uint32
	out     []uint32
	slots   uint32
	failing bool
}

func (m *sketch) step(op byte) {
	switch op % 8 {
	case 0: // a caller
		switch {
		case len(m.idle) > 0 && m.n.queued == 0:
			m.out = append(m.out, m.pop())
		case m.n.admits(&m.c) == 0:
			m.n.queued++
		}
	case 1:
		if len(m.out) > 0 { // Release
			m.push(m.out[len(m.out)-1])
			m.out = m.out[:len(m.out)-1]
		}
	case 2:
		if m.n.creating > 0 { // Create succeeds
			m.n.creating--
			m.failing = false
			if len(m.free) == 0 {
				m.slots++
				m.free = append(m.free, m.slots)
			}
			m.push(m.free[len(m.free)-1])
			m.free = m.free[:len(m.free)-1]
		}
	case 3:
		if m.n.creating > 0 { // Create fails
			m.n.creating--
			m.n.open--
			m.failing = true
			m.n.queued = max(m.n.queued-1, 0)
		}
	case 4:
		if len(m.out) > 0 { // Discard
			m.retire(m.out[len(m.out)-1])
			m.out = m.out[:len(m.out)-1]
		}
	case 5:
		if m.n.closing > 0 { // Close ends
			m.n.closing--
		}
	case 6: // a waiter leaves
		m.n.queued = max(m.n.queued-1, 0)
	case 7: // Tune, or upkeep
		if m.failing = false; op >= 64 {
			m.c.Max = 1 + int(op/8%8)
			m.c.Min = min(m.c.Min, m.c.Max)
		}
	}
}

func (m *sketch) serve() {
	for m.n.surplus(&m.c) > 0 && len(m.idle) > 0 {
		m.retire(m.pop())
	}
	for m.n.queued > 0 && len(m.idle) > 0 {
		m.n.queued--
		m.out = append(m.out, m.pop())
	}
	more := m.n.wanted(&m.c, m.failing)
	m.n.open += more
	m.n.creating += more
}

func (m *sketch) push(slot uint32) {
	m.next[slot] = m.s.top()
	m.s = m.s.push(slot)
	m.idle = append(m.idle, slot)
}

func (m *sketch) pop() uint32 {
	top, want := m.s.top(), m.idle[len(m.idle)-1]
	if top != want {
		m.t.Fatalf("popped %d, want %d", top, want)
	}
	m.s = m.s.pop(m.next[top])
	m.idle = m.idle[:len(m.idle)-1]
	return top
}

func (m *sketch) retire(slot uint32) {
	m.free = append(m.free, slot)
	m.n.open--
	m.n.closing++
}

func (m *sketch) check() {
	n := m.n
	if n.open != n.creating+len(m.idle)+len(m.out) || m.s.depth() != len(m.idle) {
		m.t.Fatalf("%+v, %d idle (the stack says %d), %d out", n, len(m.idle), m.s.depth(), len(m.out))
	}
	if most := max(m.c.Max, 8); n.open+n.closing > 2*most || n.open > most {
		m.t.Fatalf("overdrawn: %+v of %d", n, m.c.Max)
	}
	if n.surplus(&m.c) > 0 && len(m.idle) > 0 || n.queued > 0 && len(m.idle) > 0 {
		m.t.Fatalf("idle all the same: %+v", n)
	}
	if n.room(&m.c) > 0 && (n.unserved() > 0 || n.open < m.c.Min && !m.failing) {
		m.t.Fatalf("something could be created: %+v", n)
	}
}

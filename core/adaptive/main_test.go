package adaptive

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/mw-go/mw/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bg = context.Background()

func limiter(t testing.TB, c Config) *Limiter {
	t.Helper()
	l, err := New("test", c, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// acquire puts the permit where it can be kept.
func acquire(ctx context.Context, g core.Guard, c core.Call, p *core.Permit) (d core.Decision) {
	*p, d = g.Acquire(ctx, c)
	return d
}

// enter takes slots that must be free.
func enter(t testing.TB, g core.Guard, c core.Call) *core.Permit {
	t.Helper()
	p := new(core.Permit)
	if d := acquire(bg, g, c, p); d.Reason != 0 {
		t.Fatalf("rejected: %v", d.Reason)
	}
	return p
}

// atRest checks what must hold when no call is running or waiting.
func atRest(t testing.TB, l *Limiter) {
	t.Helper()
	if s := l.Snapshot(); s.Running != 0 || s.Waiting != 0 || l.beside.Load() != 0 {
		t.Errorf("at rest: %d running, %d of them beside, %d waiting", s.Running, l.beside.Load(), s.Waiting)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	check(t, l.m, l.Config())
	for r := range l.queue.lines {
		if ln := &l.queue.lines[r]; ln.list.Len() != 0 || ln.busy {
			t.Errorf("at rest: line %d has %d calls, busy %v", r, ln.list.Len(), ln.busy)
		}
	}
	if l.gate.waiting.Load() != 0 {
		t.Errorf("at rest: %d shown as waiting", l.gate.waiting.Load())
	}
}

// check holds the invariants of a machine.
func check(t testing.TB, m *machine, c Config) {
	t.Helper()
	sound := func(x float64) bool { return x >= 0 && x < 1e18 } // neither NaN nor infinite
	if !(m.limit >= float64(c.MinLimit) && m.limit <= float64(c.MaxLimit)) {
		t.Fatalf("limit %v outside %d..%d", m.limit, c.MinLimit, c.MaxLimit)
	}
	if e := m.effective(&c); !(e >= float64(c.MinLimit) && e <= m.limit) {
		t.Fatalf("effective limit %v of %v", e, m.limit)
	}
	if b := m.base; !sound(b.value) || !sound(b.now.latency) || !sound(b.now.running) || !sound(m.peak) {
		t.Fatalf("baseline %+v, peak %v", b, m.peak)
	}
	if c.MaxHealthyLatency > 0 && m.base.value > float64(c.MaxHealthyLatency) {
		t.Fatalf("baseline %v is not healthy", m.base.value)
	}
	if m.shed.cut < 0 || m.shed.cut > everyone || !sound(m.shed.target) {
		t.Fatalf("cut-off %d, target %v", m.shed.cut, m.shed.target)
	}
	if m.started && m.due <= m.opened {
		t.Fatalf("a tick is due at %v, before the window began at %v", m.due, m.opened)
	}
	last, ordered := int64(1<<62), c.ShareCritical >= c.ShareSheddablePlus && c.ShareSheddablePlus >= c.ShareSheddable
	for r, limit := range m.caps(&c, m.opened) {
		if limit < 1 || limit > int64(c.MaxLimit) || limit > last && ordered {
			t.Fatalf("class %d may fill %d", r, limit)
		}
		last = limit
	}
}

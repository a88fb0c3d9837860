package adaptive

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// model is the limiter as one would explain it: the pure machine, a number of slots taken, and four queues. It knows no
// goroutines and no atomics.
type model struct {
	c        Config
	m        *machine
	now      core.Time
	running  int64
	beside   int64
	admitted uint64 // into slots
	let      uint64 // beside them
	rejected uint64
	shadowed uint64

	appointed core.Time

	sum     tally
	refused bool
	ranks   uint32
	arrived [levels]uint32
	shown   shown
	lines   [ranks]struct {
		line
		calls []*try
	}
}

// shown is what calls see of the machine: its state at the last tick or change.
type shown struct {
	caps [ranks]int64
	pace time.Duration
	due  core.Time
	turn uint64
	slow time.Duration
}

// try is a call in the model and in the shell.
type try struct {
	call   core.Call
	cost   int64
	at     int64 // calls in flight when it was admitted
	began  core.Time
	timed  bool
	until  core.Time // when it gives up waiting
	state  tryState
	beside bool
	reason core.Reason
	hint   time.Duration

	w         *waiter
	s         *settings
	d         core.Decision
	concluded bool
	permit    core.Permit
}

type tryState int

const (
	waits tryState = iota
	runs
	gone
)

func newModel(c Config) *model {
	m := &model{c: c, m: first(&c), appointed: longAgo}
	m.show(0)
	return m
}

func (m *model) show(now core.Time) {
	m.shown = shown{m.m.caps(&m.c, now), m.m.pace(&m.c), longAgo, turnOf(now), time.Duration(m.c.Tolerance * m.m.base.value)}
	if m.m.started {
		m.shown.due = m.m.due
	}
}

func (m *model) waiting() (n int) {
	for r := range m.lines {
		n += len(m.lines[r].calls)
	}
	return n
}

func (m *model) tick() {
	if m.now < m.shown.due {
		return
	}
	in := intake{tally: m.sum, refused: m.refused, ranks: m.ranks, admitted: m.admitted}
	if m.m.pressed {
		arrived := m.arrived
		in.arrived = &arrived
		m.arrived = [levels]uint32{}
	}
	m.sum, m.refused, m.ranks = tally{}, false, 0
	m.m.tick(&m.c, in, m.now, 0.5)
	if m.m.pressed && m.m.shed.over() && m.waiting() == 0 {
		m.m.pressed = false
	}
	m.show(m.now)
	m.grant()
}

func (m *model) tune(c Config, now core.Time) {
	if c == m.c {
		return
	}
	m.c = c
	m.m.control = m.m.clamped(&c)
	m.show(now)
	m.grant()
}

func (m *model) arrive(x *try) {
	r := rank(x.call.Class)
	if m.c.Mode == core.Disabled {
		m.letRun(x)
		return
	}
	quick := m.c.Mode == core.Enforce && !m.m.pressed && m.ranks&(1<<r) != 0
	m.ranks |= 1 << r
	if m.m.pressed {
		m.tick()
		at := level(r, x.call.Key, m.shown.turn, 0)
		m.arrived[at]++
		if at > m.m.shed.cut {
			m.turnAway(x, core.ReasonShed, m.now)
			return
		}
	}
	cost := min(x.call.Tokens(), m.shown.caps[r], maxCost)
	if m.waiting() == 0 && m.running+cost <= m.shown.caps[r] {
		fast := quick && x.call.Tokens() <= min(m.shown.caps[r], maxBlind)
		m.start(x, cost, !fast)
		return
	}
	m.refused = true
	m.press()
	if m.c.Mode == core.Shadow || m.c.Queue == core.None {
		m.turnAway(x, core.ReasonFull, m.now)
		return
	}
	if m.waiting() >= int(m.c.Queue) && !m.pushOut(r) {
		m.turnAway(x, core.ReasonFull, core.Now()) // Acquire would have waited, and so reads the clock
		return
	}
	var most time.Duration
	ln := &m.lines[r]
	ln.line, most = ln.join(&m.c, m.now, r >= m.m.shed.edge)
	x.until = m.now.Add(most)
	ln.calls = append(ln.calls, x)
	m.grant()
}

func (m *model) press() {
	if !m.m.pressed {
		m.arrived = [levels]uint32{}
		m.m.press(m.now, m.admitted)
		m.show(m.now)
	}
}

func (m *model) start(x *try, cost int64, slow bool) {
	m.running += cost
	if x.until == 0 { // else it is counted when it wakes up
		m.admitted++
	}
	x.state, x.cost, x.at, x.began = runs, cost, m.running, m.now
	x.timed = slow || m.admitted&m.m.thin == 0 || m.now >= m.shown.due
}

func (m *model) letRun(x *try) {
	x.state, x.beside, x.cost = runs, true, x.call.Tokens()
	m.beside += x.cost
	m.let++
}

func (m *model) turnAway(x *try, r core.Reason, now core.Time) {
	if m.c.Mode == core.Shadow {
		x.reason = r.InShadow()
		m.shadowed++
		m.letRun(x)
		return
	}
	m.rejected++
	x.state, x.reason = gone, r
	var at core.Time
	at, m.appointed = appoint(m.appointed, now, m.c.RetryAfter, m.shown.pace)
	x.hint = at.Sub(now)
}

func (m *model) pushOut(r int) bool {
	for victim := ranks - 1; victim >= r; victim-- {
		if ln := &m.lines[victim]; len(ln.calls) > 0 && (victim > r || ln.last) {
			x := ln.calls[0]
			m.remove(x)
			m.turnAway(x, core.ReasonFull, m.now)
			return true
		}
	}
	return false
}

func (m *model) remove(x *try) {
	ln := &m.lines[rank(x.call.Class)]
	ln.calls = slices.DeleteFunc(ln.calls, func(y *try) bool { return x == y })
	if len(ln.calls) == 0 {
		ln.line = line{}
	}
}

func (m *model) grant() {
	for r := range m.lines {
		ln := &m.lines[r]
		for len(ln.calls) > 0 {
			x := ln.calls[0]
			if ln.last {
				x = ln.calls[len(ln.calls)-1]
			}
			cost := min(x.call.Tokens(), m.shown.caps[r], maxCost)
			if m.c.Mode != core.Enforce {
				m.remove(x)
				m.letRun(x)
				continue
			}
			if m.running+cost > m.shown.caps[r] {
				return
			}
			m.remove(x)
			m.start(x, cost, true)
		}
	}
}

func (m *model) finish(x *try, o core.Outcome) {
	x.state = gone
	if x.beside {
		m.beside -= x.cost
		return
	}
	m.running -= x.cost
	m.grant()
	if x.timed {
		latency := m.now.Sub(x.began)
		switch {
		case o == core.Success, (o == core.Canceled || o == core.Expired) && m.shown.slow > 0 && latency >= m.shown.slow:
			if latency > 0 {
				m.sum = m.sum.plus(tally{count: 1, logs: logOf(latency), running: uint64(x.at), most: x.at})
			}
		case o == core.Timeout, o == core.Overload, o == core.Failure && m.c.FailureDrops:
			m.sum.dropped++
		}
		m.tick()
	}
}

// expire lets those go who have waited long enough.
func (m *model) expire(x *try) {
	if x.state == waits {
		m.remove(x)
		m.turnAway(x, core.ReasonWaited, m.now)
		m.grant()
	}
}

// TestShellEqualsModel drives both with random calls, ends, waits that end, and Tunes, in one goroutine and with times of
// its own.
func TestShellEqualsModel(t *testing.T) {
	reached := map[string]int{}
	for range 60 {
		synctest.Test(t, func(t *testing.T) { // so that the clock that a Tune reads stands still
			seed := rand.Uint64()
			rng := rand.New(rand.NewPCG(seed, 3))
			c := randomConfig(t, rng)
			m, l := newModel(c), limiter(t, c)
			l.random = func() uint64 { return 1 << 63 }
			m.now = core.Now()
			pair := &pair{m: m, l: l, rng: rng, scale: time.Duration(1) << (10 + rng.IntN(18))}
			for i := range 3000 {
				pair.step(t)
				if err := pair.differ(); err != "" {
					t.Fatalf("seed %d, step %d: %s", seed, i, err)
				}
				check(t, l.m, l.Config())
				reached["pressed"] += count(m.m.pressed)
				reached["cut off"] += count(m.m.shed.cut < everyone)
				reached["waiting"] += count(m.waiting() > 0)
				reached["learned"] += count(m.m.base.windows >= warmUp)
			}
		})
	}
	for _, state := range []string{"pressed", "cut off", "waiting", "learned"} {
		if reached[state] < 1000 {
			t.Errorf("of %d steps %d were %s", 60*3000, reached[state], state)
		}
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func randomConfig(t *testing.T, rng *rand.Rand) Config {
	c := Config{
		Algorithm: Algorithm(rng.IntN(3)), InitialLimit: 1 + rng.IntN(12), MaxLimit: 2 + rng.IntN(40), MinSamples: 1 + rng.IntN(30),
		Queue: core.Count(rng.IntN(8)), QueueInterval: time.Duration(1+rng.IntN(200)) * ms, FailureDrops: rng.IntN(2) == 0,
		Probe: time.Second,
	}
	if c.Queue == 0 {
		c.Queue = core.None
	}
	if rng.IntN(6) == 0 {
		c.Mode = core.Mode(rng.IntN(3))
	}
	return prepared(t, c)
}

// pair is a model and a shell that get the same calls.
type pair struct {
	m     *model
	l     *Limiter
	rng   *rand.Rand
	scale time.Duration
	tries []*try
}

func (p *pair) step(t *testing.T) {
	m, l, rng := p.m, p.l, p.rng
	m.now = m.now.Add(time.Duration(rng.ExpFloat64() * float64(p.scale)))
	for _, x := range p.tries {
		if x.state == waits && m.now >= x.until {
			m.expire(x)
			x.d.Reason = l.leave(x.w, core.ReasonWaited)
			p.conclude(x)
			p.concludeWoken()
		}
	}
	switch op := rng.IntN(200); {
	case op < 110:
		x := &try{call: core.Call{
			Now: m.now, Key: core.KeyOfWords(1, rng.Uint64N(50)), Class: core.Class(rng.IntN(5)), Cost: uint32(rng.IntN(3)),
		}}
		m.arrive(x)
		p.launch(x)
		p.tries = append(p.tries, x)
	case op < 199:
		if x := p.pick(); x != nil {
			o := core.Outcome(rng.IntN(core.Outcomes))
			if rng.IntN(3) > 0 {
				o = core.Success
			}
			m.finish(x, o)
			x.permit.Done(m.now, o)
		}
	default:
		c := randomConfig(t, rng)
		if err := l.Tune(c); err != nil {
			t.Fatal(err)
		}
		m.tune(c, core.Now())
	}
	p.concludeWoken()
}

func (p *pair) concludeWoken() {
	for _, x := range p.tries {
		if x.w != nil && x.w.place == nil && !x.concluded {
			x.d.Reason = x.w.reason
			p.conclude(x)
		}
	}
}

// launch makes the call: by Acquire, unless it is going to queue.
func (p *pair) launch(x *try) {
	if x.until == 0 {
		x.d = acquire(bg, p.l, x.call, &x.permit)
		x.concluded = true
		return
	}
	x.s = p.l.live.Load()
	if _, queue := p.l.try(x.s, x.call, &x.d); queue {
		x.w, _ = p.l.join(x.s, x.call, p.m.now)
	}
}

func (p *pair) conclude(x *try) {
	x.d.Now = p.m.now
	x.permit = p.l.conclude(x.s, x.call, x.w.cost, &x.d)
	x.concluded = true
	x.at = p.m.running // several may have been woken at once
	if x.state == runs && !x.beside {
		p.m.admitted++
	}
}

func (p *pair) pick() *try {
	for _, i := range p.rng.Perm(len(p.tries)) {
		if p.tries[i].state == runs {
			return p.tries[i]
		}
	}
	return nil
}

// differ says in what the two differ, and forgets the calls that have ended.
func (p *pair) differ() string {
	m, l := p.m, p.l
	for i, x := range p.tries {
		switch {
		case x.state == waits && (x.w == nil || x.concluded):
			return fmt.Sprintf("call %d should wait: %v", i, x.d.Reason)
		case x.state != waits && !x.concluded:
			return fmt.Sprintf("call %d waits and should not (%v)", i, x.reason)
		case x.concluded && x.d.Reason != x.reason:
			return fmt.Sprintf("call %d: %v, want %v", i, x.d.Reason, x.reason)
		case x.concluded && (x.d.RetryAfter-x.hint).Abs() > 1: // the jitter is that of a random number of a half
			return fmt.Sprintf("call %d may come back after %v, want %v", i, x.d.RetryAfter, x.hint)
		}
	}
	p.tries = slices.DeleteFunc(p.tries, func(x *try) bool { return x.state == gone })
	s := l.Snapshot()
	if s.Running != m.running+m.beside || s.Waiting != m.waiting() || s.Admitted != m.admitted+m.let ||
		s.Rejected != m.rejected || s.Shadowed != m.shadowed {
		return fmt.Sprintf("%d running, %d waiting, %+v\nwant %d, %d beside, %d waiting, %d admitted, %d rejected, %d shadowed",
			s.Running, s.Waiting, s.Status, m.running, m.beside, m.waiting(), m.admitted+m.let, m.rejected, m.shadowed)
	}
	if l.m.control != m.m.control || l.m.pressed != m.m.pressed || l.m.shed != m.m.shed || l.m.thin != m.m.thin {
		return fmt.Sprintf("machine %+v\nwant %+v", l.m.control, m.m.control)
	}
	for r, want := range m.shown.caps {
		if got := l.gate.caps[r].Load(); got != want {
			return fmt.Sprintf("class %d may fill %d, want %d", r, got, want)
		}
	}
	return ""
}

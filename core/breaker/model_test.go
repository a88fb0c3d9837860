package breaker

import (
	"sync"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/window"
	"github.com/mw-go/mw/core/latency"
)

// model is the breaker without concurrency: the pure control, a plain window and a run of failures. It says what the
// shell has to do.
type model struct {
	config Config
	m      control
	layout window.Layout
	ring   window.Ring
	inARow int64
	jitter float64
	events []string                // "from>to: cause"
	step   func(old, next control) // sees every transition; nil if nobody wants to

	pace  pace
	watch *latency.Window // nil until the rules on slow calls are on
	due   core.Time
	limit time.Duration
}

// modelPermit is what a permit is in a model. done keeps the model from settling twice, as core.Permit does.
type modelPermit struct {
	era, place uint32
	start      core.Time // 0 if nobody wants to know
	progressed bool
	done       bool
}

// known remembers what prepare made of a Config, for it is slow beside a model's step.
var known sync.Map

func prepared(c Config) Config {
	if full, ok := known.Load(c); ok {
		return full.(Config)
	}
	full, err := prepare(c)
	if err != nil {
		panic(err)
	}
	known.Store(c, full)
	return full
}

func newModel(c Config, now core.Time) *model {
	x := &model{config: prepared(c), m: control{since: now, until: longAgo}, jitter: 0.5, limit: core.Never}
	x.empty(now)
	return x
}

func (x *model) empty(now core.Time) {
	x.layout, x.ring, x.inARow = window.NewLayout(now, x.config.Window), window.Ring{}, 0
	x.watch, x.due = nil, longAgo
}

// to takes the next control and does what goes with a change of era.
func (x *model) to(next control) {
	old := x.m
	x.m = next
	if x.step != nil {
		x.step(old, next)
	}
	if next.era == old.era {
		return
	}
	if next.state != old.state {
		x.events = append(x.events, old.state.String()+">"+next.state.String()+": "+next.cause)
	}
	if next.state == Closed {
		x.empty(next.since)
	}
}

func (x *model) acquire(now core.Time) (p *modelPermit, reason core.Reason, after time.Duration) {
	watched := x.m.state == Closed && x.config.Latency.Watch
	if watched {
		x.look(now)
	}
	next, a := x.m.admit(&x.config, now, x.jitter)
	x.to(next)
	if a.reason != 0 {
		return nil, a.reason, a.after
	}
	p = &modelPermit{era: next.era, place: a.place}
	switch {
	case p.place != noPlace:
		p.start = now
	case watched: // not the one call that finds, after a Tune, that the votes suffice
		p.start = now
		x.watch.Begin(now)
	}
	return p, 0, 0
}

// look judges the latencies if that is due.
func (x *model) look(now core.Time) {
	if x.m.state != Closed || now < x.due || !x.config.Latency.Watch {
		return
	}
	l := &x.config.Latency
	shape := latency.Config{Window: l.Window, InFlight: true}
	if x.watch == nil {
		x.watch, _ = latency.NewStriped(shape, 1)
	} else if err := x.watch.Tune(now, shape); err != nil {
		panic(err)
	}
	x.watch.Mark([latency.Marks]time.Duration{l.SlowCall, l.Max})
	var cause string
	x.pace, cause = x.pace.catchUp(x.watch, &x.config, x.due, now)
	x.limit = x.pace.limit(l)
	x.due = x.watch.SliceEnd(now)
	if cause != "" {
		x.to(x.m.open(&x.config, now, x.jitter, cause))
		if x.pace = x.pace.opened(); cause == ruleCauses[slowed] {
			x.pace = x.pace.resigned(&x.config, x.m)
		}
	}
}

// inWindow reports whether p is counted in the window of latencies.
func (x *model) inWindow(p *modelPermit) bool {
	return p.place == noPlace && p.start != 0 && x.m.state == Closed && p.era == x.m.era
}

func (x *model) progress(p *modelPermit, now core.Time) {
	if p.start == 0 || p.progressed || p.done {
		return
	}
	p.progressed = true
	if p.place != noPlace {
		x.vote(p, now, core.Success)
	} else if x.inWindow(p) {
		x.watch.End(p.start, now, true)
	}
}

func (x *model) restart(p *modelPermit, now core.Time) {
	if p.start == 0 || p.progressed || p.done {
		return
	}
	if x.inWindow(p) {
		x.watch.End(p.start, now, false)
		x.watch.Begin(now)
	}
	p.start = now
	if p.place == noPlace || x.m.state != HalfOpen || p.era != x.m.era {
		return
	}
	x.m.probe.restart(p.place, now)
	x.m.until = x.m.gate(&x.config)
}

func (x *model) vote(p *modelPermit, now core.Time, o core.Outcome) {
	if x.m.state != HalfOpen || p.era != x.m.era {
		return
	}
	v := voteOf(&x.config, o)
	late := x.pace.late(&x.config, p.start, now, o, v)
	x.to(x.m.settle(&x.config, now, p.place, late, x.jitter))
	if late != v {
		x.pace = x.pace.resigned(&x.config, x.m)
	}
}

func (x *model) settle(p *modelPermit, now core.Time, o core.Outcome) {
	if p.done {
		return
	}
	p.done = true
	era := p.era
	if p.place != noPlace {
		if !p.progressed {
			x.vote(p, now, o)
			return
		}
		era++
	}
	if x.m.state != Closed || era != x.m.era {
		return
	}
	watched := x.inWindow(p)
	if watched && !p.progressed {
		left := (o == core.Canceled || o == core.Expired) && now.Sub(p.start) >= x.limit
		if left && o == core.Expired {
			o = core.Timeout
		}
		x.watch.End(p.start, now, o == core.Success || o == core.Timeout || left)
	}
	x.record(now, voteOf(&x.config, o))
	if watched {
		x.look(now)
	}
}

func (x *model) record(now core.Time, v vote) {
	if v != good && v != bad {
		return
	}
	x.fit(now)
	x.ring.Add(x.layout, now, v == bad)
	if v == good {
		x.inARow = 0
		return
	}
	x.inARow++
	if cause := tripped(&x.config, x.ring.Sum(x.layout, now), x.inARow); cause != "" {
		x.to(x.m.open(&x.config, now, x.jitter, cause))
	}
}

// fit gives the window the length that the settings ask for.
func (x *model) fit(now core.Time) {
	if !x.layout.Spans(x.config.Window) {
		to := window.NewLayout(now.Add(-x.config.Window), x.config.Window)
		x.ring, x.layout = x.ring.Resize(x.layout, to, now), to
	}
}

func (x *model) tune(c Config) {
	x.config = prepared(c)
	x.m = x.m.retuned(&x.config)
}

func (x *model) trip(now core.Time, d time.Duration) { x.to(x.m.trip(&x.config, now, d)) }

func (x *model) reset(now core.Time) {
	x.pace, x.limit = pace{}, core.Never
	x.to(x.m.reset(now))
}

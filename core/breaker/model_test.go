package breaker

import (
	"sync"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/window"
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
	events []string // "from>to: cause"
}

// modelPermit is what a permit is in a model. done keeps the model from settling twice, as core.Permit does.
type modelPermit struct {
	era, place uint32
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
	x := &model{config: prepared(c), m: control{since: now, until: longAgo}, jitter: 0.5}
	x.empty(now)
	return x
}

func (x *model) empty(now core.Time) {
	x.layout, x.ring, x.inARow = window.NewLayout(now, x.config.Window), window.Ring{}, 0
}

// to takes the next control and does what goes with a change of era.
func (x *model) to(next control) {
	old := x.m
	x.m = next
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
	next, a := x.m.admit(&x.config, now, x.jitter)
	x.to(next)
	if a.reason != 0 {
		return nil, a.reason, a.after
	}
	return &modelPermit{era: next.era, place: a.place}, 0, 0
}

func (x *model) progress(p *modelPermit, now core.Time) {
	if p.place == noPlace || p.progressed || p.done {
		return
	}
	p.progressed = true
	x.vote(p, now, good)
}

func (x *model) restart(p *modelPermit, now core.Time) {
	if p.place == noPlace || p.progressed || p.done || x.m.state != HalfOpen || p.era != x.m.era {
		return
	}
	x.m.probe.restart(p.place, now)
	x.m.until = x.m.gate(&x.config)
}

func (x *model) vote(p *modelPermit, now core.Time, v vote) {
	if x.m.state == HalfOpen && p.era == x.m.era {
		x.to(x.m.settle(&x.config, now, p.place, v, x.jitter))
	}
}

func (x *model) settle(p *modelPermit, now core.Time, o core.Outcome) {
	if p.done {
		return
	}
	p.done = true
	v := voteOf(&x.config, o)
	era := p.era
	if p.place != noPlace {
		if !p.progressed {
			x.vote(p, now, v)
			return
		}
		era++
	}
	if x.m.state != Closed || era != x.m.era {
		return
	}
	x.record(now, v)
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

func (x *model) reset(now core.Time) { x.to(x.m.reset(now)) }

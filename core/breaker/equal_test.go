package breaker

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/latency"
)

// The shell under one goroutine does what the model does, on random sequences of everything that can happen to it.
func TestShellEqualsModel(t *testing.T) {
	for _, tt := range []struct {
		name  string
		keyed bool // also with time that runs backwards; a Breaker has stripes, in each of which it does so by itself
	}{{"breaker", false}, {"keyed", true}} {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(100) {
				synctest.Test(t, func(t *testing.T) { newDuel(t, seed, tt.keyed).fight(400) })
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

// duel is a breaker and its model.
type duel struct {
	t       *testing.T
	r       *rand.Rand
	b       *Breaker
	key     core.Key
	cell    *cell
	model   *model
	skewed  bool
	permits []*core.Permit
	models  []*modelPermit
	events  []string
}

func newDuel(t *testing.T, seed uint64, keyed bool) *duel {
	d := &duel{t: t, r: rand.New(rand.NewPCG(seed, 2)), skewed: keyed}
	c := d.tuning()
	h := Hooks{OnEvent: func(e core.Event) {
		if e.Type == core.StateChanged {
			d.events = append(d.events, e.From+">"+e.To+": "+e.Cause)
		}
	}}
	d.model = newModel(c, core.Now())
	if keyed {
		d.b, d.key = &mustKeyed(t, c, h).Breaker, core.KeyOf("a")
	} else {
		d.b = mustNew(t, c, h)
	}
	d.cell = d.b.cell(core.Call{Key: d.key, Now: core.Now()})
	return d
}

func (d *duel) tuning() Config {
	c := tunings[d.r.IntN(len(tunings))]
	c.Jitter = core.None
	return c
}

// time is now, or in a skewed duel sometimes a bit ago.
func (d *duel) time() core.Time {
	if d.skewed && d.r.IntN(4) == 0 {
		return core.Now().Add(-time.Duration(d.r.Int64N(int64(30 * time.Second))))
	}
	return core.Now()
}

func (d *duel) fight(rounds int) {
	for i := range rounds {
		d.op()
		d.compare(i)
		if d.t.Failed() {
			return
		}
	}
	for i := range d.permits {
		d.permits[i].Done(core.Now(), core.Failure)
		d.model.settle(d.models[i], core.Now(), core.Failure)
	}
	d.compare(rounds)
	if pins := d.cell.pins.Load(); pins != 0 {
		d.t.Errorf("%d pins are left", pins)
	}
}

func (d *duel) op() {
	now := d.time()
	switch op := d.r.IntN(20); {
	case op < 6:
		d.acquire(now)
	case op < 13:
		d.settle(now)
	case op < 14:
		if i := d.pick(); i >= 0 {
			d.permits[i].Progress(now)
			d.model.progress(d.models[i], now)
		}
	case op < 15:
		if i := d.pick(); i >= 0 {
			d.permits[i].Restart(now)
			d.model.restart(d.models[i], now)
		}
	case op < 18:
		time.Sleep(strides[d.r.IntN(8)] + time.Duration(d.r.IntN(1000)))
	case op < 19:
		c := d.tuning()
		if err := d.b.Tune(c); err != nil {
			d.t.Fatal(err)
		}
		d.model.tune(c)
	default:
		if hold := strides[d.r.IntN(len(strides))]; d.r.IntN(3) == 0 {
			d.b.reset(d.key)
			d.model.reset(core.Now())
		} else {
			d.b.trip(d.key, hold)
			d.model.trip(core.Now(), hold)
		}
	}
}

func (d *duel) acquire(now core.Time) {
	c := core.Call{Key: d.key, Now: now}
	peek := d.b.Peek(c)
	p := new(core.Permit)
	got := acquire(d.b, c, p)
	m, reason, after := d.model.acquire(now)
	if got.Reason != reason || got.RetryAfter != after {
		d.t.Errorf("Acquire: %v after %v, the model says %v after %v", got.Reason, got.RetryAfter, reason, after)
	}
	if peek.Reason != reason || peek.RetryAfter != after {
		d.t.Errorf("Peek: %v after %v, the model says %v after %v", peek.Reason, peek.RetryAfter, reason, after)
	}
	if m != nil {
		d.permits, d.models = append(d.permits, p), append(d.models, m)
	}
}

func (d *duel) settle(now core.Time) {
	i := d.pick()
	if i < 0 {
		return
	}
	o := core.Outcome(d.r.IntN(core.Outcomes))
	if d.r.IntN(2) == 0 {
		o = core.Outcome(d.r.IntN(2))
	}
	d.permits[i].Done(now, o)
	d.model.settle(d.models[i], now, o)
	if d.r.IntN(4) > 0 { // else it may be settled again
		d.permits, d.models = slices.Delete(d.permits, i, i+1), slices.Delete(d.models, i, i+1)
	}
}

func (d *duel) pick() int {
	if len(d.permits) == 0 {
		return -1
	}
	return d.r.IntN(len(d.permits))
}

func (d *duel) compare(round int) {
	now, x := core.Now(), d.model
	var got Snapshot
	d.cell.read(d.b.live.Load(), &got)
	want := Snapshot{State: x.m.state, Era: x.m.era, Since: x.m.since, Cause: x.m.cause, Probing: running(x.m)}
	switch x.m.state {
	case Closed:
		x.fit(now)
		sum := x.ring.Sum(x.layout, now)
		want.Good, want.Bad, want.InARow = sum.Good, sum.Bad, x.inARow
		want.Latency.readWindow(x.watch, &x.config, x.pace, now)
	case Open:
		want.Until = x.m.until
	}
	want.Latency.Limit = x.pace.limit(&x.config.Latency)
	if x.pace.lessons >= learnt {
		want.Latency.Baseline = time.Duration(x.pace.baseline)
	}
	got.Latency.Kernels, want.Latency.Kernels = latency.Stats{}, latency.Stats{}
	if d.cell.pace != x.pace {
		d.t.Errorf("round %d: the shell's pace is %+v, the model's %+v", round, d.cell.pace, x.pace)
	}
	if got != want {
		d.t.Errorf("round %d:\nshell %+v\nmodel %+v", round, got, want)
	}
	if ph := d.cell.phase.Load(); ph.state != x.m.state || ph.state != Closed && core.Time(ph.until.Load()) != x.m.until {
		d.t.Errorf("round %d: the phase says %v until %d, the model %v until %d",
			round, ph.state, ph.until.Load(), x.m.state, x.m.until)
	}
	if !slices.Equal(d.events, x.events) {
		d.t.Errorf("round %d: events %q, want %q", round, d.events, x.events)
	}
}

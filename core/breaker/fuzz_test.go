package breaker

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// tunings are the settings a fuzzer may switch between.
var tunings = []Config{
	{},
	{MinCalls: 2, Probes: 1},
	{MinCalls: 1, FailureRate: 0.01, OpenFor: time.Millisecond, Probes: 10, ProbesAtOnce: 10, ProbeSuccesses: 10},
	{FailureRate: core.None, ConsecutiveFailures: 2, Window: time.Second, ProbeTimeout: time.Millisecond},
	{MinCalls: 3, FailureRate: 1, MaxOpenFor: time.Millisecond, OpenFor: time.Hour, FlatReopenings: core.None, Jitter: 0.5},
	{MinCalls: 2, Window: time.Hour, Probes: 40, ProbesAtOnce: 16, ProbeSuccesses: 1, OverloadTrips: true, Jitter: core.None},
	{MinCalls: 1, Probes: 3, ProbesAtOnce: 2, ProbeSuccesses: 2, FlatReopenings: 1, MaxOpenFor: 24 * time.Hour},
	{MinCalls: 2, FailureRate: core.None, Latency: Latency{
		Watch: true, Quantile: 0.5, SlowCall: time.Millisecond, SlowRate: 0.3, Confirm: 1, ConfirmOf: 1, Window: time.Second,
	}},
	{MinCalls: 1, Jitter: 0.5, Latency: Latency{Watch: true, Quantile: 0.5, Max: 100 * time.Millisecond, Slowdown: 1.2, BaselineOver: 10 * time.Second}},
	{MinCalls: 5, Latency: Latency{Watch: true, Quantile: 0.6, MinBaseline: 10 * time.Microsecond, Window: 10 * time.Second, Confirm: 1, ConfirmOf: 8}},
}

// strides are how far one op moves the time; some go back.
var strides = []time.Duration{
	1, time.Millisecond, 100 * time.Millisecond, time.Second, 5 * time.Second, 11 * time.Second, time.Minute, time.Hour,
	-1, -time.Second, -time.Hour, 400 * 24 * time.Hour, 1 << 62,
}

// FuzzMachine plays op bytes on the model. Whatever the ops, check holds after each.
func FuzzMachine(f *testing.F) {
	for i := range byte(8) {
		r := rand.New(rand.NewPCG(uint64(i), 1))
		ops := make([]byte, 400)
		for k := range ops {
			ops[k] = byte(r.Uint32())
		}
		f.Add(i, ops)
	}
	f.Fuzz(func(t *testing.T, start byte, ops []byte) {
		g := &game{t: t, model: newModel(tunings[int(start>>4)%len(tunings)], starts[int(start)%len(starts)])}
		g.now = g.m.since
		g.step = func(old, next control) { checkStep(t, old, next) }
		for ops = ops[:min(len(ops), 2000)]; len(ops) >= 2; {
			before := g.m
			g.op(ops[0], int(ops[1]))
			ops = ops[2:]
			g.judge(before)
		}
	})
}

// game is a model being fuzzed.
type game struct {
	*model
	t      *testing.T
	now    core.Time
	out    []*modelPermit
	widest Config // the widest limits of probes since the era began
}

func (g *game) op(op byte, arg int) {
	g.jitter = float64(arg) / 256
	pick := func() *modelPermit {
		if len(g.out) == 0 {
			return &modelPermit{done: true, place: noPlace}
		}
		return g.out[arg%len(g.out)]
	}
	switch op % 16 {
	case 0, 1, 2, 3:
		if p, reason, after := g.acquire(g.now); reason == 0 {
			g.out = append(g.out, p)
		} else if after <= 0 && g.m.until != never {
			g.t.Fatalf("rejected, to come back after %v", after)
		}
	case 4, 5, 6:
		g.settle(pick(), g.now, core.Outcome(arg/7%core.Outcomes))
	case 7:
		g.settle(pick(), g.now, core.Failure)
	case 8:
		g.settle(pick(), g.now, core.Success)
	case 9:
		g.progress(pick(), g.now)
	case 10:
		g.restart(pick(), g.now)
	case 11, 12, 13:
		g.now = g.now.Add(strides[arg%len(strides)])
	case 14:
		g.tune(tunings[arg%len(tunings)])
	case 15:
		if arg%4 == 0 {
			g.reset(g.now)
		} else {
			g.trip(g.now, strides[arg%len(strides)])
		}
	}
}

func (g *game) judge(before control) {
	if g.m.era != before.era {
		g.widest = g.config
	}
	g.widest.Probes = max(g.widest.Probes, g.config.Probes)
	g.widest.ProbesAtOnce = max(g.widest.ProbesAtOnce, g.config.ProbesAtOnce)
	check(g.t, g.m, &g.config)
	checkProbes(g.t, g.m, &g.widest)
	held := 0
	for _, p := range g.out {
		if g.m.state == HalfOpen && p.era == g.m.era && p.place != noPlace && !p.done && !p.progressed {
			held++
			if g.m.probe.running&(1<<p.place) == 0 {
				g.t.Fatalf("probe %d runs, but its place is free", p.place)
			}
		}
	}
	if got := running(g.m); got != held {
		g.t.Fatalf("%d places are taken, but %d probes run", got, held)
	}
	if len(g.out) > 40 { // some that are done stay, to be settled again
		g.out = slices.DeleteFunc(g.out, func(p *modelPermit) bool { return p.done })
	}
	if g.inARow < 0 || g.ring.Sum(g.layout, g.now).Total() < 0 {
		g.t.Fatal("counts below zero")
	}
}

package breaker

import (
	"math/rand/v2"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/window"
)

// What several goroutines see of one breaker is what some order of their operations explains, each at one moment between
// its beginning and its end: which calls are admitted, in which era and as which probe, why and for how long others are
// not. The order is checked against the pure control. Time is part of an operation, and in the bubble that of Trip and
// Reset is known too; there is no jitter.
//
// One operation has two moments: a failure in the closed state is counted, and then, if that made a rule fire, opens the
// breaker. Calls and results may come between, and so one more call than the rule says may get through; a success between
// the two does not keep it from opening. Not promised, and not in the histories: FailureRate, whose window is counted in
// stripes that are not read at one moment; latencies; Peek; State and Snapshot.

const histories = 1000

type (
	asking struct{ now core.Time }
	// ending is a result. A failure in the closed state is two parts, this and opening, with the same number.
	ending struct {
		number     uint8
		era, place uint32
		now        core.Time
		outcome    core.Outcome
	}
	opening  ending
	tripping struct {
		now core.Time
		d   time.Duration
	}
	resetting struct{ now core.Time }
	// verdict is what came of asking; era and place are those of the permit, if there is one.
	verdict struct {
		reason     core.Reason
		after      time.Duration
		era, place uint32
	}
)

// story is the state between two operations.
type story struct {
	m      control
	inARow int64
	cause  [2]uint64 // by number: results counted, and those of them that made a rule fire
}

const (
	counted = iota
	fires
)

func (s story) to(m control) story {
	if m.era != s.m.era {
		s.inARow = 0
	}
	s.m = m
	return s
}

func (s story) step(c *Config, input any, got verdict) (bool, story) {
	switch op := input.(type) {
	case asking:
		m, a := s.m.admit(c, op.now, 0.5)
		want := verdict{reason: a.reason, after: a.after}
		if a.reason == 0 {
			want.era, want.place = m.era, a.place
		}
		return got == want, s.to(m)
	case ending:
		return true, s.end(c, op)
	case opening:
		bit := uint64(1) << op.number
		if s.cause[fires]&bit != 0 && s.m.state == Closed && s.m.era == op.era {
			return true, s.to(s.m.open(c, op.now, 0.5, "consecutive failures"))
		}
		return s.cause[counted]&bit != 0, s
	case tripping:
		return true, s.to(s.m.trip(c, op.now, op.d))
	case resetting:
		return true, s.to(s.m.reset(op.now))
	}
	return false, s
}

func (s story) end(c *Config, op ending) story {
	s.cause[counted] |= 1 << op.number
	v := voteOf(c, op.outcome)
	switch {
	case op.era != s.m.era: // stale
	case op.place != noPlace && s.m.state == HalfOpen:
		return s.to(s.m.settle(c, op.now, op.place, v, 0.5))
	case s.m.state != Closed:
	case v == good:
		s.inARow = 0
	case v == bad:
		if s.inARow++; tripped(c, window.Sum{}, s.inARow) != "" {
			s.cause[fires] |= 1 << op.number
		}
	}
	return s
}

func specification(c Config, start control) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return story{m: start} },
		Step: func(state, input, output any) (bool, any) {
			got, _ := output.(verdict)
			ok, next := state.(story).step(&c, input, got)
			return ok, next
		},
	}
}

// notes is what the workers write down. Moments are counted, not timed.
type notes struct {
	b      *Breaker
	key    core.Key
	moment atomic.Int64
	number atomic.Uint32
	mu     sync.Mutex
	ops    []porcupine.Operation
}

// begin returns the moment at which an operation begins.
func (n *notes) begin() int64 {
	at := n.moment.Add(1)
	if at%8 == 0 { // on one core nothing would overlap otherwise
		runtime.Gosched()
	}
	return at
}

func (n *notes) finish(worker int, begun int64, output any, parts ...any) {
	now := n.moment.Add(1)
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, part := range parts {
		n.ops = append(n.ops, porcupine.Operation{ClientId: worker, Input: part, Call: begun, Output: output, Return: now})
	}
}

// held is a permit and what is written on it.
type held struct {
	p          *core.Permit
	era, place uint32
}

func (n *notes) ask(worker int, now core.Time) (h held) {
	h.p = new(core.Permit)
	begun := n.begin()
	d := acquire(n.b, core.Call{Key: n.key, Now: now}, h.p)
	got := verdict{reason: d.Reason, after: d.RetryAfter}
	if d.Admitted() {
		word := uint32(reflect.ValueOf(h.p).Elem().FieldByName("word").Uint()) & (1<<core.TagBits - 1)
		h.era, h.place = word>>5, word&noPlace
		got.era, got.place = h.era, h.place
	} else {
		h.p = nil
	}
	n.finish(worker, begun, got, asking{now})
	return h
}

func (n *notes) end(worker int, h held, now core.Time, o core.Outcome) {
	part := ending{uint8(n.number.Add(1)), h.era, h.place, now, o}
	begun := n.begin()
	h.p.Done(now, o)
	if h.place == noPlace && o == core.Failure {
		n.finish(worker, begun, nil, part, opening(part))
	} else {
		n.finish(worker, begun, nil, part)
	}
}

func (n *notes) trip(worker int, d time.Duration) {
	now, begun := core.Now(), n.begin()
	n.b.trip(n.key, d)
	n.finish(worker, begun, nil, tripping{now, d})
}

func (n *notes) reset(worker int) {
	now, begun := core.Now(), n.begin()
	n.b.reset(n.key)
	n.finish(worker, begun, nil, resetting{now})
}

// atOnce runs f for each worker, all from the same moment on.
func atOnce(workers int, f func(worker int)) {
	var wg sync.WaitGroup
	var ready atomic.Int64
	for w := range workers {
		wg.Go(func() {
			for ready.Add(1); ready.Load() < int64(workers); {
				runtime.Gosched()
			}
			f(w)
		})
	}
	wg.Wait()
}

// quick is a breaker for histories: it opens and closes within some calls.
var quick = Config{
	ConsecutiveFailures: 2, FailureRate: core.None, Jitter: core.None, FlatReopenings: core.None,
	OpenFor: 20 * time.Millisecond, MaxOpenFor: 40 * time.Millisecond, ProbeTimeout: 30 * time.Millisecond,
	Probes: 3, ProbesAtOnce: 2, ProbeSuccesses: 2,
}

// history lets workers loose on a breaker and returns what they saw. Half of them have an operator at work.
func history(t *testing.T, seed uint64, workers int) (m porcupine.Model, ops []porcupine.Operation) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(seed, 37))
		n := &notes{b: mustNew(t, quick, Hooks{})}
		if seed%4 >= 2 {
			n.b, n.key = &mustKeyed(t, quick, Hooks{}).Breaker, core.KeyOf("a")
		}
		m = specification(prepared(quick), n.b.cell(core.Call{Key: n.key, Now: core.Now()}).m)
		permits := make([][]held, workers)
		for round := range 28 / workers {
			time.Sleep(time.Duration(rng.IntN(4)) * 10 * time.Millisecond)
			atOnce(workers, func(w int) {
				r := rand.New(rand.NewPCG(seed, uint64(round*workers+w)))
				for range 2 {
					now := core.Now().Add(-time.Duration(r.IntN(4)*r.IntN(2)) * 5 * time.Millisecond)
					switch mine := permits[w]; {
					case seed%2 == 1 && r.IntN(12) == 0:
						n.trip(w, time.Duration(1+r.IntN(4))*10*time.Millisecond)
					case seed%2 == 1 && r.IntN(12) == 0:
						n.reset(w)
					case len(mine) > 0 && r.IntN(3) > 0:
						o := [...]core.Outcome{core.Failure, core.Success, core.Failure, core.Success, core.Ignored}[r.IntN(5)]
						i := r.IntN(len(mine))
						n.end(w, mine[i], now, o)
						permits[w] = append(mine[:i:i], mine[i+1:]...)
					default:
						if h := n.ask(w, now); h.p != nil {
							permits[w] = append(mine, h)
						}
					}
				}
			})
		}
		ops = n.ops
	})
	return m, ops
}

const longest = 10 * time.Second // for one history; the usual one takes about a millisecond

func TestHistoriesAreLinearizable(t *testing.T) {
	var calls, probes, open, probing, stale, overlapping int
	for seed := range uint64(histories) {
		m, ops := history(t, seed, 4+int(seed/4)%5)
		if got := porcupine.CheckOperationsTimeout(m, ops, longest); got != porcupine.Ok {
			t.Fatalf("seed %d: %s\n%+v", seed, got, ops)
		}
		var newest uint32
		for i, op := range ops {
			if i > 0 && op.ClientId != ops[i-1].ClientId && op.Call < ops[i-1].Return && ops[i-1].Call < op.Return {
				overlapping++
			}
			if part, ok := op.Input.(ending); ok && part.era < newest {
				stale++
			}
			switch got, ok := op.Output.(verdict); {
			case !ok:
			case got.reason == core.ReasonOpen:
				open++
			case got.reason == core.ReasonProbing:
				probing++
			case got.place == noPlace:
				calls++
				newest = max(newest, got.era)
			default:
				probes++
				newest = max(newest, got.era)
			}
		}
	}
	t.Logf("%d calls, %d probes, %d rejected while open, %d while probing; %d stale results; %d parts overlapped their predecessor",
		calls, probes, open, probing, stale, overlapping)
	// How much the goroutines overlap is up to the machine, and so is no reason to fail.
	if calls < histories || min(probes, open, probing, stale) == 0 {
		t.Error("the histories say little")
	}
}

// TestHistoriesCanFail: one worker's history has one explanation, so every wrong answer in it must be noticed.
func TestHistoriesCanFail(t *testing.T) {
	for seed := range uint64(40) {
		m, ops := history(t, seed, 1)
		if got := porcupine.CheckOperationsTimeout(m, ops, longest); got != porcupine.Ok {
			t.Fatalf("seed %d: %s\n%+v", seed, got, ops)
		}
		for i, op := range ops {
			right, ok := op.Output.(verdict)
			if !ok {
				continue
			}
			wrong := []verdict{
				{right.reason ^ core.ReasonOpen, right.after, right.era, right.place},
				{right.reason, right.after + 1, right.era, right.place},
				{right.reason, right.after, right.era + 1, right.place},
				{right.reason, right.after, right.era, right.place ^ 1},
			}
			for _, ops[i].Output = range wrong {
				if got := porcupine.CheckOperationsTimeout(m, ops, longest); got != porcupine.Illegal {
					t.Errorf("seed %d, operation %d: %+v instead of %+v is %s", seed, i, ops[i].Output, right, got)
				}
			}
			ops[i].Output = right
		}
	}
}

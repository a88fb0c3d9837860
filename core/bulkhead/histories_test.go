package bulkhead

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/mw-go/mw/core"
)

// What several goroutines see of one bulkhead is what some order of the parts of their calls explains, each part at one
// moment between the call's beginning and its end. A call has up to three parts, for it may look three times:
//
//	choosing   it reads the settings, once: Decision.By tells which limit it found, and that limit was in force
//	entering   it takes its slots, is rejected, or goes to the end of the queue
//	leaving    the head of the queue gets its slots, by the limit in force then, or is told that it costs too much
//
// So a call that a Tune overtakes may be decided by the limit that it began with, and no other may. A bulkhead of 16 slots or
// more that has much room lets calls take first and look afterwards: there a rejection is explained by slots that
// calls of the same moment have taken and give back. An admission is exact everywhere. Not in the histories: callers that
// leave the queue, which may hold slots for the moment in which they go, and Peek.

const histories = 1000

type (
	choosing struct{ call int8 }
	entering struct {
		call int8
		cost int64
	}
	leaving entering
	ending  struct{ cost int64 }
	tuning  struct{ limit int64 }
	// seen is what came of a call. left is Decision.Remaining, which is exact for one that was admitted at once.
	seen struct {
		reason core.Reason
		waited bool
		limit  int64
		left   int64
	}
)

const maxQueue = 3

// places is the state: the slots taken, and the numbers of the calls in the queue.
type places struct {
	limit, running int64
	queue          [maxQueue]int8 // 0: nobody
	waiting        int
}

// setting is what a history does not change.
type setting struct {
	queue int
	slack int64 // slots that calls may have taken for a moment without running
}

func (s setting) step(p places, input any, got seen) (bool, places) {
	switch part := input.(type) {
	case choosing:
		return got.limit == p.limit, p
	case entering:
		return s.enter(p, part, got)
	case leaving:
		return s.leave(p, part, got)
	case ending:
		p.running -= part.cost
	case tuning:
		p.limit = part.limit
	}
	return true, p
}

func (s setting) enter(p places, part entering, got seen) (bool, places) {
	switch {
	case got.waited:
		if p.waiting == s.queue {
			return false, p
		}
		p.queue[p.waiting] = part.call
		p.waiting++
		return true, p
	case got.reason == 0:
		next, fits := room(p.running).take(part.cost, got.limit)
		exact := s.slack > 0 || got.left == got.limit-next.running()
		fits = fits && p.waiting == 0 && exact
		p.running = next.running()
		return fits, p
	}
	_, fits := room(p.running+s.slack).take(part.cost, got.limit)
	c := Config{Limit: int(got.limit), Queue: s.queue}
	return (!fits || p.waiting > 0) && got.reason == overflow(&c, p.waiting, part.cost), p
}

func (s setting) leave(p places, part leaving, got seen) (bool, places) {
	if p.queue[0] != part.call {
		return false, p
	}
	copy(p.queue[:], p.queue[1:])
	p.queue[maxQueue-1] = 0
	p.waiting--
	if got.reason == core.ReasonTooCostly {
		return part.cost > p.limit, p
	}
	next, fits := room(p.running).take(part.cost, p.limit)
	p.running = next.running()
	return fits, p
}

func (s setting) specification(limit int64) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return places{limit: limit} },
		Step: func(state, input, output any) (bool, any) {
			got, _ := output.(seen)
			ok, next := s.step(state.(places), input, got)
			return ok, next
		},
	}
}

// notes is what the workers write down. Moments are counted, not timed.
type notes struct {
	b      *Bulkhead
	key    core.Key
	moment atomic.Int64
	calls  atomic.Int64
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

func (n *notes) end(worker int, begun int64, output any, parts ...any) {
	now := n.moment.Add(1)
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, part := range parts {
		n.ops = append(n.ops, porcupine.Operation{ClientId: worker, Input: part, Call: begun, Output: output, Return: now})
	}
}

func (n *notes) acquire(worker int, cost int64) *core.Permit {
	const before core.Time = 12345 // Decision.Now is another if the call has waited
	p := new(core.Permit)
	part := entering{int8(n.calls.Add(1)), cost}
	begun := n.begin()
	d := acquire(bg, n.b, core.Call{Key: n.key, Cost: uint32(cost), Now: before}, p)
	got := seen{reason: d.Reason, limit: d.By.Limit, left: int64(d.Remaining)}
	got.waited = d.Now != before && (d.Reason == 0 || d.Reason == core.ReasonTooCostly)
	if got.waited {
		n.end(worker, begun, got, choosing{part.call}, part, leaving(part))
	} else {
		n.end(worker, begun, got, choosing{part.call}, part)
	}
	if d.Reason != 0 {
		return nil
	}
	return p
}

func (n *notes) finish(worker int, p *core.Permit, cost int64) {
	if p != nil {
		begun := n.begin()
		p.Done(0, core.Success)
		n.end(worker, begun, nil, ending{cost})
	}
}

func (n *notes) tune(t *testing.T, worker int, c Config) {
	begun := n.begin()
	if err := n.b.Tune(c); err != nil {
		t.Error(err)
	}
	n.end(worker, begun, nil, tuning{int64(c.Limit)})
}

// together runs f for each worker, all from the same moment on.
func together(workers int, f func(worker int)) {
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

// history lets workers loose on a bulkhead and returns what they saw. Odd seeds tune as well; every other pair has a
// queue; one in eight is roomy.
func history(t *testing.T, seed uint64, workers int) (m porcupine.Model, ops []porcupine.Operation) {
	synctest.Test(t, func(t *testing.T) { // a wake-up that is lost ends as ReasonWaited, at once
		const maxCost = 2
		rng := rand.New(rand.NewPCG(seed, 31))
		var s setting
		least := 1
		switch {
		case seed%8 == 7:
			least, s.slack = minRoomy, maxCost*int64(workers-1)
		case seed%4 >= 2:
			s.queue = 1 + rng.IntN(maxQueue)
		}
		random := func(r *rand.Rand) Config {
			return Config{Limit: least + r.IntN(4), Queue: s.queue, MaxWait: time.Hour}
		}
		c := random(rng)
		n := &notes{b: bulkhead(t, c)}
		if seed%3 == 0 {
			n.b, n.key = &keyedBulkhead(t, c).Bulkhead, keyOf(0)
		}
		m = s.specification(int64(c.Limit))
		n.finish(0, n.acquire(0, 1), 1) // makes a large one roomy
		together(workers, func(w int) {
			r := rand.New(rand.NewPCG(seed, uint64(w)))
			for range 16 / workers {
				if seed%2 == 1 && r.IntN(4) == 0 {
					n.tune(t, w, random(r))
				}
				cost := 1 + r.Int64N(maxCost)
				p := n.acquire(w, cost)
				if s.queue == 0 && r.IntN(2) == 0 { // who may wait holds nothing, or all might wait for one another
					n.finish(w, n.acquire(w, 1), 1)
				}
				if r.IntN(2) == 0 {
					runtime.Gosched()
				}
				if s.slack == 0 {
					n.finish(w, p, cost)
				} else {
					defer n.finish(w, p, cost) // or it would never be full
				}
			}
		})
		atRest(t, n.b)
		ops = n.ops
	})
	return m, ops
}

const patience = 10 * time.Second // for one history; the usual one takes about a millisecond

func TestHistoriesAreLinearizable(t *testing.T) {
	var admitted, waited, rejected, longest, overlapping int
	for seed := range uint64(histories) {
		m, ops := history(t, seed, 4+int(seed/8)%5)
		if got := porcupine.CheckOperationsTimeout(m, ops, patience); got != porcupine.Ok {
			t.Fatalf("seed %d: %s\n%+v", seed, got, ops)
		}
		longest = max(longest, len(ops))
		for i, op := range ops {
			if i > 0 && op.Call < ops[i-1].Return && ops[i-1].Call < op.Return && op.ClientId != ops[i-1].ClientId {
				overlapping++
			}
			if _, ok := op.Input.(entering); !ok {
				continue
			}
			switch got := op.Output.(seen); {
			case got.waited:
				waited++
			case got.reason == 0:
				admitted++
			default:
				rejected++
			}
		}
	}
	t.Logf("%d admitted, %d waited, %d rejected; %d parts overlapped their predecessor; at most %d parts",
		admitted, waited, rejected, overlapping, longest)
	// How much the goroutines overlap is up to the machine, and so is no reason to fail.
	if admitted < histories || waited == 0 || rejected < histories/10 {
		t.Error("the histories say little")
	}
}

// TestHistoriesCanFail: one worker's history has one explanation, so every wrong answer in it must be noticed.
func TestHistoriesCanFail(t *testing.T) {
	for seed := range uint64(40) {
		m, ops := history(t, seed, 1)
		if got := porcupine.CheckOperationsTimeout(m, ops, patience); got != porcupine.Ok {
			t.Fatalf("seed %d: %s\n%+v", seed, got, ops)
		}
		for i, op := range ops {
			right, ok := op.Output.(seen)
			if !ok {
				continue
			}
			var wrong []seen
			switch op.Input.(type) {
			case choosing:
				wrong = []seen{{right.reason, right.waited, right.limit + 1, right.left}}
			case entering:
				wrong = []seen{
					{right.reason ^ core.ReasonFull, right.waited, right.limit, right.left},
					{right.reason ^ core.ReasonTooCostly, right.waited, right.limit, right.left},
				}
			}
			for _, ops[i].Output = range wrong {
				if got := porcupine.CheckOperationsTimeout(m, ops, patience); got != porcupine.Illegal {
					t.Errorf("seed %d, part %d: %+v instead of %+v is %s", seed, i, ops[i].Output, right, got)
				}
			}
			ops[i].Output = right
		}
	}
}

package ratelimit

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/mw-go/mw/core"
)

// What several goroutines see of one bucket is what some order of their calls explains, one after the other, each at one
// moment between its beginning and its end. The order is checked against the pure machine. Time is part of a call, and in
// the bubble a Tune's time is known too, so the machine leaves nothing to chance.
//
// Promised, and checked, is for every call whether it was admitted, and Remaining and RetryAfter to the nanosecond, with
// one exception: a call that a Tune overtakes may be admitted by the settings that it began with, and Remaining is then by
// those. If the Tune also made the burst smaller, a rejection between the two has not counted that call. So where a Tune
// overtook a call only the verdicts are checked. Not promised, and not in the histories: Peek, which is advice; readings ahead
// of the clock; the first calls of a new key with readings of different age.

const (
	histories   = 1000
	unknownLeft = -2
)

// asked and tuned are the operations; answer is what came of the first.
type (
	asked struct {
		now  core.Time
		cost uint32
	}
	tuned struct {
		now core.Time
		c   Config
	}
	answer struct {
		reason core.Reason
		after  time.Duration
		left   int32 // unknownLeft: neither it nor after is to be compared
	}
)

// bucket is the state between two calls.
type bucket struct {
	k   clock
	c   Config
	tat int64
}

func (b bucket) ask(q asked) (bucket, answer) {
	v, _ := b.k.virtual(q.now)
	cost := int64(q.cost) << unitBits
	next, short, debt := b.k.admit(b.tat, v, cost)
	b.tat = next
	got := answer{left: int32(b.k.left(debt))}
	switch {
	case cost > b.k.burst:
		got.reason, got.after = core.ReasonTooCostly, core.Never
	case short > 0:
		got.reason, got.after = core.ReasonLimited, b.k.wait(short)
	}
	return b, got
}

func (b bucket) tune(to tuned) bucket {
	if to.c != b.c {
		b.k, b.c = newClock(&b.k, to.c, to.now), to.c
	}
	return b
}

func (b bucket) equal(o bucket) bool {
	return b.tat == o.tat && b.c == o.c && b.k.start == o.k.start && b.k.origin == o.k.origin &&
		b.k.fresh == o.k.fresh && slices.Equal(b.k.carry, o.k.carry)
}

func specification(start bucket) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return start },
		Step: func(state, input, output any) (bool, any) {
			b := state.(bucket)
			if to, ok := input.(tuned); ok {
				return true, b.tune(to)
			}
			next, want := b.ask(input.(asked))
			got := output.(answer)
			if got.left == unknownLeft {
				return got.reason == want.reason, next
			}
			return got == want, next
		},
		Equal: func(a, b any) bool { return a.(bucket).equal(b.(bucket)) },
	}
}

// notes is what the workers write down. Moments are counted, not timed.
type notes struct {
	l         *Limiter
	key       core.Key
	moment    atomic.Int64
	overtaken atomic.Bool // a call was admitted across a Tune
	mu        sync.Mutex
	ops       []porcupine.Operation
}

func (n *notes) write(worker int, input any, do func() any) {
	op := porcupine.Operation{ClientId: worker, Input: input, Call: n.moment.Add(1)}
	if op.Call%8 == 0 { // on one core nothing would overlap otherwise
		runtime.Gosched()
	}
	op.Output = do()
	op.Return = n.moment.Add(1)
	n.mu.Lock()
	n.ops = append(n.ops, op)
	n.mu.Unlock()
}

func (n *notes) ask(worker int, q asked) {
	n.write(worker, q, func() any {
		s := n.l.live.Load()
		_, d := n.l.Acquire(bg, core.Call{Key: n.key, Now: q.now, Cost: q.cost})
		if d.Admitted() && n.l.live.Load() != s {
			n.overtaken.Store(true)
		}
		return answer{d.Reason, d.RetryAfter, d.Remaining}
	})
}

func (n *notes) tune(t *testing.T, worker int, c Config) {
	full, err := prepare(c)
	if err != nil {
		t.Fatal(err)
	}
	n.write(worker, tuned{core.Now(), full}, func() any {
		if err := n.l.Tune(c); err != nil {
			t.Error(err)
		}
		return nil
	})
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

// history lets workers loose on a bucket and returns what they saw. Odd seeds tune as well.
func history(t *testing.T, seed uint64, workers int) (m porcupine.Model, ops []porcupine.Operation) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(seed, 29))
		random := func(r *rand.Rand) Config {
			c, err := prepare(Config{Limit: 20 << r.IntN(3), Burst: 1 + r.Int64N(12)})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		n := &notes{}
		if c := random(rng); seed%4 < 2 {
			n.l = limiter(t, c)
		} else {
			n.l, n.key = &keyedLimiter(t, c).Limiter, core.KeyOfWords(7, 0)
		}
		s := n.l.live.Load()
		m = specification(bucket{k: s.Derived, c: s.Config})
		n.ask(0, asked{core.Now(), 1}) // the key has its cell now
		for round := range 28 / workers {
			time.Sleep(time.Duration(1+rng.IntN(4)) * 50 * time.Millisecond)
			together(workers, func(w int) {
				r := rand.New(rand.NewPCG(seed, uint64(round*workers+w)))
				for range 2 {
					if seed%2 == 1 && r.IntN(8) == 0 {
						n.tune(t, w, random(r))
						continue
					}
					n.ask(w, asked{core.Now().Add(-time.Duration(r.IntN(200)) * time.Millisecond), 1 + r.Uint32N(3)>>r.IntN(2)})
				}
			})
		}
		if n.overtaken.Load() {
			for i, op := range n.ops {
				if got, ok := op.Output.(answer); ok {
					n.ops[i].Output = answer{reason: got.reason, left: unknownLeft}
				}
			}
		}
		ops = n.ops
	})
	return m, ops
}

const patience = 10 * time.Second // for one history; the usual one takes less than a millisecond

func TestHistoriesAreLinearizable(t *testing.T) {
	var overlapping, admitted, rejected, blurred int
	for seed := range uint64(histories) {
		m, ops := history(t, seed, 4+int(seed/4)%5)
		if got := porcupine.CheckOperationsTimeout(m, ops, patience); got != porcupine.Ok {
			t.Fatalf("seed %d: %s\n%+v", seed, got, ops)
		}
		for i, op := range ops {
			if i > 0 && op.Call < ops[i-1].Return && ops[i-1].Call < op.Return {
				overlapping++
			}
			switch got, ok := op.Output.(answer); {
			case !ok:
			case got.reason == 0:
				admitted++
			default:
				rejected++
			}
		}
		if got, ok := ops[0].Output.(answer); ok && got.left == unknownLeft {
			blurred++
		}
	}
	t.Logf("%d admitted, %d rejected, %d overlapped their predecessor; a Tune overtook calls in %d histories",
		admitted, rejected, overlapping, blurred)
	// How much the goroutines overlap is up to the machine, and so is no reason to fail.
	if admitted < histories || rejected < histories || blurred > histories/2 {
		t.Error("the histories say little")
	}
}

// TestHistoriesCanFail: one worker's history has one explanation, so every wrong answer in it must be noticed.
func TestHistoriesCanFail(t *testing.T) {
	for seed := range uint64(20) {
		m, ops := history(t, seed, 1)
		if got := porcupine.CheckOperationsTimeout(m, ops, patience); got != porcupine.Ok {
			t.Fatalf("seed %d: %s", seed, got)
		}
		for i, op := range ops {
			right, ok := op.Output.(answer)
			if !ok {
				continue
			}
			wrong := []answer{
				{right.reason ^ core.ReasonLimited, right.after, right.left},
				{right.reason, right.after + 1, right.left},
				{right.reason, right.after, right.left + 1},
				{right.reason ^ core.ReasonLimited, 0, unknownLeft},
			}
			for _, ops[i].Output = range wrong {
				if got := porcupine.CheckOperationsTimeout(m, ops, patience); got != porcupine.Illegal {
					t.Errorf("seed %d, operation %d: %+v instead of %+v is %s", seed, i, ops[i].Output, right, got)
				}
			}
			ops[i].Output = right
		}
	}
}

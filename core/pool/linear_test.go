package pool

import (
	"context"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/mw-go/mw/core"
)

// A history is what some clients did with a pool at once, and when. It is linearizable if the pool could have done the
// same things one at a time, each at some moment between its call and its return.

type op uint8

const (
	acquires op = iota
	releases
	discards
)

type input struct {
	op op
	id int
}

// refusal is the output of an acquire that got nothing; others are the id of a resource.
const (
	full = -1
	left = -2
)

// ledger is the pool one at a time: who is out and who is gone for ever, a bit an id.
type ledger struct{ out, gone uint64 }

// sequential is the specification. strict holds for pools that are full of resources which nobody discards: then full
// may be said only when all are out.
func sequential(most int, strict bool) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return ledger{} },
		Step: func(s, in, out any) (bool, any) {
			l, i := s.(ledger), in.(input)
			if i.op == acquires {
				id := out.(int)
				if id < 0 {
					return id == left || !strict || bits.OnesCount64(l.out) == most, l
				}
				bit := uint64(1) << id
				free := (l.out|l.gone)&bit == 0 && bits.OnesCount64(l.out) < most
				l.out |= bit
				return free, l
			}
			bit := uint64(1) << i.id
			held := l.out&bit != 0
			l.out &^= bit
			if i.op == discards {
				l.gone |= bit
			}
			return held, l
		},
	}
}

// play lets clients loose on a pool and writes down what they see. early makes a client give some resources back before
// it says so: to the others, a pool that lends what is out.
func play(t *testing.T, seed uint64, strict, early bool) (most int, history []porcupine.Operation) {
	rng := rand.New(rand.NewPCG(seed, 31))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1 << rng.IntN(4)))
	most = 1 + rng.IntN(3)
	c := Config{Max: most, MaxWait: core.None, CreateTimeout: time.Minute}
	if strict {
		c.Queue = core.None
	}
	m := &maker{}
	p := newPool(t, c, m)
	if strict {
		var warm []Lease[*conn]
		for range most {
			warm = append(warm, take(t, p))
		}
		for _, l := range warm {
			l.Release()
		}
	}
	clients := 4 + rng.IntN(5)
	notes := make([][]porcupine.Operation, clients)
	var wg sync.WaitGroup
	for g := range clients {
		rng := rand.New(rand.NewPCG(seed, uint64(g)))
		wg.Go(func() {
			note := func(in input, call core.Time, out int) {
				notes[g] = append(notes[g], porcupine.Operation{
					ClientId: g, Input: in, Call: int64(call), Output: out, Return: int64(core.Now()),
				})
			}
			for range 12 {
				ctx, cancel := context.WithCancel(bg)
				if !strict && rng.IntN(3) == 0 {
					go cancel()
				}
				begin := core.Now()
				l, err := p.Acquire(ctx)
				if err != nil {
					refusal := full
					if ctx.Err() != nil {
						refusal = left
					}
					note(input{op: acquires}, begin, refusal)
					cancel()
					continue
				}
				id := l.Value().id
				note(input{op: acquires}, begin, id)
				for range rng.IntN(4) {
					runtime.Gosched()
				}
				if early && rng.IntN(4) == 0 {
					l.Release()
					for range 100 {
						runtime.Gosched()
					}
				}
				begin = core.Now()
				if !strict && id < 40 && rng.IntN(6) == 0 {
					l.Discard()
					note(input{discards, id}, begin, 0)
				} else {
					l.Release()
					note(input{releases, id}, begin, 0)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if err := p.Close(bg); err != nil {
		t.Error(err)
	}
	for _, n := range notes {
		history = append(history, n...)
	}
	return most, history
}

func linearizable(most int, strict bool, history []porcupine.Operation) bool {
	return porcupine.CheckOperationsTimeout(sequential(most, strict), history, time.Minute) == porcupine.Ok
}

func TestHistoriesAreLinearizable(t *testing.T) {
	refusals := 0
	for seed := range uint64(1000) {
		strict := seed%2 == 0
		most, history := play(t, seed, strict, false)
		if !linearizable(most, strict, history) {
			t.Fatalf("seed %d: a history of %d operations is not linearizable", seed, len(history))
		}
		for _, o := range history {
			if id, ok := o.Output.(int); ok && id < 0 {
				refusals++
			}
		}
	}
	if refusals < 100 {
		t.Errorf("only %d refusals in all histories: too little went on at once", refusals)
	}
}

// TestCheckSeesASeededBug: the check above is worth something.
func TestCheckSeesASeededBug(t *testing.T) {
	for seed := range uint64(1000) {
		if most, history := play(t, seed, seed%2 == 0, true); !linearizable(most, seed%2 == 0, history) {
			return
		}
	}
	t.Error("a pool that lends what is out passes")
}

package main

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
)

// floorRow is what the machine itself takes for the parts that every guard is made of. Nothing is compared in it; it
// tells whether a bar can be reached where the benchmark runs. A mutex is 5 ns on one machine and 16 on another whose
// clock is no slower, and then the same library is a different distance ahead.
func floorRow() Row {
	return Row{
		Name: "Floor", About: "the machine's own price of a clock reading, a lock and a counter",
		Contestants: []Contestant{
			{"core.Now", floorSince}, {"time.Now", floorNow}, {"mutex", floorMutex},
			{"add", floorAdd}, {"cas", floorSwap},
		},
	}
}

func floorSince() Subject {
	return Subject{Loop: func(_, n int) (admitted int) {
		for range n {
			if core.Now() != 0 {
				admitted++
			}
		}
		return admitted
	}}
}

func floorNow() Subject {
	return Subject{Loop: func(_, n int) (admitted int) {
		for range n {
			if t := time.Now(); !t.IsZero() {
				admitted++
			}
		}
		return admitted
	}}
}

func floorMutex() Subject {
	var mu sync.Mutex
	return Subject{Loop: func(_, n int) (admitted int) {
		for range n {
			mu.Lock()
			admitted++
			mu.Unlock()
		}
		return admitted
	}}
}

func floorAdd() Subject {
	var count atomic.Uint64
	return Subject{Loop: func(_, n int) (admitted int) {
		for range n {
			if count.Add(1) != 0 {
				admitted++
			}
		}
		return admitted
	}}
}

func floorSwap() Subject {
	var count atomic.Uint64
	return Subject{Loop: func(_, n int) (admitted int) {
		for range n {
			for {
				old := count.Load()
				if count.CompareAndSwap(old, old+1) {
					admitted++
					break
				}
			}
		}
		return admitted
	}}
}

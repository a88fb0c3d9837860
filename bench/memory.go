package main

import "runtime"

// memoryRow is the row whose contestants, once built, hold keyCount keys.
const memoryRow = "Keyed100k"

// A Footprint is what a keyed contestant keeps for each key, in bytes of heap.
type Footprint struct {
	Name   string
	PerKey float64
}

// footprints measures every contestant of the memory row. The names of the keys are shared with the caller and not
// counted; a contestant's fixed part is.
func footprints(r Row) (all []Footprint) {
	keys()
	for _, c := range r.Contestants {
		sizes := make([]float64, 3)
		for i := range sizes {
			sizes[i] = footprint(c)
		}
		all = append(all, Footprint{c.Name, median(sizes)})
	}
	return all
}

func footprint(c Contestant) float64 {
	before := heap()
	s := c.New()
	after := heap()
	s.close() // also keeps s alive until here
	runtime.KeepAlive(s)
	return (float64(after) - float64(before)) / keyCount
}

// heap returns the bytes of live heap. It collects twice: the first time around only runs what pools and cleanups keep.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

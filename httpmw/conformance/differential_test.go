package conformance

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// compared is a layer with its station and the allowances that hold for it.
type compared struct {
	layer
	*station
	allowed []*allowance
	served  atomic.Int64
}

// scenarios is how many handlers are generated.
func scenarios() int {
	if n, err := strconv.Atoi(os.Getenv("MW_CONFORMANCE")); err == nil {
		return n
	}
	switch {
	case raceEnabled, testing.Short():
		return 500
	default:
		return 10_000
	}
}

// remembered are seeds that have found something once: a fault, or an allowance that few others need. Every layer meets them.
var remembered = []uint64{
	433, 4018, 4549, 7240, 8134, 8986, 1393716210138554935, 3534662643163071020, 8327387215068725828, 9660146984880848510,
	12486596416788630182,
}

// exploring reports whether MW_EXPLORE is set: then every third seed is random, and an allowance that nobody needed is a
// fault. Without it all seeds are the same every time, so that a change is judged by what it changes and not by chance.
func exploring() bool { return os.Getenv("MW_EXPLORE") != "" }

// seedOf returns the i-th seed. MW_SEED is one to look at alone.
func seedOf(i int) uint64 {
	if one, err := strconv.ParseUint(os.Getenv("MW_SEED"), 10, 64); err == nil {
		return one
	}
	if i < len(remembered) {
		return remembered[i]
	}
	if i%3 == 2 && exploring() {
		return rand.Uint64()
	}
	return uint64(i)
}

// TestNobodySeesADifference is the differential test. A failure names a seed; MW_SEED=n runs that one alone.
func TestNobodySeesADifference(t *testing.T) {
	h := &harness{}
	bare := h.serve(t, "bare", hang, func(next http.Handler) http.Handler { return next })
	var all []*compared
	for _, l := range layers(t) {
		c := &compared{layer: l, station: h.serve(t, l.name, hang, l.wrap)}
		for i := range allowances {
			if a := &allowances[i]; slices.ContainsFunc(a.layers, func(name string) bool { return name == l.name || slices.Contains(l.of, name) }) {
				c.allowed = append(c.allowed, a)
			}
		}
		all = append(all, c)
	}
	found := &findings{worst: map[string]*finding{}, used: map[*allowance]int{}}
	forEachSeed(scenarios(), func() (one func(uint64), end func()) {
		control, visitors := bare.visitor(), make([]*visitor, len(all))
		for i, c := range all {
			visitors[i] = c.visitor()
		}
		one = func(seed uint64) {
			s := generate(seed)
			for _, h2 := range protocols(s) {
				want := control.view(s, h2)
				for i, c := range all {
					if !c.meets(s) {
						continue
					}
					c.served.Add(1)
					if !found.judge(c, s, h2, want, visitors[i].view(s, h2), true) {
						s := *s
						s.again = 1
						found.judge(c, &s, h2, control.view(&s, h2), visitors[i].view(&s, h2), false)
					}
				}
			}
		}
		end = func() {
			control.close()
			for _, v := range visitors {
				v.close()
			}
		}
		return one, end
	})
	found.report(t)
	for _, c := range all {
		t.Logf("%6d exchanges with %s", c.served.Load(), c.layer.name)
	}
}

// thorough reports whether MW_EVERY is set, as in CI: then every layer meets every handler, which takes some minutes.
func thorough() bool { return os.Getenv("MW_EVERY") != "" }

// meets reports whether the layer is tried with the scenario: the stacks with all of them, a single layer with a quarter,
// or with all if the test is thorough.
func (c *compared) meets(s *scenario) bool {
	if c.fits != nil && !c.fits(s) {
		return false
	}
	if thorough() || os.Getenv("MW_SEED") != "" || len(c.of) > 2 || slices.Contains(remembered, s.seed) {
		return true
	}
	return (s.seed+uint64(len(c.layer.name)))%4 == 0
}

// protocols are those that the scenario is served over, HTTP/2 or not.
func protocols(s *scenario) []bool {
	if s.old {
		return []bool{false}
	}
	return []bool{false, true}
}

// forEachSeed deals n seeds out to workers, of which each has clients of its own.
func forEachSeed(n int, worker func() (one func(seed uint64), end func())) {
	seeds := make(chan uint64)
	var workers sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			one, end := worker()
			defer end()
			for seed := range seeds {
				one(seed)
			}
		})
	}
	for i := range n {
		seeds <- seedOf(i)
	}
	close(seeds)
	workers.Wait()
}

// finding is a difference that no allowance covers, by its simplest example.
type finding struct {
	*difference
	layer string
	count int
}

// findings gathers them by layer and name.
type findings struct {
	mu    sync.Mutex
	worst map[string]*finding
	used  map[*allowance]int

	total  int
	chance []*difference // at the first look
}

// differences are what a client behind a layer has seen, or its handler was told, otherwise than without.
func differences(s *scenario, h2 bool, want, got view) (all []*difference) {
	for _, key := range keys(want, got) {
		if want[key] != got[key] && key[0] != '~' {
			all = append(all, &difference{s: s, h2: h2, key: key, bare: want, got: got})
		}
	}
	return all
}

// judge compares what a layer's client has seen with what a bare one has. What differs and should not is looked at once
// more: a connection that breaks shows each side its own part of it, and not always the same. In that case judge says false
// and counts, and the second look decides.
func (f *findings) judge(c *compared, s *scenario, h2 bool, want, got view, first bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.total++
	for _, d := range differences(s, h2, want, got) {
		i := slices.IndexFunc(c.allowed, func(a *allowance) bool { return a.covers(d) })
		if i >= 0 {
			f.used[c.allowed[i]]++
			continue
		}
		if first {
			f.chance = append(f.chance, d)
			return false
		}
		f.add(c.layer.name, d)
	}
	return true
}

func (f *findings) add(layer string, d *difference) {
	name := layer + " " + strings.TrimRight(d.key, "0123456789")
	old := f.worst[name]
	if old == nil {
		old = &finding{difference: d, layer: layer}
		f.worst[name] = old
	}
	old.count++
	if len(d.s.steps) < len(old.s.steps) {
		old.difference = d
	}
}

// report fails the test for each finding, and for allowances that are not needed.
func (f *findings) report(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(f.worst)) {
		found := f.worst[name]
		t.Errorf("%s, %d times, such as over HTTP/%s: %s\n  %s\n    bare %s\n    got  %s", name, found.count,
			map[bool]string{false: "1.1", true: "2"}[found.h2], found.s, found.key, brief(found.bare[found.key]), brief(found.got[found.key])+" "+found.got["status"]+" "+found.got["~error"])
	}
	if len(f.worst) == 0 {
		for _, d := range f.chance {
			t.Logf("once and not again: %s\n  %s: bare %s, got %s %s", d.s, d.key, brief(d.bare[d.key]), brief(d.got[d.key]), d.got["~error"])
		}
		if len(f.chance) > 1+f.total/5000 {
			t.Errorf("%d of %d exchanges differed once and not again", len(f.chance), f.total)
		}
	}
	if scenarios() < 10_000 {
		return
	}
	for i := range allowances {
		if a := &allowances[i]; f.used[a] == 0 {
			if exploring() {
				t.Errorf("%v: %s: is not needed", a.layers, a.key)
			} else {
				t.Logf("%v: %s: is not needed by these seeds", a.layers, a.key)
			}
		}
	}
}

// brief cuts a long body in the middle.
func brief(s string) string {
	if len(s) > 400 {
		return fmt.Sprintf("%.100q ... %q (%d bytes)", s, s[len(s)-100:], len(s))
	}
	return fmt.Sprintf("%q", s)
}

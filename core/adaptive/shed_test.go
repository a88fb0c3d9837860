package adaptive

import (
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

func TestRank(t *testing.T) {
	for c, want := range map[core.Class]int{
		core.Unclassified: 1, core.CriticalPlus: 0, core.Critical: 1, core.SheddablePlus: 2, core.Sheddable: 3, 5: 3, 255: 3,
	} {
		if got := rank(c); got != want {
			t.Errorf("class %d: %d, want %d", c, got, want)
		}
	}
}

// TestLevel: a user keeps a place for an hour, users spread over all places, and calls without a key get one by chance.
func TestLevel(t *testing.T) {
	var taken [places]int
	moved := 0
	for i := range 6400 {
		k := core.KeyOfWords(0, uint64(i)+1) // neighbours, as addresses are
		at := level(2, k, 7, uint64(i))
		if at < 2*places || at >= 3*places || at != level(2, k, 7, 99) {
			t.Fatalf("key %d: level %d", i, at)
		}
		if level(2, k, 8, 0) != at {
			moved++
		}
		taken[at-2*places]++
	}
	for i, n := range taken {
		if n < 50 || n > 160 {
			t.Errorf("place %d has %d of 6400 users", i, n)
		}
	}
	if moved < 6000 {
		t.Errorf("%d of 6400 users have moved an hour later", moved)
	}
	if level(0, core.Key{}, 7, 0) != 0 || level(0, core.Key{}, 7, 1<<63) != places/2 {
		t.Error("calls without a key")
	}
	if turnOf(core.Time(-1)) != 0 || turnOf(core.Time(time.Hour)) != 1 {
		t.Error("turns")
	}
}

func TestShedder(t *testing.T) {
	var s shedder
	even := func(n uint32) *[levels]uint32 { // so many calls on each level
		var a [levels]uint32
		for i := range a {
			a[i] = n
		}
		return &a
	}
	step := func(a *[levels]uint32, capacity float64, refused bool, cut, edge int) {
		t.Helper()
		if s.step(a, time.Second, capacity, refused); s.cut != cut || s.edge != edge {
			t.Errorf("cut-off %d in class %d, want %d in %d", s.cut, s.edge, cut, edge)
		}
	}
	s.begin()
	step(even(10), 1000, true, 109, 1)      // 1100 calls a second pass: 110 levels
	step(even(10), 1000, false, 137, 2)     // nobody held back: a quarter more
	step(even(10), 1000, true, 109, 1)      // and back
	step(even(10), 3000, true, everyone, 3) // all pass: 2560 are less than 3300
	if s.over() {
		t.Error("over, and somebody was just held back")
	}
	for range calmed {
		step(even(10), 3000, false, everyone, 3)
	}
	if !s.over() {
		t.Error("not over")
	}
	s.begin()
	one := new([levels]uint32)
	one[places+9] = 1000 // one user
	step(one, 100, true, places+9, 1)
	s.begin()
	step(new([levels]uint32), 100, true, everyone, 0) // nobody came
	s.begin()
	step(even(10), 0, true, 0, 0) // the slots carry nothing

	s.rest(true)
	if s.cut != everyone || s.over() {
		t.Errorf("after a rest: cut-off %d, over %v", s.cut, s.over())
	}
	if s.rest(false); !s.over() {
		t.Error("not over")
	}
}

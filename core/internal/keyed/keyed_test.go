package keyed

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/mw-go/mw/core"
)

// model is a map of the keys that have a cell. It cannot say which idle cell gives way, so it is told by what Retire did.
type model struct {
	m     *Map[cell]
	cells map[core.Key]*cell
	gone  []core.Key // retired since the last look
}

func newModel(bound int) *model {
	md := &model{cells: map[core.Key]*cell{}}
	r := rules()
	retire := r.Retire
	r.Retire = func(c *cell, now core.Time) bool {
		ok := retire(c, now)
		if ok {
			md.gone = append(md.gone, c.key)
		}
		return ok
	}
	md.m = New(bound, r)
	return md
}

// get is Get with every consequence compared.
func (md *model) get(t testing.TB, k core.Key) *Entry[cell] {
	t.Helper()
	had, spilled, used := md.cells[k], md.m.Spilled(), md.m.Len()
	md.gone = md.gone[:0]
	e := md.m.Get(k, 0)
	switch {
	case k.IsZero():
		if e != &md.m.zero {
			t.Fatal("the zero key has not its own cell")
		}
		return e
	case had != nil:
		if &e.Cell != had || len(md.gone) != 0 || md.m.Len() != used || md.m.Spilled() != spilled {
			t.Fatal("a key that has a cell did not simply get it")
		}
		return e
	case e == md.m.Overflow():
		if md.m.Spilled() != spilled+1 || len(md.gone) != 0 || md.m.Len() != used {
			t.Fatalf("overflow: spilled %d to %d, retired %d, entries %d to %d",
				spilled, md.m.Spilled(), len(md.gone), used, md.m.Len())
		}
		return e
	}
	for _, old := range md.gone {
		if md.cells[old] == nil || md.cells[old].word.Load()&busy != 0 {
			t.Fatal("a cell gave way that had no key or was busy")
		}
		delete(md.cells, old)
	}
	if grown := md.m.Len() - used; grown+len(md.gone) != 1 {
		t.Fatalf("a new key took %d new cells and %d old ones", grown, len(md.gone))
	}
	if !e.Is(k) || e.Cell.key != k || e.Cell.word.Load() == dead {
		t.Fatal("a new key's cell is not started for it")
	}
	md.cells[k] = &e.Cell
	return e
}

// agree compares the whole map with the model.
func (md *model) agree(t testing.TB) {
	t.Helper()
	check(t, md.m)
	if md.m.Len() != len(md.cells) {
		t.Fatalf("%d entries, want %d", md.m.Len(), len(md.cells))
	}
	for k, c := range md.cells {
		if e := md.m.Find(k); e == nil || &e.Cell != c || !md.m.Owns(e, k) {
			t.Fatal("a key is not found, or another's cell is")
		}
	}
	n := 0
	md.m.Range(func(k core.Key, c *cell) {
		if n++; n > 2 && md.cells[k] != c {
			t.Fatal("Range tells of a cell that the key has not")
		}
	})
	if n != len(md.cells)+2 {
		t.Fatalf("Range visits %d cells, want %d and the two shared ones", n, len(md.cells))
	}
}

// op plays one op byte.
func (md *model) op(t testing.TB, op byte, k core.Key) {
	switch op % 8 {
	case 0, 1, 2:
		md.get(t, k)
	case 3:
		setBusy(&md.get(t, k).Cell, true)
	case 4:
		if c := md.cells[k]; c != nil {
			setBusy(c, false)
		}
	case 5:
		if e := md.m.Find(k); (e != nil) != (md.cells[k] != nil || k.IsZero()) {
			t.Fatal("Find and the model disagree")
		}
	case 6:
		md.m.SetBound(int(op)/2 + 1)
	case 7:
		for _, c := range md.cells {
			setBusy(c, false)
		}
	}
}

func TestModel(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		md := newModel(1 + rng.IntN(500))
		keys := 1 << rng.IntN(13)
		for i := range 5000 {
			op := byte(rng.IntN(256))
			if op%8 >= 6 && rng.IntN(50) > 0 {
				op = 0
			}
			md.op(t, op, core.KeyOfWords(uint64(rng.IntN(keys)), 0))
			if i%1000 == 0 {
				md.agree(t)
			}
		}
		md.agree(t)
	}
}

// FuzzModel does the same with keys made of the input, so that tags and positions may collide at will.
func FuzzModel(f *testing.F) {
	f.Add(uint8(1), []byte("abcdefghijklmnopqrstuvwxyz"))
	f.Add(uint8(40), make([]byte, 300))
	f.Fuzz(func(t *testing.T, bound uint8, ops []byte) {
		md := newModel(int(bound) + 1)
		md.m.mix = core.Key{} // the same places in every run
		for i := 0; i+3 <= len(ops); i += 3 {
			md.op(t, ops[i], core.KeyOfWords(uint64(ops[i+1]), uint64(ops[i+2])))
		}
		md.agree(t)
	})
}

// TestBound: the documented number of keys fits whatever their distribution over the shards, and not many more do.
func TestBound(t *testing.T) {
	for _, bound := range []int{1, 2, 16, 17, 100, 1000, 65536} {
		m := New(bound, rules())
		for i := range bound {
			setBusy(&m.Get(core.KeyOf(fmt.Sprint(i)), 0).Cell, true)
		}
		if m.Spilled() != 0 {
			t.Errorf("bound %d: %d of so many keys overflowed", bound, m.Spilled())
		}
		for i := range 4*bound + 2000 {
			setBusy(&m.Get(core.KeyOf(fmt.Sprint("more", i)), 0).Cell, true)
		}
		each := (bound + shards - 1) / shards
		if most := shards * (each + int(5*math.Sqrt(float64(each))) + 2); m.Len() > most || m.Spilled() == 0 {
			t.Errorf("bound %d: %d keys and %d spilled after a flood, want at most %d", bound, m.Len(), m.Spilled(), most)
		}
		check(t, m)
	}
}

// TestBoundIsRarelyMissed computes the probability of an overflow below the bound.
func TestBoundIsRarelyMissed(t *testing.T) {
	for bound := 1; bound <= 1<<20; bound += 1 + bound/7 {
		m := &Map[cell]{}
		m.SetBound(bound)
		if p := shards * tail(bound, 1.0/shards, int(m.bound.Load())); p > 1e-4 {
			t.Errorf("bound %d: a shard of %d overflows with probability %.2g", bound, m.bound.Load(), p)
		}
	}
}

// tail is the probability that more than k of n events of probability p happen.
func tail(n int, p float64, k int) (sum float64) {
	lg := func(x int) float64 { v, _ := math.Lgamma(float64(x + 1)); return v }
	for i := k + 1; i <= n; i++ {
		term := math.Exp(lg(n) - lg(i) - lg(n-i) + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
		sum += term
		if term < 1e-12 {
			break
		}
	}
	return sum
}

// TestFloodPushesNobodyOut: busy cells stay with their keys however many new ones come, and idle ones give way first.
func TestFloodPushesNobodyOut(t *testing.T) {
	m := New(1000, rules())
	cells := map[core.Key]*cell{}
	for i := range 1000 {
		e := m.Get(key(i), 0)
		setBusy(&e.Cell, i%2 == 0)
		if i%2 == 0 {
			cells[key(i)] = &e.Cell
		}
	}
	for i := range 100_000 {
		m.Get(key(1_000_000+i), 0)
	}
	if m.Spilled() != 0 {
		t.Errorf("%d new keys overflowed although cells are idle", m.Spilled())
	}
	for k, c := range cells {
		if e := m.Find(k); e == nil || &e.Cell != c {
			t.Fatal("a busy cell was pushed out")
		}
	}
	if m.Len() > 1600 {
		t.Errorf("%d cells", m.Len())
	}
	check(t, m)
}

// TestOverflowIsSharedAndCounted: when everybody is busy, new keys share one cell until somebody is idle again.
func TestOverflowIsSharedAndCounted(t *testing.T) {
	m := New(16, rules())
	for i := range 1000 {
		setBusy(&m.Get(key(i), 0).Cell, true)
	}
	before := m.Spilled()
	e := m.Get(key(5000), 0)
	if e != m.Overflow() || m.Get(key(5001), 0) != e || m.Spilled() != before+2 {
		t.Fatal("new keys do not share the overflow cell, or are not counted")
	}
	if !m.Owns(e, key(5000)) || m.Find(key(5000)) != nil {
		t.Error("the overflow cell is not owned by those it serves, or is found without asking")
	}
	called := 0
	if got := m.GetOr(key(5002), 0, func(c *cell) {
		if called++; c != &m.Overflow().Cell {
			t.Error("spill has another cell")
		}
		if mu := &m.shards[m.hash(key(5002))%shards].mu; mu.TryLock() {
			mu.Unlock()
			t.Error("spill runs outside the lock of the key's shard")
		}
	}); got != nil || called != 1 {
		t.Errorf("GetOr returns %v and calls spill %d times", got, called)
	}
	m.Range(func(_ core.Key, c *cell) { setBusy(c, false) })
	if e = m.Get(key(5000), 0); e == m.Overflow() || !e.Is(key(5000)) {
		t.Error("no cell of its own although all are idle")
	}
	if got := m.GetOr(key(5001), 0, func(*cell) { t.Error("spilled") }); got == nil || !got.Is(key(5001)) {
		t.Error("GetOr gives no cell although all are idle")
	}
}

// TestSweepFindsIdleCells: one idle cell among busy ones is found after so many insertions as it takes to look at all.
func TestSweepFindsIdleCells(t *testing.T) {
	m := New(5000, rules())
	for i := range 20_000 {
		setBusy(&m.Get(key(i), 0).Cell, true)
	}
	full := 0
	for i := range m.shards {
		full = max(full, m.shards[i].used)
	}
	for i := range m.shards {
		s := &m.shards[i]
		setBusy(&s.table.Load().entry((i*37)%s.used).Cell, false)
		for try := range full/sweep + 2 {
			k := core.Key{}
			for j := 0; k.IsZero() || m.hash(k)%shards != uint64(i); j++ {
				k = key(1_000_000 + i*100_000 + try*1000 + j)
			}
			e := m.Get(k, 0)
			setBusy(&e.Cell, e != m.Overflow())
			if e != m.Overflow() {
				break
			}
			if try == full/sweep+1 {
				t.Errorf("shard %d: the idle cell was not found", i)
			}
		}
	}
}

func TestSetBoundLive(t *testing.T) {
	m := New(100, rules())
	for i := range 1000 {
		setBusy(&m.Get(key(i), 0).Cell, true)
	}
	full := m.Len()
	m.SetBound(1000)
	for i := range 1000 {
		setBusy(&m.Get(key(i), 0).Cell, true)
	}
	if m.Len() <= full || m.Len() < 1000 {
		t.Errorf("a larger bound lets %d keys in", m.Len())
	}
	full = m.Len()
	m.SetBound(1)
	if e := m.Find(key(3)); e == nil || !m.Owns(e, key(3)) {
		t.Error("a smaller bound took a busy key's cell")
	}
	before := m.Spilled()
	m.Get(key(90_000), 0)
	if m.Spilled() != before+1 || m.Len() != full {
		t.Error("a smaller bound lets a new key grow the map")
	}
	m.Range(func(_ core.Key, c *cell) { setBusy(c, false) })
	if e := m.Get(key(90_000), 0); e == m.Overflow() || m.Len() != full {
		t.Error("below what is in use, idle cells do not change hands")
	}
}

// TestHostileKeys: keys that are regular in any way spread like any others.
func TestHostileKeys(t *testing.T) {
	const n = 1 << 13
	for name, make := range map[string]func(i int) core.Key{
		"low word":  func(i int) core.Key { return core.KeyOfWords(0, uint64(i)) },
		"high word": func(i int) core.Key { return core.KeyOfWords(uint64(i), 0) },
		"high bits": func(i int) core.Key { return core.KeyOfWords(0, uint64(i)<<50) },
		"top bits":  func(i int) core.Key { return core.KeyOfWords(uint64(i)<<50, 0) },
		"multiples": func(i int) core.Key { return core.KeyOfWords(uint64(i)<<16, uint64(i)<<16) },
		"equal":     func(i int) core.Key { return core.KeyOfWords(uint64(i), uint64(i)) },
		"opposite":  func(i int) core.Key { return core.KeyOfWords(uint64(i), ^uint64(i)) },
		"ipv4":      func(i int) core.Key { return core.KeyOfAddr(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})) },
		"ipv6 in 64": func(i int) core.Key {
			return core.KeyOfAddr(netip.AddrFrom16([16]byte{0x20, 1, 14: byte(i >> 8), 15: byte(i)}))
		},
		"ipv6 nets": func(i int) core.Key {
			return core.KeyOfAddr(netip.AddrFrom16([16]byte{0x20, 1, 6: byte(i >> 8), 7: byte(i)}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := New(n, rules())
			for i := 1; i <= n; i++ {
				setBusy(&m.Get(make(i), 0).Cell, true)
			}
			if m.Spilled() != 0 {
				t.Errorf("%d of %d keys overflowed", m.Spilled(), n)
			}
			check(t, m)
			probes := 0
			for i := 1; i <= n; i++ {
				probes += distance(m, make(i))
			}
			if probes > 4*n {
				t.Errorf("%.1f probes a key", float64(probes)/n)
			}
		})
	}
}

// distance counts the slots that Find looks at.
func distance(m *Map[cell], k core.Key) int {
	h := m.hash(k)
	tab := m.shards[h%shards].table.Load()
	for i := range tab.slots {
		s := tab.slots[(h>>4+uint64(i))&uint64(len(tab.slots)-1)].Load()
		if s > deleted {
			if e := tab.entry(int(uint32(s)) - 2); e.Is(k) {
				return i + 1
			}
		}
	}
	return len(tab.slots)
}

func TestZeroKey(t *testing.T) {
	m := New(1, rules())
	e := m.Find(core.Key{})
	if e == nil || e != m.Get(core.Key{}, 0) || !m.Owns(e, core.Key{}) || m.Len() != 0 {
		t.Fatal("the zero key has no cell of its own, outside the bound")
	}
	for i := range 10_000 {
		setBusy(&m.Get(key(i), 0).Cell, true)
	}
	if m.Find(core.Key{}) != e || e.Cell.word.Load() == dead {
		t.Error("a flood reached the zero key's cell")
	}
}

// TestNoAllocation: finding is free, and so is a key that overflows.
func TestNoAllocation(t *testing.T) {
	m := New(16, rules())
	for i := range 1000 {
		setBusy(&m.Get(key(i), 0).Cell, true)
	}
	k, spilling := key(3), key(77_777)
	for m.Find(k) == nil {
		t.Fatal("key 3 has no cell")
	}
	sink := 0
	if n := testing.AllocsPerRun(1000, func() {
		if e := m.Find(k); m.Owns(e, k) {
			sink++
		}
		if m.GetOr(spilling, 0, func(c *cell) { sink++ }) != nil {
			sink++
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

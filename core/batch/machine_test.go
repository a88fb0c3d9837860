package batch

import (
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// TestPile walks the rows of the table in doc.go that a pile decides.
func TestPile(t *testing.T) {
	const start = core.Time(-5e18) // as in a bubble
	c := &Config{MaxItems: 3, MaxBytes: 100, Delay: time.Second}
	for _, test := range []struct {
		name string
		p    pile
		now  core.Time
		size int64
		fits bool
		want cause
	}{
		{"P1 nothing", pile{}, start, 100, true, notYet},
		{"P2 it fits", pile{1, 60, start}, start, 40, true, notYet},
		{"P3 it does not", pile{1, 60, start}, start, 41, false, notYet},
		{"P3 it measures nothing", pile{2, 99, start}, start, 0, true, notYet},
		{"P4 too large, and the pile is empty", pile{}, start, 101, true, notYet},
		{"P5 full", pile{3, 3, start}, start, 1, true, full},
		{"P5 heavy", pile{2, 100, start}, start, 0, true, heavy},
		{"P5 heavier, after a Tune", pile{2, 300, start}, start, 0, false, heavy},
		{"P6 not yet due", pile{1, 1, start}, start + 1e9 - 1, 1, true, notYet},
		{"P6 due", pile{1, 1, start}, start + 1e9, 1, true, due},
		{"P6 long due", pile{1, 1, -1 << 63}, 1<<63 - 1, 1, true, due},
		{"the clock runs back", pile{1, 1, start}, start - 1e18, 1, true, notYet},
		{"empty is never due", pile{0, 0, start}, start + 1e18, 1, true, notYet},
	} {
		if got := test.p.fits(c, test.size); got != test.fits {
			t.Errorf("%s: fits %v", test.name, got)
		}
		if got := test.p.verdict(c, test.now); got != test.want {
			t.Errorf("%s: verdict %d", test.name, got)
		}
	}
	if !tooLarge(c, 101) || tooLarge(c, 100) {
		t.Error("P4: an item may be as large as MaxBytes")
	}
	free := &Config{MaxItems: 3, MaxBytes: core.None, Delay: time.Second}
	if p := (pile{2, 1e15, 0}); !p.fits(free, beyond) || p.verdict(free, 0) != notYet || tooLarge(free, beyond) {
		t.Error("without MaxBytes sizes count")
	}
	p := pile{}
	p.add(7, 5)
	p.add(8, 6)
	if p.remove(7); p != (pile{1, 8, 5}) {
		t.Errorf("after the first has left: %+v", p)
	}
	p.remove(8)
	if p.add(1, 9); p != (pile{1, 1, 9}) {
		t.Errorf("begun anew: %+v", p)
	}
}

func TestPaper(t *testing.T) {
	c := &Config{MaxItems: 2, MaxBytes: 10, Delay: time.Second}
	p, gone := pile{}, 0
	for i, step := range []struct {
		size int64
		now  core.Time
		gone int
	}{
		{1, 0, 0}, {1, 1, 1}, // full
		{6, 2, 0}, {5, 3, 1}, // does not fit
		{5, 4, 2 - 1},   // full and heavy
		{10, 5, 1},      // heavy by itself
		{1, 6, 0},       //
		{10, 7, 2},      // goes, and so does the new one
		{1, 8, 0},       //
		{1, 8 + 2e9, 1}, // the first was due long ago
	} {
		if got := p.next(c, step.size, step.now); got != step.gone {
			t.Errorf("step %d: %d have gone, want %d", i, got, step.gone)
		}
		gone += step.gone
	}
	if p.items != 1 || gone != 7 {
		t.Errorf("%+v left, %d gone", p, gone)
	}
}

// FuzzMachine drives a pile by op bytes as the shell does, with a list of items beside it.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{3, 50, 10, 1, 1, 1, 2, 3})
	f.Add([]byte{1, 0, 1, 200, 4, 4, 8})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) < 3 {
			return
		}
		c := &Config{MaxItems: 1 + int(ops[0]%8), MaxBytes: core.Count(ops[1]), Delay: time.Duration(1 + ops[2])}
		if c.MaxBytes == 0 {
			c.MaxBytes = core.None
		}
		var p pile
		var sizes []int64
		var began, now core.Time
		check := func() {
			var sum int64
			for _, s := range sizes {
				sum += s
			}
			if p.items != len(sizes) || p.bytes != sum || p.items > 0 && p.since != began {
				t.Fatalf("%+v, want %v since %d", p, sizes, began)
			}
			if p.items > c.MaxItems || c.MaxBytes != core.None && p.bytes > int64(c.MaxBytes) {
				t.Fatalf("too much: %+v of %+v", p, c)
			}
		}
		for _, op := range ops[3:] {
			switch size := int64(op >> 2); op % 4 {
			case 0, 1:
				if tooLarge(c, size) {
					continue
				}
				if !p.fits(c, size) {
					p, sizes = pile{}, nil
				}
				if p.items == 0 {
					began = now
				}
				p.add(size, now)
				sizes = append(sizes, size)
			case 2:
				if len(sizes) > 0 {
					i := int(size) % len(sizes)
					p.remove(sizes[i])
					sizes = append(sizes[:i], sizes[i+1:]...)
				}
			case 3:
				now += core.Time(size)
			}
			check()
			v := p.verdict(c, now)
			if (v == due) != (p.items > 0 && now-began >= core.Time(c.Delay)) && v != full && v != heavy {
				t.Fatalf("verdict %d at %d of %+v", v, now, p)
			}
			if v != notYet {
				p, sizes = pile{}, nil
			}
		}
	})
}

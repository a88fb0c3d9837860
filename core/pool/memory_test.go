package pool

import (
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

func buffers(t testing.TB, largest int) *Buffers {
	t.Helper()
	p, err := NewBuffers(largest)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestClasses(t *testing.T) {
	for _, test := range []struct{ n, above int }{
		{-5, 0}, {0, 0}, {1, 0}, {64, 0}, {65, 1}, {128, 1}, {129, 2}, {1 << 20, 14}, {1<<20 + 1, 15}, {1 << 30, 24},
	} {
		if got := above(test.n); got != test.above || smallest<<got < test.n {
			t.Errorf("%d bytes are got from class %d", test.n, got)
		}
	}
	for _, test := range []struct{ capacity, below int }{
		{0, -7}, {63, -1}, {64, 0}, {127, 0}, {128, 1}, {1<<20 - 1, 13}, {1 << 20, 14},
	} {
		if got := below(test.capacity); got != test.below {
			t.Errorf("a capacity of %d is put into class %d", test.capacity, got)
		}
	}
}

func TestGetHasTheCapacity(t *testing.T) {
	p := buffers(t, 4096)
	for _, n := range []int{math.MinInt, -1, 0, 1, 63, 64, 65, 4095, 4096, 4097, 100_000} {
		for range 3 {
			b := p.Get(n)
			if len(b.B) != 0 || cap(b.B) < n || cap(b.B) < 1 || n > 4096 && cap(b.B) != n {
				t.Fatalf("Get(%d): %d of %d", n, len(b.B), cap(b.B))
			}
			b.B = append(b.B, "used"...)
			p.Put(b)
		}
	}
}

// TestOversizedAreNotKept: nor those too small for any class, nor nothing at all.
func TestOversizedAreNotKept(t *testing.T) {
	p := buffers(t, 1024)
	for _, c := range []int{0, 1, 63, 1025, 2048, 1 << 20} {
		p.Put(&Buffer{B: make([]byte, 0, c)})
	}
	p.Put(nil)
	for i := range p.classes {
		if v := p.classes[i].Get(); v != nil {
			t.Errorf("class %d keeps a capacity of %d", i, cap(v.(*Buffer).B))
		}
	}
}

// TestPutFilesByCapacity: a buffer that append has grown to an odd capacity serves what it is large enough for.
func TestPutFilesByCapacity(t *testing.T) {
	if raceEnabled {
		t.Skip("a sync.Pool drops at random under the race detector")
	}
	p := buffers(t, 1024)
	odd := &Buffer{B: make([]byte, 7, 300)}
	p.Put(odd)
	if b := p.Get(257); b == odd {
		t.Error("it is taken for 512 bytes")
	}
	if b := p.Get(129); b != odd || len(b.B) != 0 {
		t.Errorf("it is not used for 256 bytes: %p", b)
	}
	odd.Append(make([]byte, 900)...) // it has a home by now
	if cap(odd.B) != 1024 {
		t.Errorf("capacity %d", cap(odd.B))
	}
}

// TestAppend: the content is what bytes.Buffer makes of it, whichever way it is written.
func TestAppend(t *testing.T) {
	p := buffers(t, 4096)
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 43))
		b, want := p.Get(rng.IntN(200)), bytes.Buffer{}
		if seed%10 == 0 {
			b = &Buffer{} // not from Buffers
		}
		for range rng.IntN(40) {
			data := bytes.Repeat([]byte{byte(rng.IntN(256))}, rng.IntN(500))
			want.Write(data)
			switch rng.IntN(4) {
			case 0:
				b.Append(data...)
			case 1:
				if n, err := b.Write(data); n != len(data) || err != nil {
					t.Fatal(n, err)
				}
			case 2:
				b.B = append(b.B, data...)
			case 3:
				b.Grow(len(data))
				if cap(b.B)-len(b.B) < len(data) {
					t.Fatalf("Grow(%d): %d of %d", len(data), len(b.B), cap(b.B))
				}
				b.B = append(b.B, data...)
			}
		}
		if !bytes.Equal(b.B, want.Bytes()) {
			t.Fatalf("seed %d: %d bytes, want %d", seed, len(b.B), want.Len())
		}
		p.Put(b)
	}
	b := p.Get(10)
	before := cap(b.B)
	b.Grow(0)
	b.Grow(-1)
	if cap(b.B) != before {
		t.Error("grown by nothing")
	}
}

// TestGrowthBeyondTheClassesDoubles: many small pieces do not copy everything each time.
func TestGrowthBeyondTheClassesDoubles(t *testing.T) {
	b, moves := buffers(t, 64).Get(0), 0
	for range 1 << 16 {
		before := cap(b.B)
		if b.Append('x'); cap(b.B) != before {
			moves++
		}
	}
	if len(b.B) != 1<<16 || moves > 20 {
		t.Errorf("%d bytes after %d moves", len(b.B), moves)
	}
}

func TestSlice(t *testing.T) {
	b := buffers(t, 0).Get(0)
	if _, err := io.Copy(b, strings.NewReader("hello, world")); err != nil {
		t.Fatal(err)
	}
	s := b.Slice(0, 5)
	if string(s) != "hello" || &s[0] != &b.B[0] {
		t.Errorf("%q is a copy", s)
	}
	if _ = append(s, '!'); string(b.B) != "hello, world" {
		t.Errorf("appending to a slice wrote into the buffer: %q", b.B)
	}
	for _, bad := range [][2]int{{-1, 2}, {3, 2}, {0, 13}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Slice(%d, %d) is taken", bad[0], bad[1])
				}
			}()
			b.Slice(bad[0], bad[1])
		}()
	}
}

func TestNewBuffersRefuses(t *testing.T) {
	for _, bad := range []int{-1, 1, 63, 1<<30 + 1} {
		if p, err := NewBuffers(bad); p != nil || err == nil || !strings.Contains(err.Error(), "allowed: 64..1073741824, or 0 for 1048576") {
			t.Errorf("%d: %v", bad, err)
		}
	}
	for _, test := range []struct{ largest, kept int }{{0, 1 << 20}, {64, 64}, {65, 128}, {1 << 30, 1 << 30}} {
		if got := buffers(t, test.largest).largest(); got != test.kept {
			t.Errorf("%d: the largest kept is %d", test.largest, got)
		}
	}
}

// TestBuffersHaveOneHolder at a time, among many.
func TestBuffersHaveOneHolder(t *testing.T) {
	p := buffers(t, 1<<14)
	var wg sync.WaitGroup
	for g := range byte(8) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 47))
			for range iterations(3000) {
				b := p.Get(rng.IntN(1 << rng.IntN(15)))
				for range rng.IntN(5) {
					b.Append(bytes.Repeat([]byte{g}, rng.IntN(1000))...)
				}
				for _, x := range b.B {
					if x != g {
						t.Errorf("%d in the buffer of %d", x, g)
						return
					}
				}
				p.Put(b)
			}
		})
	}
	wg.Wait()
}

func TestObjects(t *testing.T) {
	type thing struct {
		words []string
		n     int
	}
	made := 0
	o := NewObjects(func() *thing { made++; return &thing{words: make([]string, 0, 8)} }, func(v *thing) bool {
		clear(v.words)
		v.words, v.n = v.words[:0], 0
		return cap(v.words) <= 8
	})
	v := o.Get()
	v.words, v.n = append(v.words, "secret"), 7
	o.Put(v)
	o.Put(nil)
	if v.n != 0 || len(v.words) != 0 || v.words[:1][0] != "" {
		t.Errorf("it lies there with its content: %+v", v)
	}
	if w := o.Get(); !raceEnabled && (w != v || made != 1) {
		t.Errorf("%d made", made)
	}
	large := &thing{words: make([]string, 0, 9)}
	o.Put(large)
	if w := o.Get(); w == large {
		t.Error("one that has grown too large is kept")
	}
	plain := NewObjects[thing](nil, nil)
	w := plain.Get()
	w.n, w.words = 5, []string{"x"}
	plain.Put(w)
	if w.n != 0 || w.words != nil {
		t.Errorf("without a reset: %+v", w)
	}
}

// TestResetPanics: the object is dropped, and the panic goes on.
func TestResetPanics(t *testing.T) {
	falls := true
	o := NewObjects(nil, func(*int) bool {
		if falls {
			panic("ouch")
		}
		return true
	})
	v := o.Get()
	func() {
		defer func() {
			if r := recover(); r != "ouch" {
				t.Errorf("recovered %v", r)
			}
		}()
		o.Put(v)
	}()
	if w := o.Get(); w == v {
		t.Error("kept without a reset")
	}
}

// A length beyond every memory is not taken for a small one, with or without a home.
func TestGrowBeyondEverything(t *testing.T) {
	for name, b := range map[string]*Buffer{"lent": buffers(t, 1024).Get(64), "of one's own": {}} {
		for _, n := range []int{math.MaxInt, math.MaxInt - 1} {
			b.B = append(b.B[:0], "ab"...)
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: Grow(%d) has found room: %d", name, n, cap(b.B))
					}
				}()
				b.Grow(n)
			}()
			if string(b.B) != "ab" {
				t.Errorf("%s: %q", name, b.B)
			}
		}
	}
}

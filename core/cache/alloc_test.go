package cache

import (
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

func TestAllocs(t *testing.T) {
	synctest.Test(t, testAllocs) // for an entry that is stale at the wave of a hand
}

func testAllocs(t *testing.T) {
	type pair struct {
		a, b string
	}
	h := testHooks{Negative: func(error) bool { return true }}
	c := mustNew(t, Config{Size: 1000, TTL: time.Hour, EarlyRefresh: 1}, h)
	structs, err := New[pair, []byte]("test", Config{Size: 1000, TTL: time.Hour}, Hooks[pair, []byte]{})
	if err != nil {
		t.Fatal(err)
	}
	_ = structs.Set(bg, pair{"a", "b"}, []byte("x"))
	want(t, c, "a", gives(1), 1, nil)
	want(t, c, "n", fails(errNone), 0, errNone)
	stale := mustNew(t, Config{Size: 10, TTL: time.Millisecond, StaleWhileRevalidate: time.Hour, RefreshTimeout: time.Minute}, testHooks{})
	want(t, stale, "a", gives(1), 1, nil)
	hang := newGate()
	time.Sleep(2 * time.Millisecond)
	want(t, stale, "a", hang.load, 1, nil)
	load := gives(2)
	for _, tt := range []struct {
		name string
		f    func()
	}{
		{"hit", func() { _, _ = c.Get(bg, "a", load) }},
		{"hit, no load", func() { _, _ = structs.Get(bg, pair{"a", "b"}, nil) }},
		{"hit through Do", func() { _, _ = Do(bg, c, "a", load) }},
		{"remembered error", func() { _, _ = c.Get(bg, "n", load) }},
		{"stale, being refreshed", func() { _, _ = stale.Get(bg, "a", load) }},
		{"peek", func() { c.Peek("a"); c.Peek("none") }},
	} {
		if n := testing.AllocsPerRun(1000, tt.f); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

// The fast path reads one entry: with a string for a key and a word for a value it fits one line of the processor's cache.
func TestEntryFitsALine(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("lines are as long and words shorter")
	}
	if n := unsafe.Sizeof(entry[string, int]{}); n > 64 {
		t.Errorf("an entry has %d bytes", n)
	}
}

package pool

import (
	"context"
	"testing"
)

func TestAllocs(t *testing.T) {
	m := &maker{validate: func(context.Context, *conn) error { return nil }}
	p := newPool(t, Config{Max: 2}, m)
	words, err := NewBuffers(0)
	if err != nil {
		t.Fatal(err)
	}
	objects := NewObjects(nil, func(v *[64]byte) bool { return true })
	data := make([]byte, 1000)
	for _, tt := range []struct {
		name string
		f    func()
	}{
		{"Acquire, Release", func() { l, _ := p.Acquire(bg); l.Value().closed.Load(); l.Release() }},
		{"two out", func() { a, _ := p.Acquire(bg); b, _ := p.Acquire(bg); a.Release(); b.Release() }},
		{"Do", func() { _, _ = Do(bg, p, func(_ context.Context, c *conn) (int, error) { return c.id, nil }) }},
		{"an object", func() { objects.Put(objects.Get()) }},
		{"a buffer", func() { b := words.Get(1000); b.Append(data...); words.Put(b) }},
		{"a buffer that grows", func() {
			b := words.Get(0)
			for range 20 {
				_, _ = b.Write(data)
			}
			words.Put(b)
		}},
	} {
		tt.f()
		if n := testing.AllocsPerRun(1000, tt.f); n != 0 && !raceEnabled { // a sync.Pool drops at random under the race detector
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
	_ = p.Close(bg)
}

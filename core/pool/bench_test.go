package pool

import (
	"testing"
)

func BenchmarkAcquire(b *testing.B) {
	p := newPool(b, Config{Max: 64}, &maker{})
	b.Run("idle", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l, _ := p.Acquire(bg)
			l.Release()
		}
	})
	b.Run("idle/parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				l, _ := p.Acquire(bg)
				l.Release()
			}
		})
	})
	_ = p.Close(bg)
}

func BenchmarkBuffers(b *testing.B) {
	p := buffers(b, 0)
	data := make([]byte, 100)
	b.Run("1000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			x := p.Get(1000)
			for range 10 {
				x.Append(data...)
			}
			p.Put(x)
		}
	})
	b.Run("grow/1000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			x := p.Get(0)
			for range 10 {
				x.Append(data...)
			}
			p.Put(x)
		}
	})
}

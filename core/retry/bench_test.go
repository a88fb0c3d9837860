package retry

import (
	"context"
	"testing"
	"time"
)

func BenchmarkDo(b *testing.B) {
	ok := func(context.Context) (int, error) { return 1, nil }
	fails := func(context.Context) (int, error) { return 0, errDown }
	b.Run("success", func(b *testing.B) {
		r := mustNew(b, Config{}, Hooks{})
		for b.Loop() {
			_, _ = Do(bg, r, ok)
		}
	})
	b.Run("success/timeout", func(b *testing.B) {
		r := mustNew(b, Config{AttemptTimeout: time.Hour}, Hooks{})
		for b.Loop() {
			_, _ = Do(bg, r, ok)
		}
	})
	b.Run("success/parallel", func(b *testing.B) {
		r := mustNew(b, Config{}, Hooks{})
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, _ = Do(bg, r, ok)
			}
		})
	})
	b.Run("failure/no budget", func(b *testing.B) {
		r := mustNew(b, Config{Base: time.Millisecond, MaxDelay: time.Millisecond}, Hooks{})
		for range 20 {
			_, _ = Do(bg, r, fails)
		}
		for b.Loop() {
			_, _ = Do(bg, r, fails)
		}
	})
}

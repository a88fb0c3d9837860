package batch

import (
	"context"
	"testing"
)

func BenchmarkDo(b *testing.B) {
	answer := func(_ context.Context, reqs []int) ([]int, error) { return reqs, nil }
	for name, c := range map[string]Config{"alone": {MaxItems: 1}, "of 64": {MaxItems: 64}} {
		b.Run(name, func(b *testing.B) {
			m, err := New("bench", c, Hooks[int, int]{Run: answer})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetParallelism(64)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_, _ = m.Do(bg, 1)
				}
			})
			_ = m.Close(bg)
		})
	}
}

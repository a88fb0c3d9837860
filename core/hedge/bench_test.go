package hedge

import (
	"context"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

func BenchmarkDo(b *testing.B) {
	answer := func(context.Context) (int, error) { return 1, nil }
	run := func(name string, ctx context.Context, c Config, warm int) {
		b.Run(name, func(b *testing.B) {
			h := mustNew(b, c, Hooks{})
			for range warm {
				h.live.Load().Derived.learn(0, time.Minute)
			}
			b.ReportAllocs()
			for b.Loop() {
				_, _ = Do(ctx, h, answer)
			}
		})
	}
	cancelable, cancel := context.WithCancel(bg)
	defer cancel()
	run("disabled", bg, Config{Mode: core.Disabled}, 0)
	run("shadow", bg, Config{Mode: core.Shadow}, 1000)
	run("once", Once(bg), Config{Delay: time.Hour}, 0)
	run("fixed", bg, Config{Delay: time.Hour}, 0)
	run("cancelable", cancelable, Config{Delay: time.Hour}, 0)
	run("quantile", bg, Config{}, 1000)
}

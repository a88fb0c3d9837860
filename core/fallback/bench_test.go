package fallback

import (
	"context"
	"testing"

	"github.com/mw-go/mw/core"
)

func BenchmarkDo(b *testing.B) {
	local := mustNew(b, "local", Config{Timeout: core.None}, Hooks{})
	slow := mustNew(b, "slow", Config{}, Hooks{})
	run := func(name string, c Chain[int], fn func(context.Context) (int, error)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = Do(bg, c, fn)
			}
		})
	}
	run("primary", Chain[int]{{local, answers(1)}}, first(7, nil))
	run("first", Chain[int]{{local, answers(1)}}, first(7, errDown))
	run("timer", Chain[int]{{slow, answers(1)}}, first(7, errDown))
	run("second", Chain[int]{{local, fails(errOne)}, {local, answers(2)}}, first(7, errDown))
}

package timeout

import (
	"context"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

func BenchmarkDo(b *testing.B) {
	answer := func(context.Context) (int, error) { return 1, nil }
	soon, cancel := context.WithTimeout(bg, time.Hour)
	defer cancel()
	run := func(name string, ctx context.Context, c Config, do func(context.Context, *Timeout, fn) (int, error)) {
		b.Run(name, func(b *testing.B) {
			to := mustNew(b, c, Hooks{})
			b.ReportAllocs()
			for b.Loop() {
				_, _ = do(ctx, to, answer)
			}
		})
	}
	run("disabled", bg, Config{Limit: time.Hour, Mode: core.Disabled}, Do[int])
	run("caller's", soon, Config{Limit: 2 * time.Hour}, Do[int])
	run("timer", bg, Config{Limit: time.Hour}, Do[int])
	run("adaptive", bg, Config{Limit: time.Hour, Adaptive: true}, Do[int])
	run("abandoning", bg, Config{Limit: time.Hour}, DoAbandoning[int])
}

// BenchmarkContext is what the standard library takes for the timer of a call.
func BenchmarkContext(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, cancel := context.WithTimeoutCause(bg, time.Hour, core.ErrTimeout)
		cancel()
	}
}

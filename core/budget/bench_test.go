package budget

import (
	"testing"

	"github.com/mw-go/mw/core"
)

func BenchmarkCall(b *testing.B) {
	for _, rule := range []Rule{Success, Window, Throttle} {
		b.Run(rule.String()+"/healthy", func(b *testing.B) {
			bud := mustNew(b, Config{Rule: rule})
			for b.Loop() {
				bud.Begin(0)
				bud.End(core.Success)
			}
		})
	}
	b.Run("success/in need", func(b *testing.B) {
		bud := mustNew(b, Config{Ratio: 1})
		for b.Loop() {
			bud.Withdraw(0)
			bud.End(core.Success)
		}
	})
	b.Run("success/parallel", func(b *testing.B) {
		bud := mustNew(b, Config{})
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				bud.Begin(0)
				bud.End(core.Success)
			}
		})
	})
}

package sfv

import "testing"

func BenchmarkList(b *testing.B) {
	var p Parser
	lines := []string{`"burst";r=50;t=30, "daily";r=1000;t=86400`}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.List(lines); err != nil {
			b.Fatal(err)
		}
	}
}

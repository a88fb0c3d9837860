package fallback

import (
	"testing"

	"github.com/mw-go/mw/core"
)

// TestDecide walks the rows S2 to S6 of the table in doc.go.
func TestDecide(t *testing.T) {
	for _, tt := range []struct {
		row     string
		mode    core.Mode
		holds   bool
		running int64
		limit   core.Count
		want    verdict
		next    int64
	}{
		{"S2", core.Disabled, true, 0, 10, pass, 0},
		{"S2 full too", core.Disabled, true, 10, 10, pass, 10},
		{"S3", core.Enforce, false, 0, 10, pass, 0},
		{"S3 in shadow", core.Shadow, false, 0, 10, pass, 0},
		{"S4", core.Shadow, true, 0, 10, would, 0},
		{"S4 full too", core.Shadow, true, 10, 10, would, 10},
		{"S5", core.Enforce, true, 10, 10, full, 10},
		{"S5 the limit has shrunk below", core.Enforce, true, 10, 5, full, 10},
		{"S6", core.Enforce, true, 0, 10, run, 1},
		{"S6 the last place", core.Enforce, true, 9, 10, run, 10},
		{"S6 no limit", core.Enforce, true, 1 << 40, core.None, run, 1<<40 + 1},
	} {
		if v, next := decide(tt.mode, tt.holds, tt.running, tt.limit); v != tt.want || next != tt.next {
			t.Errorf("%s: %d, %d in it; want %d, %d", tt.row, v, next, tt.want, tt.next)
		}
	}
}

// FuzzMachine plays op bytes on a step: calls, ends and changes of the settings.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{0, 1, 0, 1, 2, 0, 3, 9, 0, 0, 1, 4, 0, 0, 2})
	f.Add([]byte{3, 3, 0, 0, 0, 0, 0, 3, 1, 0, 1, 1, 1, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		limit, mode, running := core.Count(10), core.Enforce, int64(0)
		for i, op := range ops {
			arg := op >> 3
			switch op % 8 {
			case 0, 5, 6, 7:
				holds := arg%4 != 0
				v, next := decide(mode, holds, running, limit)
				check(t, mode, holds, running, limit, v, next)
				running = next
			case 1, 2:
				if running > 0 {
					running--
				}
			case 3:
				if limit = core.Count(arg); arg == 0 {
					limit = core.None
				}
			case 4:
				mode = core.Mode(i % 3)
			}
		}
	})
}

// check is what must hold of any decision.
func check(t *testing.T, mode core.Mode, holds bool, running int64, limit core.Count, v verdict, next int64) {
	t.Helper()
	switch {
	case (v == run) != (next == running+1) || v != run && next != running:
		t.Fatalf("verdict %d, and from %d to %d in the step", v, running, next)
	case v == run && (mode != core.Enforce || !holds):
		t.Fatalf("it runs in mode %v, condition %v", mode, holds)
	case v == run && limit != core.None && next > int64(limit):
		t.Fatalf("%d are in the step, beyond %v", next, limit)
	case v == full && (limit == core.None || running < int64(limit)):
		t.Fatalf("full with %d of %v", running, limit)
	case v == would && (mode != core.Shadow || !holds):
		t.Fatalf("shadowed in mode %v, condition %v", mode, holds)
	case v == pass && mode == core.Enforce && holds:
		t.Fatal("passed over without a reason")
	}
}

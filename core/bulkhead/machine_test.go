package bulkhead

import (
	"testing"

	"github.com/mw-go/mw/core"
)

// TestRoom walks the rows of the table in doc.go that a room decides.
func TestRoom(t *testing.T) {
	for _, test := range []struct {
		name          string
		running, cost int64
		limit         int64
		want          int64
		ok            bool
	}{
		{"empty", 0, 1, 1, 1, true},
		{"the last slot", 9, 1, 10, 10, true},
		{"all at once", 0, 10, 10, 10, true},
		{"full", 10, 1, 10, 10, false},
		{"not enough", 8, 3, 10, 8, false},
		{"more than the limit", 0, 11, 10, 0, false},
		{"the limit has shrunk below", 10, 1, 5, 10, false},
		{"the largest limit", 999_999, 1, 1_000_000, 1_000_000, true},
		{"the largest cost", 0, 1<<32 - 1, 1_000_000, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := room(test.running) + 7*one
			got, ok := r.take(test.cost, test.limit)
			if ok != test.ok || got.running() != test.want || got.admitted() != 7 || got.isRetired() {
				t.Errorf("take: %d running, %d admitted, %v", got.running(), got.admitted(), ok)
			}
			if got += one; got.running() != test.want || got.admitted() != 8 {
				t.Errorf("counted: %d running, %d admitted", got.running(), got.admitted())
			}
		})
	}
	last := room(1<<(64-runningBits)-1)<<runningBits | 5
	if got := last + one; got.running() != 5 || got.admitted() != 0 || got.isRetired() {
		t.Errorf("the count wraps into the slots: %d running, %d admitted", got.running(), got.admitted())
	}
	if r := room(3) | retired; r.running() != 3 || !r.isRetired() {
		t.Errorf("retired: %d running", r.running())
	}
}

func TestOverflow(t *testing.T) {
	c := &Config{Limit: 10, Queue: 2}
	for _, test := range []struct {
		waiting int
		cost    int64
		want    core.Reason
	}{
		{0, 1, 0},
		{1, 10, 0},
		{2, 1, core.ReasonFull},
		{3, 1, core.ReasonFull},
		{0, 11, core.ReasonTooCostly},
		{2, 11, core.ReasonTooCostly},
	} {
		if got := overflow(c, test.waiting, test.cost); got != test.want {
			t.Errorf("%d waiting, cost %d: %v, want %v", test.waiting, test.cost, got, test.want)
		}
	}
}

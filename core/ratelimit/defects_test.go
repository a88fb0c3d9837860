package ratelimit

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// Defects found in other libraries, by their numbers in our notes. D14 is in wait_test.go.

// TestD18_NoWallClock: decisions stand on monotonic time alone. An adapter's reading of the clock is all there is to it,
// so a wall clock that steps cannot reach them; the sources must not read one for anything but the distance to a
// context's deadline.
func TestD18_NoWallClock(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		src, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, wall := range []string{"time.Now(", ".UnixNano(", ".Unix(", ".Round(0)"} {
			if strings.Contains(string(src), wall) {
				t.Errorf("%s uses %s...)", f.Name(), wall)
			}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		l := limiter(t, Config{Limit: 1, Burst: 1})
		now := core.Now()
		acquire(l, 0, 1, now)
		for _, step := range []time.Duration{-time.Hour, -1, 0, time.Second - 1} { // a step back freezes nothing and grants nothing
			if d := acquire(l, 0, 1, now.Add(step)); d.Reason != core.ReasonLimited {
				t.Errorf("clock stepped by %v: %+v", step, d)
			}
		}
		if d := acquire(l, 0, 1, now.Add(time.Second)); d.Reason != 0 {
			t.Errorf("a second later: %+v", d)
		}
	})
}

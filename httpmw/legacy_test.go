package httpmw

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core/ratelimit"
)

// The reset of X-RateLimit is what the service says it is: seconds from now, or the time itself.
func TestLegacyFields(t *testing.T) {
	for _, legacy := range []Legacy{LegacyNone, LegacyDelta, LegacyEpoch} {
		synctest.Test(t, func(t *testing.T) {
			reset := func(seconds int64) string {
				if legacy == LegacyEpoch {
					seconds += time.Now().Unix()
				}
				return strconv.FormatInt(seconds, 10)
			}
			h := Guard(
				Guarded{Guard: newLimit(ratelimit.Config{Limit: 1000}), GuardConfig: GuardConfig{Legacy: legacy}},
				Guarded{Guard: newLimit(ratelimit.Config{Limit: 2, Period: 20 * time.Second, Burst: 2}),
					GuardConfig: GuardConfig{Legacy: legacy, NoFields: true}},
				Guarded{Guard: newLimit(ratelimit.Config{Limit: 500}), GuardConfig: GuardConfig{Legacy: legacy}},
			)(okHandler)
			for i, want := range []struct {
				status           int
				remaining, reset string
			}{{200, "1", reset(10)}, {200, "0", reset(20)}, {429, "0", reset(10)}} {
				w := do(h, anyRequest())
				equal(t, "status", w.Code, want.status)
				if legacy == LegacyNone {
					equal(t, "fields", len(w.Header()["X-Ratelimit-Limit"]), 0)
					continue
				}
				equal(t, "limit "+strconv.Itoa(i), w.Header().Get("X-RateLimit-Limit"), "2")
				equal(t, "remaining", w.Header().Get("X-RateLimit-Remaining"), want.remaining)
				equal(t, "reset", w.Header().Get("X-RateLimit-Reset"), want.reset)
			}
		})
	}
}

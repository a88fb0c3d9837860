package httpmw

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/adaptive"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/ratelimit"
)

// BenchmarkGuardAdds is what a guard's layer adds to a chain: one record serves all requests, so that the garbage
// collector, whose share of a request of half a microsecond varies by more than that, is left out. The end of a request is
// read anew each time; "none" does that and nothing else.
func BenchmarkGuardAdds(b *testing.B) {
	many := ratelimit.Config{Limit: 1_000_000_000, Period: time.Second}
	for _, c := range []struct {
		name  string
		layer layerFunc
	}{
		{"none", wrap("none", probe(func(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(w, r)
			x.rec.endTime()
		}))},
		{"ratelimit", RateLimit(mw.Must(ratelimit.NewKeyed("login", many, core.Hooks{})),
			GuardConfig{Key: ByClientIP(TrustNone()), NoFields: true})},
		{"bulkhead", Bulkhead(newBulkhead(bulkhead.Config{Limit: 64}))},
		{"breaker", Breaker(newBreaker(breaker.Config{}))},
		{"shed", Guard(Guarded{Guard: mw.Must(adaptive.New("self", adaptive.Config{}, adaptive.Hooks{}))})},
	} {
		b.Run(c.name, func(b *testing.B) {
			h := c.layer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			rec := &record{Context: context.Background(), start: time.Now(), located: true, trust: TrustNone()}
			rec.arrived = core.TimeOf(rec.start)
			rec.client = TrustNone().addr(allocRequest())
			r := allocRequest().WithContext(rec)
			rec.wire.init(rec, &nullWriter{http.Header{}}, r)
			w := rec.wire.shape()
			b.ReportAllocs()
			for b.Loop() {
				rec.admission, rec.ended = admission{}, false
				h.ServeHTTP(w, r)
			}
		})
	}
}

package main

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httprate"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/httpmw"
)

// stackRow is what a service puts in front of its handlers. The peers' stack has no breaker: chi brings none.
func stackRow() Row {
	return Row{
		Name: "HTTPStack",
		About: "recover, request id, client address, access log, metrics, trace without provider, security fields, timeout, " +
			"rate limit, bulkhead and (ours) breaker",
		Contestants: []Contestant{{Ours, oursStack}, {"chi", chiStack}},
	}
}

func oursStack() Subject {
	proxies := mw.Must(httpmw.TrustProxies(netip.MustParsePrefix("192.0.2.0/24")))
	limit := mw.Must(ratelimit.NewKeyed("bench", slowRefill, ratelimit.Hooks{}))
	slots := mw.Must(bulkhead.New("bench", bulkhead.Config{Limit: 1024}, bulkhead.Hooks{}))
	breaks := mw.Must(breaker.New("bench", breaker.Config{}, breaker.Hooks{}))
	return Subject{Loop: requests(mw.Chain(
		httpmw.Recover(),
		httpmw.RequestID(),
		httpmw.ClientIP(proxies),
		oursLog(),
		oursMetrics(),
		oursTrace(),
		oursSecure(),
		mw.Must(httpmw.Timeout(httpmw.TimeoutConfig{Timeout: time.Hour})), // the one line to change for a Timeout over a machine
		httpmw.Guard(
			httpmw.Guarded{Guard: limit, GuardConfig: httpmw.GuardConfig{Key: httpmw.ByClientIP(proxies)}},
			httpmw.Guarded{Guard: breaks},
			httpmw.Guarded{Guard: slots},
		),
	), "Ratelimit")}
}

func chiStack() Subject {
	return Subject{Loop: requests(mw.Chain[http.Handler](
		middleware.Recoverer,
		middleware.RequestID,
		middleware.RealIP,
		slogLog(),
		promMetrics(),
		otelTrace(),
		unrolledSecure(),
		middleware.Timeout(time.Hour),
		httprate.LimitByIP(plenty, day),
		middleware.Throttle(1024),
	), "X-Ratelimit-Remaining")}
}

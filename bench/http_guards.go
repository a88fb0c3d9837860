package main

import (
	"net/http"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/adaptive"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/httpmw"
)

// guardRows set a chain with one guard beside the same chain without: what the guard adds where request and client are
// known and the end is timed, as in any service that logs or measures.
func guardRows() []Row {
	row := func(name string, guard func() core.Guard, c httpmw.GuardConfig) Row {
		return Row{
			Name: "HTTPGuard" + name, About: "what a " + name + " that admits adds to a chain, the handler included",
			Contestants: []Contestant{
				{Ours, func() Subject {
					layer := httpmw.Guard(httpmw.Guarded{Guard: guard(), GuardConfig: c})
					return Subject{Loop: requests(mw.Chain(around(), layer), "")}
				}},
				{"bare", func() Subject { return Subject{Loop: requests(around(), "")} }},
			},
		}
	}
	return []Row{
		row("RateLimit", func() core.Guard {
			return mw.Must(ratelimit.NewKeyed("bench", slowRefill, ratelimit.Hooks{}))
		}, httpmw.GuardConfig{Key: httpmw.ByClientIP(httpmw.TrustNone()), NoFields: true}),
		row("Bulkhead", func() core.Guard {
			return mw.Must(bulkhead.New("bench", bulkhead.Config{Limit: 64}, bulkhead.Hooks{}))
		}, httpmw.GuardConfig{}),
		row("Breaker", func() core.Guard {
			return mw.Must(breaker.New("bench", breaker.Config{}, breaker.Hooks{}))
		}, httpmw.GuardConfig{}),
		row("Shed", func() core.Guard {
			return mw.Must(adaptive.New("bench", adaptive.Config{}, adaptive.Hooks{}))
		}, httpmw.GuardConfig{}),
	}
}

func around() func(http.Handler) http.Handler {
	return mw.Chain(httpmw.Recover(), httpmw.ClientIP(httpmw.TrustNone()), httpmw.Observe(func(httpmw.Summary) {}))
}

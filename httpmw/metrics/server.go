package metrics

import (
	"net/http"

	"github.com/mw-go/mw/httpmw"
	"github.com/mw-go/mw/internal/series"
)

// Server returns a middleware that measures requests to a server. Its place in the chain makes no difference to what is
// measured, but for the size of request bodies, which are counted from there inwards.
//
// Errors: a Config that does not validate, and what the Registerer says.
func Server(c Config) (func(http.Handler) http.Handler, error) {
	c, err := c.check()
	if err != nil {
		return nil, err
	}
	v, err := register(c, "server", labelMethod, labelRoute, labelStatus, labelError)
	if err != nil {
		return nil, err
	}
	s := &server{active: v.active, cells: series.New(c.MaxSeries,
		func(r series.Request) *cell { return v.cell(r.Method, r.Route, statusLabel(r.Status), r.ErrorType) },
		func() *cell { return v.cell(series.Other, series.Other, series.Other, series.Other) },
	)}
	return httpmw.Observe(s.end, httpmw.ObserveConfig{Name: "Metrics", Begin: s.begin}), nil
}

type server struct {
	active *active
	cells  *series.Table[series.Request, *cell]
}

func (s *server) begin(sum httpmw.Summary) { s.active.Add(sum.Method, 1) }

func (s *server) end(sum httpmw.Summary) {
	s.active.Add(sum.Method, -1)
	key := series.Request{Method: sum.Method, Route: sum.Route, Status: sum.Status, ErrorType: sum.ErrorType}
	s.cells.Get(key, nil).observe(sum.Duration, sum.BytesIn, sum.BytesOut)
}

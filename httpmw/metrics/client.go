package metrics

import (
	"net/http"

	"github.com/mw-go/mw/httpmw"
	"github.com/mw-go/mw/internal/series"
)

// Client returns a decorator that measures the requests that an http.RoundTripper sends. Inside a retry it measures
// attempts, outside calls.
//
// Errors: a Config that does not validate, and what the Registerer says.
func Client(c Config) (func(http.RoundTripper) http.RoundTripper, error) {
	c, err := c.check()
	if err != nil {
		return nil, err
	}
	v, err := register(c, "client", labelMethod, labelHost, labelPort, labelStatus, labelError)
	if err != nil {
		return nil, err
	}
	s := &client{active: v.active, hosts: series.NewHosts(c.MaxHosts), cells: series.New(c.MaxSeries,
		func(k series.Call) *cell {
			return v.cell(k.Method, k.Host.Name, k.Host.Port, statusLabel(k.Status), k.ErrorType)
		},
		func() *cell { return v.cell(series.Other, series.Other, series.Other, series.Other, series.Other) },
	)}
	return httpmw.ClientObserve(s.end, httpmw.ClientObserveConfig{Name: "ClientMetrics", Begin: s.begin}), nil
}

type client struct {
	active *active
	hosts  series.Hosts
	cells  *series.Table[series.Call, *cell]
}

func (s *client) begin(sum httpmw.ClientSummary) { s.active.Add(sum.Method, 1) }

func (s *client) end(sum httpmw.ClientSummary) {
	s.active.Add(sum.Method, -1)
	key := series.Call{
		Method: sum.Method, Host: s.hosts.Of(sum.Request.URL), Status: sum.Status, ErrorType: sum.ErrorType,
	}
	s.cells.Get(key, nil).observe(sum.Duration, sum.BytesOut, sum.BytesIn)
}

package otelmetrics

import (
	"net/http"

	"github.com/mw-go/mw/core/schema"
	"github.com/mw-go/mw/httpmw"
	"github.com/mw-go/mw/internal/series"
)

// Server returns a middleware that measures requests to a server. Its place in the chain makes no difference to what is
// measured, but for the size of request bodies, which are counted from there inwards.
//
// Errors: a Config that does not validate, and what the Meter says.
func Server(c Config) (func(http.Handler) http.Handler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = schema.Fill(c)
	i, err := register(c, "server")
	if err != nil {
		return nil, err
	}
	cells := series.New(c.MaxSeries, serverOptions, func() *options {
		return optionsOf(attrMethod.String(series.Other), attrRoute.String(series.Other), attrError.String(series.Other))
	})
	end := func(s httpmw.Summary) {
		i.active.Add(s.Method, -1)
		key := series.Request{
			Method: s.Method, Route: s.Route, Status: s.Status, ErrorType: s.ErrorType, Secure: s.Request.TLS != nil,
		}
		i.observe(s.Request.Context(), cells.Get(key, nil), s.Duration, s.BytesIn, s.BytesOut)
	}
	return httpmw.Observe(end, httpmw.ObserveConfig{
		Name: "Metrics", Begin: func(s httpmw.Summary) { i.active.Add(s.Method, 1) },
	}), nil
}

func serverOptions(r series.Request) *options {
	scheme := "http"
	if r.Secure {
		scheme = "https"
	}
	kvs := append(common(r.Method, r.Status, r.ErrorType), attrScheme.String(scheme))
	if r.Route != httpmw.Unmatched {
		kvs = append(kvs, attrRoute.String(r.Route))
	}
	return optionsOf(kvs...)
}

// Client returns a decorator that measures the requests that an http.RoundTripper sends. Inside a retry it measures
// attempts, outside calls.
//
// Errors: a Config that does not validate, and what the Meter says.
func Client(c Config) (func(http.RoundTripper) http.RoundTripper, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = schema.Fill(c)
	i, err := register(c, "client")
	if err != nil {
		return nil, err
	}
	hosts := series.NewHosts(c.MaxHosts)
	cells := series.New(c.MaxSeries, clientOptions, func() *options {
		return optionsOf(attrMethod.String(series.Other), attrHost.String(series.Other), attrError.String(series.Other))
	})
	end := func(s httpmw.ClientSummary) {
		i.active.Add(s.Method, -1)
		key := series.Call{Method: s.Method, Host: hosts.Of(s.Request.URL), Status: s.Status, ErrorType: s.ErrorType}
		i.observe(s.Request.Context(), cells.Get(key, nil), s.Duration, s.BytesOut, s.BytesIn)
	}
	return httpmw.ClientObserve(end, httpmw.ClientObserveConfig{
		Name: "ClientMetrics", Begin: func(s httpmw.ClientSummary) { i.active.Add(s.Method, 1) },
	}), nil
}

func clientOptions(k series.Call) *options {
	kvs := append(common(k.Method, k.Status, k.ErrorType), attrHost.String(k.Host.Name))
	return optionsOf(port(kvs, k.Host.Port)...)
}

package main

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/hotconfig"
	"github.com/mw-go/mw/httpmw"
	"github.com/mw-go/mw/httpmw/compress"
	"github.com/mw-go/mw/httpmw/cors"
	"github.com/mw-go/mw/httpmw/metrics"
	"github.com/mw-go/mw/httpmw/trace"
)

// front puts the stack of a server before the shop: what the file says under the name shop, and what only code can say.
func (s *service) front(log *slog.Logger, handler http.Handler) (http.Handler, error) {
	measured, err1 := metrics.Server(metrics.Config{Registerer: s.registry})
	small, err2 := compress.Compress(compress.Config{Min: 256})
	tagged, err3 := httpmw.ETag(httpmw.ETagConfig{})
	once, err4 := httpmw.IdempotencyKey(customer, httpmw.IdempotencyKeyConfig{Bare: true})
	pages, err5 := s.pages()
	_, err6 := s.set.KeyedRateLimit("shop", core.Hooks{}) // one for each client, before Server makes one for all
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return nil, err
	}
	layers, err := httpmw.Server(s.set, httpmw.ServerConfig{
		Name:     "shop",
		Trust:    httpmw.TrustNone(), // no proxy in front: a client is who the connection says
		Logger:   log,
		Metrics:  measured,
		Trace:    trace.Server(), // costs nothing until a provider is set
		CORS:     pages,
		Compress: small,
		ETag:     tagged,
		Inside:   []func(http.Handler) http.Handler{once},
	})
	if err != nil {
		return nil, err
	}
	handler = mw.Chain(layers...)(handler)
	return handler, httpmw.Check(handler)
}

// customer is whose Idempotency-Key it is. A service with accounts would name the account.
func customer(r *http.Request) string {
	addr, _ := httpmw.ClientAddr(r.Context())
	return addr.String()
}

// pages lets browsers use the shop from the origins of the file; nil if there are none.
func (s *service) pages() (func(http.Handler) http.Handler, error) {
	origins := s.live.Get().Origins
	if len(origins) == 0 {
		return nil, nil
	}
	return cors.New(cors.Config{
		Origins:         origins,
		RequestHeaders:  []string{"Content-Type", "Idempotency-Key"},
		ResponseHeaders: []string{"RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID"},
	})
}

// clients makes the clients of the shop's dependencies, each with what the file says under its name, over one transport.
func (s *service) clients() (payments, stock *http.Client, err error) {
	s.transport, err = httpmw.NewTransport(s.live.Get().Transport, httpmw.TransportHooks{})
	if err != nil {
		return nil, nil, err
	}
	if err := hotconfig.Bind(s.live, func(c *Config) httpmw.TransportConfig { return c.Transport }, s.transport); err != nil {
		return nil, nil, err
	}
	attempts, err := metrics.Client(metrics.Config{Registerer: s.registry})
	if err != nil {
		return nil, nil, err
	}
	with := httpmw.ClientConfig{Base: s.transport, AttemptMetrics: attempts, Trace: trace.Client()}
	toPayments, err1 := httpmw.Client(s.set, "payments", with)
	toStock, err2 := httpmw.Client(s.set, "stock", with)
	return &http.Client{Transport: toPayments}, &http.Client{Transport: toStock}, errors.Join(err1, err2)
}

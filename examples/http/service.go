package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/policy"
	"github.com/mw-go/mw/core/timeout"
	"github.com/mw-go/mw/hotconfig"
	"github.com/mw-go/mw/httpmw"
)

// options say how a service differs from what the file says.
type options struct {
	dir     string // of the configuration
	listen  string // instead of the file's address, if not empty
	log     *slog.Logger
	onEvent func(core.Event)
	onLoad  func(hotconfig.Event)
}

// service is the shop and its payment provider, serving on loopback.
type service struct {
	url      string
	live     *hotconfig.Live[Config]
	upstream *upstream
	payments *breaker.Breaker
	set      *policy.Set
	servers  []*http.Server
	failed   chan error
}

// start loads the configuration, wires the guards and serves.
func start(o options) (*service, error) {
	live, err := hotconfig.Load[Config](hotconfig.Options{Dir: o.dir, Logger: o.log, OnEvent: o.onLoad})
	if err != nil {
		return nil, err
	}
	set, err := policy.New(live.Get().Policies, o.onEvent)
	if err != nil {
		return nil, err
	}
	s := &service{live: live, upstream: &upstream{}, set: set, failed: make(chan error, 2)}
	provider, err := s.serve("127.0.0.1:0", s.upstream)
	if err != nil {
		return nil, err
	}
	handler, err := s.wire(o.log, provider)
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	if o.listen == "" {
		o.listen = live.Get().Listen
	}
	if s.url, err = s.serve(o.listen, handler); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, live.Watch()
}

// wire puts the guards round the shop and its client, and checks that code and file name the same ones.
func (s *service) wire(log *slog.Logger, provider string) (http.Handler, error) {
	clients, err1 := s.set.KeyedRateLimit("clients", core.Hooks{})
	room, err2 := s.set.Bulkhead("shop", core.Hooks{})
	payments, err3 := s.set.Breaker("payments", core.Hooks{})
	places, err4 := s.set.Bulkhead("payments", core.Hooks{})
	patience, err5 := s.set.Timeout("shop", timeout.Hooks{})
	if err := errors.Join(err1, err2, err3, err4, err5, s.set.Check()); err != nil {
		return nil, err
	}
	if err := hotconfig.Bind(s.live, func(c *Config) policy.Config { return c.Policies }, s.set); err != nil {
		return nil, err
	}
	s.payments = payments
	client := &http.Client{Transport: mw.Chain(
		httpmw.ClientGuard(httpmw.Guarded{Guard: payments}, httpmw.Guarded{Guard: places}),
	)(&http.Transport{MaxIdleConnsPerHost: 64})}
	shop := &shop{live: s.live, payments: client, provider: provider, upstream: s.upstream, status: s.status}

	trust := httpmw.TrustNone() // no proxy in front: a client is who the connection says
	exempt := func(r *http.Request) bool { return r.URL.Path == "/healthz" || r.URL.Path == "/status" }
	return mw.Chain(
		httpmw.AccessLog(httpmw.AccessLogConfig{Logger: log}),
		httpmw.Recover(httpmw.RecoverConfig{Logger: log}),
		httpmw.RequestID(),
		httpmw.ClientIP(trust),
		mw.Must(httpmw.Timeout(patience)),
		httpmw.Guard(
			httpmw.Guarded{Guard: clients, GuardConfig: httpmw.GuardConfig{Key: httpmw.ByClientIP(trust), Skip: exempt}},
			httpmw.Guarded{Guard: room, GuardConfig: httpmw.GuardConfig{Skip: exempt}},
		),
	)(shop.routes()), nil
}

// serve listens and serves in the background until stop.
func (s *service) serve(addr string, h http.Handler) (url string, err error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return "", fmt.Errorf("listen: %w (another address: -listen 127.0.0.1:0)", err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	s.servers = append(s.servers, srv)
	go func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- err
		}
	}()
	return "http://" + ln.Addr().String(), nil
}

// stop ends the watcher and the servers, the shop first.
func (s *service) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	errs := []error{s.live.Close()}
	for _, server := range slices.Backward(s.servers) {
		if err := server.Shutdown(ctx); err != nil {
			errs = append(errs, err, server.Close())
		}
	}
	return errors.Join(errs...)
}

// status is what GET /status shows.
func (s *service) status() any {
	guards := map[string]any{}
	for _, m := range s.set.All() {
		st := m.Status()
		guards[string(st.Policy.Kind)+"/"+st.Policy.Name] = map[string]any{
			"mode": st.Policy.Mode.String(), "admitted": st.Admitted, "rejected": st.Rejected,
		}
	}
	return map[string]any{
		"config_version": s.live.Version().Number,
		"provider":       modeNames[s.upstream.mode.Load()],
		"guards":         guards,
	}
}

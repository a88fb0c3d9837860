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

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/lifecycle"
	"github.com/mw-go/mw/core/observe/prom"
	"github.com/mw-go/mw/core/policy"
	"github.com/mw-go/mw/hotconfig"
	"github.com/mw-go/mw/httpmw"
)

// options say how a service differs from what the file says.
type options struct {
	dir     string // of the configuration
	listen  string // instead of the file's addresses, if not empty
	admin   string
	log     *slog.Logger
	onEvent func(core.Event)
	onLoad  func(hotconfig.Event)
}

// service is the shop, its operators' address and its upstream, serving on loopback.
type service struct {
	url       string
	admin     string // URL
	live      *hotconfig.Live[Config]
	set       *policy.Set
	life      *lifecycle.Lifecycle
	registry  *prometheus.Registry
	transport *httpmw.Transport
	upstream  *upstream
	shop      *shop
	servers   []*http.Server
	failed    chan error
}

// start loads the configuration, wires the stacks and serves.
func start(o options) (*service, error) {
	live, err := hotconfig.Load[Config](hotconfig.Options{Dir: o.dir, Logger: o.log, OnEvent: o.onLoad})
	if err != nil {
		return nil, err
	}
	set, err := policy.New(live.Get().Policies, o.onEvent)
	if err != nil {
		return nil, err
	}
	life, err := lifecycle.New(live.Get().Lifecycle)
	if err != nil {
		return nil, err
	}
	s := &service{
		live: live, set: set, life: life, registry: prometheus.NewRegistry(), upstream: &upstream{}, failed: make(chan error, 3),
	}
	if err := s.open(o); err != nil {
		return nil, errors.Join(err, s.close())
	}
	life.Ready()
	return s, nil
}

// open binds what follows the configuration and opens the doors, the shop's last.
func (s *service) open(o options) error {
	if o.listen == "" {
		o.listen = s.live.Get().Listen
	}
	if o.admin == "" {
		o.admin = s.live.Get().Admin
	}
	_, upstream, err := s.serve("127.0.0.1:0", s.upstream.routes())
	if err != nil {
		return err
	}
	payments, stock, err := s.clients()
	s.shop = &shop{upstream: upstream, payments: payments, stock: stock, life: s.life}
	routes, err1 := s.shop.routes()
	handler, err2 := s.front(o.log, routes)
	// What code and file name differently is told as well: it may be why the others failed.
	if err := errors.Join(err, err1, err2, s.set.Check(), s.registry.Register(prom.New(s.set.All))); err != nil {
		return err
	}
	if err := errors.Join(
		hotconfig.Bind(s.live, func(c *Config) policy.Config { return c.Policies }, s.set),
		hotconfig.Bind(s.live, func(c *Config) lifecycle.Config { return c.Lifecycle }, s.life),
	); err != nil {
		return err
	}
	if _, s.admin, err = s.serve(o.admin, mw.Chain(httpmw.Recover(httpmw.RecoverConfig{Logger: o.log}))(s.operators())); err != nil {
		return err
	}
	s.shop.admin = s.admin
	door, url, err := s.serve(o.listen, handler)
	if err != nil {
		return err
	}
	s.url = url
	return errors.Join(s.life.OnDrain("shop", func(ctx context.Context) error { return halt(ctx, door) }), s.live.Watch())
}

// serve listens and serves in the background until close.
func (s *service) serve(addr string, h http.Handler) (srv *http.Server, url string, err error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, "", fmt.Errorf("listen: %w (other addresses: -listen 127.0.0.1:0 -admin 127.0.0.1:0)", err)
	}
	srv = &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	s.servers = append(s.servers, srv)
	go func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- err
		}
	}()
	return srv, "http://" + ln.Addr().String(), nil
}

// halt lets requests under way come to an end, as long as ctx allows, and cuts off the rest.
func halt(ctx context.Context, server *http.Server) error {
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(err, server.Close())
	}
	return nil
}

// stop takes the shop out of service as the file says: not ready, a wait, and then its requests have some time. The
// operators can look on until the end.
func (s *service) stop() error {
	err := s.life.Shutdown(context.Background()) // bounded by Wait and Grace
	return errors.Join(err, s.close())
}

// close ends the watcher and all servers, the last one first.
func (s *service) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	errs := []error{s.live.Close()}
	if s.transport != nil { // first, or the upstream waits for connections that were opened and never used
		s.transport.CloseIdleConnections()
	}
	for _, server := range slices.Backward(s.servers) {
		errs = append(errs, halt(ctx, server))
	}
	return errors.Join(errs...)
}

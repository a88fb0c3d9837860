package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/lifecycle"
	"github.com/mw-go/mw/core/policy"
	"github.com/mw-go/mw/examples/grpc/shop"
	"github.com/mw-go/mw/grpcmw"
	"github.com/mw-go/mw/hotconfig"
)

// options say how a service differs from what the file says.
type options struct {
	dir        string // of the configuration
	listen     string // instead of the file's addresses, if not empty
	listenHTTP string
	log        *slog.Logger
	onEvent    func(core.Event)
	onLoad     func(hotconfig.Event)
}

// service is the shop and its payment provider, serving on loopback.
type service struct {
	addr   string // of gRPC
	url    string // of HTTP
	live   *hotconfig.Live[Config]
	life   *lifecycle.Lifecycle
	set    *policy.Set
	orders *orders

	upstream *upstream
	provider *grpc.Server     // serves upstream
	conn     *grpc.ClientConn // to the provider, guarded

	// Guards of the set that are looked at.
	room, streams *bulkhead.Bulkhead
	payments      *breaker.Breaker
	fees          *hedge.Hedge

	failed chan error
}

// The names of the policies in the file, and of the method that has a limit for each client.
const (
	ours   = "shop"
	theirs = "payments"
	quotes = ours + "/shop.v1.Orders/Quote"
	fees   = theirs + "/shop.v1.Payments/Fee"
)

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
	life, err := lifecycle.New(live.Get().Shutdown)
	if err != nil {
		return nil, err
	}
	s := &service{
		live: live, life: life, set: set, upstream: newUpstream(), provider: grpc.NewServer(), failed: make(chan error, 3),
	}
	if err := s.open(o); err != nil {
		now, cancel := context.WithCancel(context.Background())
		cancel() // nobody uses it yet
		return nil, errors.Join(err, s.stop(now))
	}
	return s, nil
}

// open starts the provider and then the shop.
func (s *service) open(o options) error {
	shop.RegisterPaymentsServer(s.provider, s.upstream)
	provider, err := s.serve("127.0.0.1:0", s.provider.Serve)
	if err != nil {
		return err
	}
	server, err := s.wire(o.log, provider)
	if err != nil {
		return err
	}
	web := &http.Server{Handler: s.handler(o.log, s.room), ReadHeaderTimeout: 5 * time.Second}
	err = s.life.OnDrain("http", func(ctx context.Context) error {
		if err := web.Shutdown(ctx); err != nil {
			return errors.Join(err, web.Close())
		}
		return nil
	})
	if err != nil {
		return err
	}
	if o.listen == "" {
		o.listen = s.live.Get().Listen
	}
	if o.listenHTTP == "" {
		o.listenHTTP = s.live.Get().ListenHTTP
	}
	if s.addr, err = s.serve(o.listen, server.Serve); err != nil {
		return err
	}
	host, err := s.serve(o.listenHTTP, web.Serve)
	if err != nil {
		return err
	}
	s.url = "http://" + host
	s.life.Ready()
	return s.live.Watch()
}

// wire puts the guards round the shop and its client, and checks that code and file name the same ones.
func (s *service) wire(log *slog.Logger, provider string) (*grpc.Server, error) {
	// Asked for first, this limit is one for each client; ServerOptions takes it as it is.
	if _, err := s.set.KeyedRateLimit(quotes, core.Hooks{}); err != nil {
		return nil, err
	}
	dial, err1 := grpcmw.DialOptions(s.set, theirs, grpcmw.ClientConfig{})
	serve, err2 := grpcmw.ServerOptions(s.set, grpcmw.ServerConfig{Name: ours, Logger: log, Life: s.life, Key: grpcmw.ByPeer})
	if err := errors.Join(err1, err2, s.look(), s.set.Check()); err != nil {
		return nil, err
	}
	err1 = hotconfig.Bind(s.live, func(c *Config) policy.Config { return c.Policies }, s.set)
	err2 = hotconfig.Bind(s.live, func(c *Config) lifecycle.Config { return c.Shutdown }, s.life)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	var err error
	if s.conn, err = grpc.NewClient(provider, append(dial, grpc.WithTransportCredentials(insecure.NewCredentials()))...); err != nil {
		return nil, err
	}
	s.orders = newOrders(shop.NewPaymentsClient(s.conn))
	server := grpc.NewServer(append(serve, grpc.WaitForHandlers(true))...)
	shop.RegisterOrdersServer(server, s.orders)
	healthpb.RegisterHealthServer(server, grpcmw.NewHealth(s.life, shop.Orders_ServiceDesc.ServiceName))
	reflection.Register(server)
	return server, grpcmw.Drain(s.life, server)
}

// look gets hold of the guards that are looked at.
func (s *service) look() error {
	var errs [4]error
	s.room, errs[0] = s.set.Bulkhead(ours, core.Hooks{})
	s.streams, errs[1] = s.set.Bulkhead(ours+grpcmw.StreamsSuffix, core.Hooks{})
	s.payments, errs[2] = s.set.Breaker(theirs, core.Hooks{})
	s.fees, errs[3] = s.set.Hedge(fees, hedge.Hooks{})
	return errors.Join(errs[:]...)
}

// serve listens and serves in the background until stop.
func (s *service) serve(addr string, run func(net.Listener) error) (at string, err error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return "", fmt.Errorf("listen: %w (other addresses: -listen and -listen-http 127.0.0.1:0)", err)
	}
	go func() {
		if err := run(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.failed <- err
		}
	}()
	return ln.Addr().String(), nil
}

// stop takes the shop out of service as the file says, at once if ctx is done, and ends the provider after it. The error says
// what had to be ended by force.
func (s *service) stop(ctx context.Context) error {
	errs := []error{s.live.Close(), s.life.Shutdown(ctx)}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	s.provider.Stop()
	return errors.Join(errs...)
}

package httpmw

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// TransportConfig tunes a Transport. The zero TransportConfig is valid; an absent field means its default. Comparable, data
// only. In brackets what http.DefaultTransport has, where that differs.
type TransportConfig struct {
	// DialTimeout is how long the connection to one address may take. Default 5s [30s]. Range 1ms to 5m.
	DialTimeout time.Duration `default:"5s" range:"1ms..5m"`
	// KeepAlive is the time between probes of an idle TCP connection. Default 15s [30s]. Range 1s to 1h, or none.
	KeepAlive time.Duration `default:"15s" range:"1s..1h|none"`
	// TLSTimeout is how long the TLS handshake may take. Default 5s [10s]. Range 1ms to 5m.
	TLSTimeout time.Duration `default:"5s" range:"1ms..5m"`
	// HeaderTimeout is how long the server may take from the end of the request to the header of its response. Default 30s
	// [none]. Range 1ms to 24h, or none.
	HeaderTimeout time.Duration `default:"30s" range:"1ms..24h|none"`
	// ContinueTimeout is how long a request with Expect: 100-continue holds its body back. Default 1s. Range 1ms to 1m.
	ContinueTimeout time.Duration `default:"1s" range:"1ms..1m"`
	// IdleTimeout is how long a connection is kept that nobody uses. It should be shorter than the server's. Default 60s
	// [90s]. Range 1s to 1h.
	IdleTimeout time.Duration `default:"60s" range:"1s..1h"`
	// MaxIdle is how many unused connections are kept, of all hosts. Default 1000 [100]. Range 1 to 1e6.
	MaxIdle int `default:"1000" range:"1..1000000"`
	// MaxIdlePerHost is how many are kept of one host; with fewer than there are requests at once, connections are closed
	// and made all the time. Default 100 [2]. Range 1 to 1e6.
	MaxIdlePerHost int `default:"100" range:"1..1000000"`
	// MaxPerHost is how many connections there are to one host, those that are being made included; requests beyond wait,
	// as long as their contexts allow. Default none. Range 1 to 1e6, or none.
	MaxPerHost core.Count `default:"none" range:"1..1000000|none"`
	// MaxHeaderBytes is how long the header of a response may be. Default 1 MiB [10 MiB]. Range 1 KiB to 64 MiB.
	MaxHeaderBytes int `default:"1048576" range:"1024..67108864"`
	// PingAfter is how long an HTTP/2 connection may be silent before it is asked whether it lives. Default 30s [none]: else
	// requests go into a connection that a firewall has forgotten for as long as TCP tries. Range 1s to 1h, or none.
	PingAfter time.Duration `default:"30s" range:"1s..1h|none"`
	// PingTimeout is how long the answer may take before the connection is closed. Default 10s [15s]. Range 100ms to 5m.
	PingTimeout time.Duration `default:"10s" range:"100ms..5m"`
	// NoHTTP2 speaks HTTP/1.1 alone. Default false.
	NoHTTP2 bool
	// NoCompression does not ask for gzip of its own accord, nor decompresses it. Default false.
	NoCompression bool
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c TransportConfig) Validate() error { return schema.Validate(c) }

// TransportHooks are what a Transport takes from the program and not from its configuration. The zero value is the default.
type TransportHooks struct {
	// TLS is the configuration of TLS; it is cloned. nil means the defaults of crypto/tls.
	TLS *tls.Config
	// Proxy says which proxy a request goes through, if any. nil means http.ProxyFromEnvironment.
	Proxy func(*http.Request) (*url.URL, error)
	// Dial makes a connection, within a context that ends after DialTimeout. nil means a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Transport is an http.Transport whose settings can be changed while it runs. Make one with NewTransport. Safe for concurrent
// use.
type Transport struct {
	hooks   TransportHooks
	current atomic.Pointer[generation]
	dials   atomic.Uint64
	tunes   atomic.Uint64

	mu      sync.Mutex // guards retired, and serialises commits
	retired []retired
}

// generation is an http.Transport and the settings that it was made by.
type generation struct {
	config TransportConfig
	http   *http.Transport
}

// retired is an http.Transport that gets no more requests. Its last connections close themselves when they have been
// idle for as long as it was told.
type retired struct {
	*generation
	since time.Time
}

// NewTransport returns a transport with connections to nobody. It fails if the Config does not validate.
func NewTransport(c TransportConfig, h TransportHooks) (*Transport, error) {
	t := &Transport{hooks: h}
	if h.TLS != nil {
		t.hooks.TLS = h.TLS.Clone()
	}
	if h.Proxy == nil {
		t.hooks.Proxy = http.ProxyFromEnvironment
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("httpmw: transport: %w", err)
	}
	t.current.Store(t.make(schema.Fill(c)))
	return t, nil
}

// make builds the http.Transport of c.
func (t *Transport) make(c TransportConfig) *generation {
	h := &http.Transport{
		Proxy: t.hooks.Proxy, DialContext: t.dialer(c), TLSHandshakeTimeout: c.TLSTimeout,
		ResponseHeaderTimeout: max(c.HeaderTimeout, 0), ExpectContinueTimeout: c.ContinueTimeout,
		IdleConnTimeout: c.IdleTimeout, MaxIdleConns: c.MaxIdle, MaxIdleConnsPerHost: c.MaxIdlePerHost,
		MaxConnsPerHost: int(max(c.MaxPerHost, 0)), MaxResponseHeaderBytes: int64(c.MaxHeaderBytes),
		DisableCompression: c.NoCompression, Protocols: &http.Protocols{},
	}
	if t.hooks.TLS != nil {
		h.TLSClientConfig = t.hooks.TLS.Clone()
	}
	h.Protocols.SetHTTP1(true)
	h.Protocols.SetHTTP2(!c.NoHTTP2)
	h.HTTP2 = &http.HTTP2Config{SendPingTimeout: max(c.PingAfter, 0), PingTimeout: c.PingTimeout}
	return &generation{config: c, http: h}
}

// dialer counts the connections that it is to make.
func (t *Transport) dialer(c TransportConfig) func(context.Context, string, string) (net.Conn, error) {
	dial := (&net.Dialer{Timeout: c.DialTimeout, KeepAlive: c.KeepAlive}).DialContext
	if hook := t.hooks.Dial; hook != nil {
		dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, c.DialTimeout)
			defer cancel()
			return hook(ctx, network, address)
		}
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		t.dials.Add(1)
		return dial(ctx, network, address)
	}
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.current.Load().http.RoundTrip(r)
}

// Layer returns "Transport".
func (t *Transport) Layer() string { return "Transport" }

// Prepare checks c and returns the function that puts it in force, for transactions over several machines. It holds
// nothing, and commit cannot fail.
func (t *Transport) Prepare(c TransportConfig) (commit func(), err error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("httpmw: transport: %w", err)
	}
	c = schema.Fill(c)
	return func() { t.change(c) }, nil
}

// Tune puts c in force for requests that come from now on; on error nothing changes. If c is other than what is in force, they
// get new connections: those that are idle are closed, those in use finish what they do undisturbed and are closed then, those
// of HTTP/2 after the former IdleTimeout. Until then MaxPerHost holds for the new ones alone.
func (t *Transport) Tune(c TransportConfig) error {
	commit, err := t.Prepare(c)
	if err != nil {
		return err
	}
	commit()
	return nil
}

func (t *Transport) change(c TransportConfig) {
	t.mu.Lock()
	old := t.current.Load()
	if old.config == c {
		t.mu.Unlock()
		return
	}
	t.current.Store(t.make(c))
	t.tunes.Add(1)
	now := time.Now()
	t.prune(now)
	t.retired = append(t.retired, retired{old, now})
	t.mu.Unlock()
	old.http.CloseIdleConnections()
}

// prune forgets the transports whose connections have closed themselves by now, but for requests that are still under
// way: those see to themselves. mu is held.
func (t *Transport) prune(now time.Time) {
	t.retired = slices.DeleteFunc(t.retired, func(r retired) bool { return now.Sub(r.since) > 2*r.config.IdleTimeout })
}

// CloseIdleConnections closes the connections that are not in use, also those from before a Tune.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	t.prune(time.Now())
	all := []*http.Transport{t.current.Load().http}
	for _, r := range t.retired {
		all = append(all, r.http)
	}
	t.mu.Unlock()
	for _, h := range all {
		h.CloseIdleConnections()
	}
}

// Config returns the effective settings, defaults filled in.
func (t *Transport) Config() TransportConfig { return t.current.Load().config }

// TransportSnapshot is what a page, a metric or a test reads of a Transport. Counts are lifetime counts.
type TransportSnapshot struct {
	Config TransportConfig
	Dials  uint64 // connections that were to be made
	Tunes  uint64 // changes of the settings
}

// Snapshot returns the state as of now.
func (t *Transport) Snapshot() TransportSnapshot {
	return TransportSnapshot{Config: t.Config(), Dials: t.dials.Load(), Tunes: t.tunes.Load()}
}

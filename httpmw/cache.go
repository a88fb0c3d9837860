package httpmw

import (
	"context"
	"fmt"
	"hash/maphash"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
	"github.com/mw-go/mw/httpmw/internal/httpcache"
)

// ResponseCache keeps responses to GET by RFC 9111 and gives them out again. Cache puts it in front of a handler,
// ClientCache behind an http.Client. It implements core.Machine. Make one with NewResponseCache and Close it if it must
// not outlive what it asks. Safe for concurrent use.
//
//	request                                                       what happens                       Cache-Status (RFC 9211)
//	other methods than GET and HEAD                               passed on; if it is unsafe and     fwd=method
//	                                                              does not fail, its URL, and those
//	                                                              of Location and Content-Location
//	                                                              on the same host, are forgotten
//	Range, If-Match, If-Unmodified-Since, a body; Cookie, if      passed on                          fwd=bypass
//	the cache is shared and Cookies is bypass
//	fresh                                                         given out; 304 if the client has   hit; ttl=9
//	                                                              it; HEAD without the body
//	not fresh, within stale-while-revalidate                      given out; refreshed in the        hit; ttl=-5
//	                                                              background, once
//	not fresh, with ETag or Last-Modified                         confirmed by a 304                 fwd=stale; fwd-status=304; ttl=9; stored
//	not fresh, and 500, 502, 503 or 504 comes back, within        given out                          fwd=stale; fwd-status=503; ttl=-5; ...
//	stale-if-error
//	not kept, or not for a request with these fields              fetched                            fwd=uri-miss or vary-miss; ttl=10; stored
//	the same, while another one is under way                      waits for that                     fwd=uri-miss; ttl=10; stored; collapsed
//	no-cache, max-age and min-fresh of the request                confirmed or fetched               fwd=request; ...
//	only-if-cached, and nothing is kept                           504
//
// Not kept is what says no-store, sets a cookie, varies by "*", has trailers, is a part or a stream, is longer than
// MaxBody or does not come whole; in a shared cache also what says private, and the response to a request with
// Authorization, unless it says public, s-maxage or must-revalidate. In a shared cache such a request gets nothing else
// either. Fields that layers outside have set are theirs and not kept.
//
// Requests that ask the same wait for one that is fetched in a goroutine of its own. It is cancelled when nobody waits
// any more, and not because the one who began it leaves; it has the values of that one's context and no deadline. A
// response that turns out not to be for all is passed to him as it is made, and the others ask for themselves, and for
// ten seconds nobody waits for that URL. A panic of the handler, and runtime.Goexit, go on in the one who began; a panic
// is a *core.PanicError there, but for http.ErrAbortHandler. No response that was asked for before an invalidation is
// kept after it, or given to who came after it. Stale responses are not given out for errors to requests that ask for
// themselves: with Authorization or no-store, and HEAD.
//
// While it is not certain that a response can be kept, up to MaxBody bytes of it are held in memory, besides MaxBytes.
type ResponseCache struct {
	name  string
	scope CacheScope
	hooks CacheHooks

	config   atomic.Pointer[CacheConfig]
	override atomic.Pointer[cacheOverride]
	shelf    *httpcache.Shelf[*resource]
	seed     maphash.Seed
	epochs   [256]atomic.Uint64 // of invalidations, by the hash of the key

	count [cacheCounts]atomic.Uint64

	mu      sync.Mutex
	flights map[string]*flight
	running int
	closed  atomic.Bool   // set under the lock
	idle    chan struct{} // closed when nothing runs, after Close
}

// resource is what is kept under one key. Immutable.
type resource struct {
	variants []*cacheEntry
	alone    time.Time // until then requests do not wait for one another: the last response was for one of them only
}

type cacheOverride struct {
	mode  core.Mode
	until time.Time // zero: until it is restored
}

const (
	countHit = iota
	countStale
	countMiss
	countValidated
	countCollapsed
	countBypassed
	countStored
	countRescued
	countInvalidated
	countShadowed
	cacheCounts
)

// The bounds that are no settings.
const (
	maxVariants = 16               // of one key
	aloneFor    = 10 * time.Second // how long it is remembered that the response to a key is not shared
)

// NewResponseCache returns an empty cache. scope must be CacheShared or CachePrivate. It starts nothing: goroutines are
// those of requests that the cache asks, begun by the requests that need them. Errors: a name that is not 1 to 64 of
// letters, digits and - _ . /, a scope that is neither, and every bad field of c.
func NewResponseCache(name string, scope CacheScope, c CacheConfig, h ...CacheHooks) (*ResponseCache, error) {
	if !isCacheName(name) {
		return nil, fmt.Errorf("httpmw: the name of a cache is 1 to 64 of letters, digits and - _ . /, not %q", name)
	}
	if scope != CacheShared && scope != CachePrivate {
		return nil, fmt.Errorf("httpmw: cache %s: the scope is CacheShared or CachePrivate, not %d", name, scope)
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	x := &ResponseCache{
		name: name, scope: scope, hooks: atMostOne("NewResponseCache", h),
		seed: maphash.MakeSeed(), flights: map[string]*flight{}, idle: make(chan struct{}),
	}
	c = schema.Fill(c)
	x.config.Store(&c)
	x.shelf = httpcache.NewShelf[*resource](c.MaxBytes)
	if x.hooks.Rules == nil {
		x.hooks.Rules = standardRules{x}
	}
	return x, nil
}

func isCacheName(s string) bool {
	const others = "-_./"
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte(others, c) >= 0) {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// Config returns the effective settings, defaults filled in.
func (c *ResponseCache) Config() CacheConfig { return *c.config.Load() }

// Prepare checks a Config and returns the function that puts it in force, for transactions over several machines. It
// holds nothing, and commit cannot fail.
func (c *ResponseCache) Prepare(to CacheConfig) (commit func(), err error) {
	if err := to.Validate(); err != nil {
		return nil, err
	}
	to = schema.Fill(to)
	return func() {
		c.config.Store(&to)
		c.shelf.SetMax(to.MaxBytes)
	}, nil
}

// Tune puts settings in force from the next request on. Responses that are kept stay, with the lifetimes they were
// given; a smaller MaxBytes evicts at once. On error nothing changes.
func (c *ResponseCache) Tune(to CacheConfig) error {
	commit, err := c.Prepare(to)
	if err == nil {
		commit()
	}
	return err
}

// Override puts mode in force for d (0: until Restore) whatever the configuration says; it outlives Tune. Errors: a mode
// other than enforce, shadow and disabled, and a negative d.
func (c *ResponseCache) Override(mode core.Mode, d time.Duration) error {
	if mode > core.Disabled || d < 0 {
		return fmt.Errorf("httpmw: cache %s: override %v for %v: a mode of enforce, shadow and disabled, and no negative time", c.name, mode, d)
	}
	o := &cacheOverride{mode: mode}
	if d > 0 {
		o.until = time.Now().Add(d)
	}
	c.override.Store(o)
	return nil
}

// Restore ends an override.
func (c *ResponseCache) Restore() { c.override.Store(nil) }

func (c *ResponseCache) mode() core.Mode {
	if c.closed.Load() {
		return core.Disabled
	}
	if o := c.override.Load(); o != nil && (o.until.IsZero() || time.Now().Before(o.until)) {
		return o.mode
	}
	return c.config.Load().Mode
}

// Purge forgets every response. What is being fetched is not kept.
func (c *ResponseCache) Purge() {
	for i := range c.epochs {
		c.epochs[i].Add(1)
	}
	c.shelf.Clear()
}

// Invalidate forgets what is kept for the URL of r, whatever its method, in all variants. What is being fetched for it
// is not kept, and later requests do not wait for it.
func (c *ResponseCache) Invalidate(r *http.Request) { c.invalidate(c.key(r)) }

func (c *ResponseCache) invalidate(key string) {
	c.epoch(key).Add(1) // first, so that who stores now is found by the removal, and who stores later finds the epoch
	if c.shelf.Delete(key) {
		c.count[countInvalidated].Add(1)
	}
}

func (c *ResponseCache) epoch(key string) *atomic.Uint64 {
	return &c.epochs[maphash.String(c.seed, key)%uint64(len(c.epochs))]
}

// Close ends the cache: requests it has under way are cancelled, and from then on every request is passed on and nothing
// is kept. It waits until all goroutines have ended or ctx has, and then returns ctx.Err(). A second Close waits
// likewise.
func (c *ResponseCache) Close(ctx context.Context) error {
	c.mu.Lock()
	if c.closed.CompareAndSwap(false, true) && c.running == 0 {
		close(c.idle)
	}
	under := make([]*flight, 0, len(c.flights))
	for _, f := range c.flights {
		under = append(under, f)
	}
	c.mu.Unlock()
	for _, f := range under {
		f.cancel()
	}
	c.Purge()
	select {
	case <-c.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// CacheSnapshot is what a page, a metric or a test reads of a ResponseCache. Counts are lifetime counts.
type CacheSnapshot struct {
	core.Status
	Config    CacheConfig
	Resources int   // URLs that responses are kept of
	Bytes     int64 // of them
	Flights   int   // requests that the cache has under way

	Hits        uint64 // answered by a fresh response
	Stales      uint64 // answered by one that was not fresh, while it was being refreshed
	Misses      uint64 // passed on, or waited for one that was
	Collapsed   uint64 // of the misses, answered by the response to another request
	Validated   uint64 // responses that a 304 confirmed
	Rescued     uint64 // errors that a response that was not fresh was given out for
	Bypassed    uint64 // passed on without a look
	Stored      uint64
	Evicted     uint64
	Invalidated uint64 // URLs forgotten because of an unsafe request or Invalidate
}

// Snapshot returns the state as of now.
func (c *ResponseCache) Snapshot() CacheSnapshot {
	s := CacheSnapshot{Config: c.Config()}
	s.Policy = core.Policy{Kind: core.KindCache, Name: c.name, Mode: c.mode()}
	if o := c.override.Load(); o != nil && s.Policy.Mode == o.mode {
		s.Overridden = o.until.IsZero() || time.Now().Before(o.until)
		if s.Overridden && !o.until.IsZero() {
			s.OverrideUntil = core.TimeOf(o.until)
		}
	}
	s.Resources, s.Bytes, s.Evicted = c.shelf.Size()
	c.mu.Lock()
	s.Flights = c.running
	c.mu.Unlock()
	s.Hits, s.Stales, s.Misses = c.count[countHit].Load(), c.count[countStale].Load(), c.count[countMiss].Load()
	s.Collapsed, s.Validated = c.count[countCollapsed].Load(), c.count[countValidated].Load()
	s.Rescued, s.Bypassed = c.count[countRescued].Load(), c.count[countBypassed].Load()
	s.Stored, s.Invalidated = c.count[countStored].Load(), c.count[countInvalidated].Load()
	s.Admitted = s.Hits + s.Stales + s.Misses + s.Bypassed
	s.Shadowed = c.count[countShadowed].Load()
	return s
}

// Status returns the part of the Snapshot that all machines share.
func (c *ResponseCache) Status() core.Status { return c.Snapshot().Status }

// key is the URL that a request asks for, and what CacheHooks.Key adds.
func (c *ResponseCache) key(r *http.Request) string {
	key := cacheKeyOf(r)
	if c.hooks.Key != nil {
		key += "\n" + c.hooks.Key(r)
	}
	return key
}

func cacheKeyOf(r *http.Request) string {
	scheme, host := r.URL.Scheme, r.Host
	if scheme == "" { // on a server
		scheme = "http"
		if r.TLS != nil {
			scheme = "https"
		}
	}
	if host == "" {
		host = r.URL.Host
	}
	return scheme + "://" + strings.ToLower(host) + r.URL.RequestURI()
}

// store keeps an entry unless its key was invalidated since epoch.
func (c *ResponseCache) store(key string, epoch uint64, e *cacheEntry) (stored bool) {
	c.shelf.Update(key, func(old *resource, _ bool) (*resource, int64, bool) {
		if c.epoch(key).Load() != epoch || c.mode() == core.Disabled {
			return old, old.size(key), old != nil
		}
		stored = true
		fresh := old.with(e)
		return fresh, fresh.size(key), true
	})
	if stored {
		c.count[countStored].Add(1)
	}
	return stored
}

// remember that the response to a key was not to be shared, so that the next requests do not wait for one another.
func (c *ResponseCache) remember(key string, now time.Time) {
	c.shelf.Update(key, func(old *resource, _ bool) (*resource, int64, bool) {
		fresh := &resource{alone: now.Add(aloneFor)}
		if old != nil {
			fresh.variants = old.variants
		}
		return fresh, fresh.size(key), true
	})
}

// with returns the resource with a further entry, in place of one for the same request.
func (s *resource) with(e *cacheEntry) *resource {
	fresh := &resource{variants: []*cacheEntry{e}}
	if s == nil {
		return fresh
	}
	for _, other := range s.variants {
		if len(fresh.variants) < maxVariants && !(slices.Equal(other.vary, e.vary) && slices.Equal(other.asked, e.asked)) {
			fresh.variants = append(fresh.variants, other)
		}
	}
	return fresh
}

func (s *resource) size(key string) int64 {
	n := int64(len(key) + 256)
	if s != nil {
		for _, e := range s.variants {
			n += e.size()
		}
	}
	return n
}

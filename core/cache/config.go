package cache

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// Config tunes a Cache. Size and TTL are required; an absent field means its default. Comparable, data only.
type Config struct {
	// Size is how many entries are kept at most, those included that have expired and were not asked for since. Keys fall a
	// little unevenly on the shards, so that a large cache begins to evict a percent or so below it. About 105 bytes an
	// entry, one word of value included. It may grow while the cache runs, not shrink. Required. Range 1 to 1e8.
	Size int `required:"true" range:"1..100000000" example:"10000"`
	// TTL is how long a value is fresh. Required. Range 1ms to 8760h, or none: until it is replaced or evicted.
	TTL time.Duration `required:"true" range:"1ms..8760h|none" example:"1m"`
	// NegativeTTL is how long an error that Hooks.Negative accepts is remembered. Default 5s. Range 1ms to 24h.
	NegativeTTL time.Duration `default:"5s" range:"1ms..24h"`
	// Jitter shortens the life of each entry by a random share of at most this, so that entries made together do not
	// expire together. Default 0.1. Range 0.01 to 0.9, or none.
	Jitter core.Ratio `default:"0.1" range:"0.01..0.9|none"`
	// StaleWhileRevalidate is for how long after its TTL a value is still given out at once while one load refreshes it
	// in the background (RFC 5861). Default 0: not at all. Range 0 to 8760h.
	StaleWhileRevalidate time.Duration `range:"0s..8760h"`
	// StaleIfError is for how long after its TTL a value is given out in place of the error of a load (RFC 5861).
	// Default 0: not at all. Range 0 to 8760h.
	StaleIfError time.Duration `range:"0s..8760h"`
	// EarlyRefresh is the beta of XFetch: a fresh value that takes d to load is refreshed in the background, by chance,
	// some beta*d before it expires, so that a key in demand never expires. Default 0: never early; 1 is what its
	// authors recommend. Range 0 to 10.
	EarlyRefresh float64 `range:"0..10"`
	// RefreshTimeout is how long a load in the background may take before its context ends. Default 10s. Range 1ms to
	// 10m.
	RefreshTimeout time.Duration `default:"10s" range:"1ms..10m"`
	// Linger is for how long a load goes on that nobody waits for any more, so that the time-outs of its callers do not
	// keep the cache from being filled. Default 0: it is cancelled when the last caller leaves. Range 0 to 10m.
	Linger time.Duration `range:"0s..10m"`
	// StoreTimeout bounds each operation on Hooks.Store, its wait for others on the same key included. Default 250ms.
	// Range 1ms to 1m.
	StoreTimeout time.Duration `default:"250ms" range:"1ms..1m"`
	// Mode is enforce, shadow or disabled. Default enforce.
	Mode core.Mode `range:"enforce|shadow|disabled"`
}

// Validate reports every field out of range at once, each with its name, value and what is allowed.
func (c Config) Validate() error { return schema.Validate(c) }

// Hooks are the functions and the store that a cache uses. The zero Hooks is valid. Of the embedded hooks, Classify
// judges the errors of loads: one that it calls a Success (a row that does not exist) is an answer, which no stale
// value covers up and which is not counted as a failure. All run in the goroutine of the load, under no lock; a panic
// in them is a panic of the load.
type Hooks[K comparable, V any] struct {
	core.Hooks
	// Load is what Get calls when it is given no load of its own. A closure made for one call of Get is an allocation
	// even if it is a hit; this is not.
	Load func(ctx context.Context, key K) (V, error)
	// Negative reports whether an error of a load is an answer worth remembering, for NegativeTTL. nil: none is.
	Negative func(err error) bool
	// TTL gives a loaded or set value a life of its own in place of Config.TTL; 0 and below: Config.TTL. nil: never.
	// For Set it runs in the caller's goroutine.
	TTL func(key K, value V) time.Duration
	// Store is a second level, asked before a load and told of what was loaded, set and deleted. nil: there is none.
	Store Store[K, V]
}

// prepare checks c and fills in defaults. inForce are the settings that c will replace; nil at first.
func prepare(c Config, inForce *Config) (Config, error) {
	var shrinks error
	if inForce != nil && c.Size >= 1 && c.Size < inForce.Size {
		shrinks = schema.Fault("size", c.Size, fmt.Sprintf("at least %d, the size in force: a cache does not shrink while it runs", inForce.Size))
	}
	if err := schema.Validate(c, shrinks); err != nil {
		return c, err
	}
	return schema.Fill(c), nil
}

func describe(c Config) core.Policy { return core.Policy{Mode: c.Mode, Limit: int64(c.Size)} }

// rules are what the settings mean for the life of an entry.
type rules struct {
	ttl, negative time.Duration
	swr, sie      time.Duration
	share         float64 // of a life, the jitter of one share
	beta          float64

	// For the fast path: a value whose life has no time of its own is fresh, and would not be refreshed early whatever
	// is drawn, at an age below sure less ahead for each microsecond that its load took.
	sure, ahead core.Time
}

func derive(c Config) rules {
	r := rules{
		ttl: c.TTL, negative: c.NegativeTTL, swr: c.StaleWhileRevalidate, sie: c.StaleIfError,
		share: max(float64(c.Jitter), 0) / shares, beta: c.EarlyRefresh,
		ahead: core.Time(math.Ceil(c.EarlyRefresh * maxDraw * float64(time.Microsecond))),
	}
	if c.TTL == core.None {
		r.ttl = noEnd
	}
	all := life{own: -shares}
	r.sure = core.Time(min(all.span(&r), noEnd/2))
	return r
}

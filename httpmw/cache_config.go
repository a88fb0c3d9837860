package httpmw

import (
	"net/http"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// CacheScope says for whom a cache keeps responses. There is no default: a private cache in the place of a shared one
// gives one user's responses to another.
type CacheScope uint8

const (
	// CacheShared is for a cache that several users ask: in front of a handler, or behind a client that acts for many.
	CacheShared CacheScope = iota + 1
	// CachePrivate is for a cache that one user asks: behind the http.Client of one identity.
	CachePrivate
)

// CookiePolicy says what a shared cache does with requests that bring cookies.
type CookiePolicy string

const (
	// BypassCookies passes them on and keeps nothing of them: the default.
	BypassCookies CookiePolicy = "bypass"
	// IgnoreCookies treats them like others, as RFC 9111 does: for handlers that do not look at cookies, or say
	// Cache-Control: private or Vary: Cookie when they do.
	IgnoreCookies CookiePolicy = "ignore"
)

// CacheConfig is the Config of a ResponseCache. Comparable, data only. The zero value is the default.
type CacheConfig struct {
	// MaxBytes is how much memory the responses may take: bodies, fields, keys and 512 bytes for each. Default
	// 67108864, 64 MiB. Range 4096 to 1099511627776.
	MaxBytes int64 `default:"67108864" range:"4096..1099511627776"`
	// MaxBody is the longest body that is kept. Longer ones are passed on. While it is not certain that a body is that
	// long, up to this much of it is held. Bytes. Default 1048576, 1 MiB. Range 1 to 1073741824.
	MaxBody int `default:"1048576" range:"1..1073741824"`
	// TTL is how long a response is fresh that does not say so itself, by max-age, s-maxage or Expires, and that has one
	// of the statuses 200, 203, 204, 300, 301, 308, 404, 405, 410, 414 and 501. Default 0: not at all. Range 0 to 8760h.
	TTL time.Duration `range:"0s..8760h"`
	// StaleWhileRevalidate is for how long a response that is not fresh any more is still given out while it is being
	// refreshed, if the response does not say so itself (RFC 5861). Default 0: not at all. Range 0 to 8760h.
	StaleWhileRevalidate time.Duration `range:"0s..8760h"`
	// StaleIfError is for how long it is given out in place of a 500, 502, 503 or 504, or of an error of the transport, if
	// the response does not say so itself (RFC 5861). Default 0: not at all. Range 0 to 8760h.
	StaleIfError time.Duration `range:"0s..8760h"`
	// RefreshTimeout is how long a refresh in the background may take. Default 10s. Range 1ms to 10m.
	RefreshTimeout time.Duration `default:"10s" range:"1ms..10m"`
	// Cookies is bypass or ignore. It concerns shared caches only. Default bypass.
	Cookies CookiePolicy `default:"bypass" range:"bypass|ignore"`
	// IgnoreRequest disregards what requests say in Cache-Control and Pragma, so that clients cannot make the cache ask
	// again. Default false: it is heeded.
	IgnoreRequest bool
	// Mode is enforce, shadow or disabled. In shadow mode every request is passed on; what is stored and what would have
	// been a hit is counted. In disabled mode nothing is looked up or stored, but unsafe requests still invalidate.
	// Default enforce.
	Mode core.Mode `default:"enforce" range:"enforce|shadow|disabled"`
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c CacheConfig) Validate() error { return schema.Validate(c) }

// CacheHooks are the functions that a ResponseCache uses. The zero value is the default. They must be safe for
// concurrent use.
type CacheHooks struct {
	// Key adds to the key of a request, which is its scheme, host, path and query: what the response depends on and
	// Vary does not say, such as a tenant or an X-Forwarded-Proto that a handler redirects by. nil adds nothing.
	Key func(*http.Request) string
	// Rules decide what is kept and given out, in place of the rules of this package: the seam for an engine of one's own.
	// nil means those.
	Rules CacheRules
}

// CacheRules decide what a ResponseCache keeps and gives out. The methods must be safe for concurrent use and neither
// change nor keep what they are given.
type CacheRules interface {
	// Keep says whether a response to GET may be kept, and for how long. It is asked for final responses without
	// trailers, and never for 206 and 304.
	Keep(r *http.Request, status int, h http.Header) (life CacheLife, ok bool)
	// Use says what to do for a request with a response whose Vary it matches. age is that of RFC 9111 section 4.2.3.
	Use(r *http.Request, s StoredResponse) CacheUse
}

// CacheLife is how long a response may be given out.
type CacheLife struct {
	Fresh                time.Duration // from its making
	StaleWhileRevalidate time.Duration // after that, while it is being refreshed
	StaleIfError         time.Duration // after that, in place of an error
}

// StoredResponse is what CacheRules see of a response that is kept.
type StoredResponse struct {
	Header http.Header
	Life   CacheLife
	Age    time.Duration
}

// CacheUse is what to do with a response that is kept.
type CacheUse uint8

const (
	// CacheForward leaves it alone, and this request is not for the cache at all.
	CacheForward CacheUse = iota
	// CacheServe gives it out.
	CacheServe
	// CacheRefresh gives it out and fetches a new one in the background.
	CacheRefresh
	// CacheValidate asks for a new one, which may confirm it.
	CacheValidate
)

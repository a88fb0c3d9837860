package httpmw

import (
	"net/http"
	"time"

	"github.com/mw-go/mw/httpmw/internal/httpcache"
)

// standardRules are those of RFC 9111 for what this cache does: GET, complete responses, one validator.
type standardRules struct{ c *ResponseCache }

// keepable are the statuses that may be kept without an explicit lifetime (RFC 9110 section 15.1), but for 206.
func keepable(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	default:
		return false
	}
}

// Keep implements CacheRules by RFC 9111 section 3.
func (s standardRules) Keep(r *http.Request, status int, h http.Header) (life CacheLife, ok bool) {
	shared, config := s.c.scope == CacheShared, s.c.Config()
	d, asked := httpcache.Parse(h["Cache-Control"]), s.c.requestDirectives(r)
	switch {
	case d.NoStore || asked.NoStore || len(h["Set-Cookie"]) > 0:
		return life, false
	case shared && (d.Private || isPersonal(r) && !openToAll(&d)):
		return life, false
	}
	fresh, explicit := lifetime(&d, h, shared)
	switch {
	case explicit:
	case keepable(status):
		fresh = config.TTL
	case !d.Public:
		return life, false
	}
	if d.NoCache {
		fresh = 0
	}
	life = CacheLife{
		Fresh:                fresh,
		StaleWhileRevalidate: staleFor(d.StaleWhileRevalidate, config.StaleWhileRevalidate, &d, shared),
		StaleIfError:         staleFor(d.StaleIfError, config.StaleIfError, &d, shared),
	}
	useful := life.Fresh > 0 || life.StaleIfError > 0 || len(h["Etag"]) > 0 || len(h["Last-Modified"]) > 0
	return life, useful
}

// staleFor is for how long a response may be given out that is not fresh any more: what it says, or else what the Config
// says, unless it forbids that. s-maxage forbids as proxy-revalidate does (RFC 9111 section 5.2.2.10), but not what
// stands beside it.
func staleFor(said, otherwise time.Duration, d *httpcache.Directives, shared bool) time.Duration {
	switch {
	case d.NoCache || d.MustRevalidate || shared && d.ProxyRevalidate:
		return 0
	case said >= 0:
		return said
	case shared && d.SMaxAge >= 0:
		return 0
	default:
		return otherwise
	}
}

// lifetime is that of section 4.2.1. A date that is none is in the past.
func lifetime(d *httpcache.Directives, h http.Header, shared bool) (fresh time.Duration, explicit bool) {
	switch {
	case shared && d.SMaxAge >= 0:
		return d.SMaxAge, true
	case d.MaxAge >= 0:
		return d.MaxAge, true
	case len(h["Expires"]) > 0:
		expires, err := http.ParseTime(h["Expires"][0])
		date, dated := dateOf(h["Date"])
		if !dated {
			date = time.Now()
		}
		if err != nil {
			return 0, true
		}
		return max(expires.Sub(date), 0), true
	default:
		return 0, false
	}
}

// isPersonal reports whether a request speaks for one user (RFC 9111 section 3.5).
func isPersonal(r *http.Request) bool {
	return len(r.Header["Authorization"]) > 0 || r.URL.User != nil
}

// openToAll reports whether a response to such a request is meant for others as well.
func openToAll(d *httpcache.Directives) bool { return d.Public || d.SMaxAge >= 0 || d.MustRevalidate }

// Use implements CacheRules by RFC 9111 section 4.
func (s standardRules) Use(r *http.Request, stored StoredResponse) CacheUse {
	asked := s.c.requestDirectives(r)
	d := httpcache.Parse(stored.Header["Cache-Control"])
	if s.c.scope == CacheShared && isPersonal(r) && !openToAll(&d) {
		return CacheForward // kept from somebody else's request, and nobody said that all get the same
	}
	life, age := stored.Life, stored.Age
	left := life.Fresh - age
	switch {
	case asked.NoCache, asked.MaxAge >= 0 && age > asked.MaxAge:
		return CacheValidate
	case left > 0 && left >= asked.MinFresh:
		return CacheServe
	case asked.MinFresh >= 0:
		return CacheValidate
	case -left < life.StaleWhileRevalidate:
		return CacheRefresh
	case asked.MaxStale >= 0 && -left <= asked.MaxStale && mayBeStale(&d, s.c.scope):
		return CacheServe
	default:
		return CacheValidate
	}
}

// mayBeStale reports whether a request can ask for the response though it is not fresh (section 4.2.4).
func mayBeStale(d *httpcache.Directives, scope CacheScope) bool {
	return !d.NoCache && !d.MustRevalidate && (scope == CachePrivate || !d.ProxyRevalidate && d.SMaxAge < 0)
}

// requestDirectives are those of a request, if they are heeded.
func (c *ResponseCache) requestDirectives(r *http.Request) httpcache.Directives {
	if c.Config().IgnoreRequest {
		return httpcache.Parse(nil)
	}
	d := httpcache.Parse(r.Header["Cache-Control"])
	if !d.AnyAtAll && len(r.Header["Pragma"]) > 0 {
		d.NoCache = httpcache.Parse(r.Header["Pragma"]).NoCache // RFC 9111 section 5.4
	}
	return d
}

package httpmw

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/mw-go/mw/httpmw/internal/httpcache"
	"github.com/mw-go/mw/httpmw/internal/intercept"
)

// question is one request that may be answered from the cache.
type question struct {
	c     *ResponseCache
	r     *http.Request
	key   string
	epoch uint64 // of the key, before anything was asked: what comes later than an invalidation is not kept
	asked httpcache.Directives
	max   int
	alone bool // it neither waits for another request nor lets others wait
}

// passes reports why a request is none of the cache's business; "" if it is.
func (c *ResponseCache) passes(r *http.Request) (fwd string) {
	h := r.Header
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return fwdMethod
	case r.Body != nil && r.Body != http.NoBody, len(h["Range"]) > 0, len(h["Upgrade"]) > 0,
		len(h["If-Match"]) > 0, len(h["If-Unmodified-Since"]) > 0,
		len(h["Cookie"]) > 0 && c.scope == CacheShared && c.config.Load().Cookies == BypassCookies:
		return fwdBypass
	default:
		return ""
	}
}

func (c *ResponseCache) ask(r *http.Request) *question {
	q := &question{c: c, r: r, key: c.key(r), asked: c.requestDirectives(r), max: c.Config().MaxBody}
	q.epoch = c.epoch(q.key).Load()
	q.alone = c.scope == CacheShared && isPersonal(r) || q.asked.NoStore || r.Method == http.MethodHead
	return q
}

// look finds what is kept for the question, what to do with it, and why the request is passed on if it is.
func (q *question) look(now time.Time) (e *cacheEntry, use CacheUse, fwd string) {
	kept, _ := q.c.shelf.Get(q.key)
	if kept == nil {
		return nil, CacheForward, fwdURIMiss
	}
	if now.Before(kept.alone) {
		q.alone = true
	}
	fwd = fwdURIMiss
	for _, e := range kept.variants { // the latest first
		fwd = fwdVaryMiss
		if !e.matches(q.r) {
			continue
		}
		switch use := q.c.hooks.Rules.Use(q.r, e.stored(now)); {
		case use == CacheForward:
			return nil, use, fwdRequest
		case use == CacheValidate && e.age(now) < e.life.Fresh:
			return e, use, fwdRequest
		default:
			return e, use, fwdStale
		}
	}
	return nil, CacheForward, fwd
}

// fits reports whether a body may be short enough, as far as its Content-Length says.
func (q *question) fits(h http.Header) bool {
	v := h["Content-Length"]
	if len(v) == 0 {
		return true
	}
	n, err := strconv.ParseInt(v[0], 10, 64)
	return err == nil && n <= int64(q.max)
}

// keep says whether a response may be kept and for how long, as far as its header tells.
func (q *question) keep(status int, said http.Header) (CacheLife, bool) {
	if status < 200 || status == http.StatusPartialContent || status == http.StatusNotModified ||
		len(said["Content-Range"]) > 0 || intercept.AnnouncesTrailers(said) || intercept.Streams(said) || !q.fits(said) ||
		q.r.Method != http.MethodGet {
		return CacheLife{}, false
	}
	for _, name := range varyOf(said) {
		if name == "*" {
			return CacheLife{}, false
		}
	}
	return q.c.hooks.Rules.Keep(q.r, status, said)
}

// put keeps a whole response, that was asked for or made at the given time, and returns it as an entry.
func (q *question) put(status int, said http.Header, body []byte, life CacheLife, route string, asked time.Time) (e *cacheEntry, stored bool) {
	now := time.Now()
	if cap(body) > len(body)+len(body)/8 {
		body = bytes.Clone(body) // what is kept for long has no room to grow
	}
	e = newEntry(q.r, status, keptFields(said), body, life, now, now.Sub(asked))
	e.route = route
	return e, q.c.store(q.key, q.epoch, e)
}

// isFault reports whether stale-if-error speaks of a status (RFC 5861 section 4).
func isFault(status int) bool { return status == 500 || status >= 502 && status <= 504 }

// invalidates reports whether a response to an unsafe request makes what is kept invalid (RFC 9111 section 4.4).
func invalidates(method string, status int) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, "QUERY":
		return false
	default:
		return status < 400
	}
}

// invalidateBy forgets the URL of an unsafe request, and those of the same host that its response names.
func (c *ResponseCache) invalidateBy(r *http.Request, h http.Header) {
	c.invalidate(c.key(r))
	for _, name := range [...]string{"Location", "Content-Location"} {
		v := h[name]
		if len(v) == 0 {
			continue
		}
		to, err := r.URL.Parse(v[0])
		if err != nil || to.Host != "" && to.Host != r.Host && to.Host != r.URL.Host {
			continue
		}
		other := *r
		other.URL = to
		if to.Scheme == "" || r.URL.Scheme == "" {
			u := *to
			u.Scheme, u.Host = r.URL.Scheme, r.URL.Host
			other.URL = &u
		}
		c.invalidate(c.key(&other))
	}
}

// conditional returns the fields that ask whether an entry is still right; none if it has no validator.
func (e *cacheEntry) conditional() http.Header {
	h := http.Header{}
	if tag := e.header.Get("Etag"); isETag(tag) {
		h.Set("If-None-Match", tag)
	}
	if v := e.header.Get("Last-Modified"); v != "" {
		h.Set("If-Modified-Since", v)
	}
	return h
}

// detached returns the question with a copy of its request that lives as long as ctx, and the request to pass on: it
// asks for the whole response, or, with an entry to confirm, whether that is still right.
func (q *question) detached(ctx context.Context, old *cacheEntry) (own *question, down *http.Request) {
	copied := *q
	copied.r = q.r.WithContext(ctx)
	copied.r.Header = q.r.Header.Clone()
	copied.r.Body = http.NoBody
	down = copied.r.WithContext(ctx)
	down.Header = q.r.Header.Clone()
	for _, name := range [...]string{"If-None-Match", "If-Modified-Since", "If-Range"} {
		delete(down.Header, name)
	}
	if old != nil {
		for name, values := range old.conditional() {
			down.Header[name] = values
		}
	}
	return &copied, down
}

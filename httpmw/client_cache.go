package httpmw

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
)

// ClientCache is Cache for an http.RoundTripper. Give it a cache of CachePrivate, unless the client acts for many users
// and its responses may be shared among them.
//
// A response is kept once the whole of its body has been read; one that breaks off, is longer than MaxBody, has
// trailers or is a stream is handed to the caller as it comes. Until it is certain which of both it is, the body is read
// ahead, up to MaxBody. A caller who sets If-None-Match, If-Modified-Since or If-Range himself is left alone: he has
// a cache of his own. The response of a hit has a body in memory, and no TLS state.
//
// A request that several wait for goes on when the one who began it leaves. An error of the transport goes to the one
// who began; the others ask for themselves. It panics if c or the RoundTripper is nil.
func ClientCache(c *ResponseCache) func(http.RoundTripper) http.RoundTripper {
	if c == nil {
		panic("httpmw: ClientCache: nil ResponseCache")
	}
	return func(next http.RoundTripper) http.RoundTripper {
		return &clientCache{clientLayer: newClientLayer("ClientCache", next), c: c}
	}
}

type clientCache struct {
	clientLayer
	c *ResponseCache
}

// RoundTrip implements http.RoundTripper.
func (t *clientCache) RoundTrip(r *http.Request) (*http.Response, error) {
	c, mode := t.c, t.c.mode()
	fwd := c.passes(r)
	if fwd == "" && (len(r.Header["If-None-Match"]) > 0 || len(r.Header["If-Modified-Since"]) > 0 || len(r.Header["If-Range"]) > 0) {
		fwd = fwdBypass
	}
	switch {
	case fwd != "" || mode == core.Disabled:
		return t.passOn(r, fwd, mode)
	case mode == core.Shadow:
		q := c.ask(r)
		if _, use, _ := q.look(time.Now()); use == CacheServe || use == CacheRefresh {
			c.count[countShadowed].Add(1)
		}
		c.count[countMiss].Add(1)
		return t.inline(q, "", true)
	default:
		return t.answer(c.ask(r))
	}
}

func (t *clientCache) passOn(r *http.Request, fwd string, mode core.Mode) (*http.Response, error) {
	c := t.c
	if fwd != fwdMethod {
		c.count[countBypassed].Add(1)
	}
	resp, err := t.next.RoundTrip(r)
	if err != nil || resp == nil {
		if invalidates(r.Method, http.StatusOK) {
			c.invalidateBy(r, nil) // nobody knows what it has changed
		}
		return resp, err
	}
	if invalidates(r.Method, resp.StatusCode) {
		c.invalidateBy(r, resp.Header)
	}
	if mode == core.Enforce && resp.Header != nil {
		c.report(resp.Header, &cacheReport{fwd: fwd}, time.Time{})
	}
	return resp, nil
}

// answer finds a response, or waits for one, or passes the request on.
func (t *clientCache) answer(q *question) (*http.Response, error) {
	c := t.c
	fwd := ""
	for range attempts {
		now := time.Now()
		var e *cacheEntry
		var use CacheUse
		e, use, fwd = q.look(now)
		switch {
		case use == CacheServe, use == CacheRefresh:
			if use == CacheRefresh {
				c.count[countStale].Add(1)
				t.refresh(q, e)
			} else {
				c.count[countHit].Add(1)
			}
			return c.responseOf(q, e, true, cacheReport{hit: true}, now), nil
		case q.asked.OnlyIfCached:
			return c.notCached(q), nil
		}
		if q.alone {
			break
		}
		if resp, err, answered := t.wait(q, e, fwd); answered {
			return resp, err
		}
	}
	c.count[countMiss].Add(1)
	return t.inline(q, fwd, false)
}

// responseOf is an entry as a response.
func (c *ResponseCache) responseOf(q *question, e *cacheEntry, aged bool, p cacheReport, now time.Time) *http.Response {
	resp := e.response(q.r, aged, now)
	p.entry = e
	c.report(resp.Header, &p, now)
	return resp
}

// notCached is the answer to only-if-cached.
func (c *ResponseCache) notCached(q *question) *http.Response {
	e := &cacheEntry{status: http.StatusGatewayTimeout, header: http.Header{}, born: time.Now()}
	resp := e.response(q.r, false, e.born)
	c.report(resp.Header, &cacheReport{}, e.born)
	return resp
}

// wait joins a flight for the question or begins one, and returns what comes of it.
func (t *clientCache) wait(q *question, old *cacheEntry, fwd string) (resp *http.Response, err error, answered bool) {
	f, leads := t.c.join(q)
	if f == nil {
		return nil, nil, false
	}
	if leads {
		return t.lead(f, q, old, fwd)
	}
	defer f.leave()
	select {
	case <-f.settled:
	case <-q.r.Context().Done():
		return nil, q.r.Context().Err(), true
	}
	if f.entry == nil || !f.entry.matches(q.r) {
		return nil, nil, false
	}
	t.c.count[countMiss].Add(1)
	t.c.count[countCollapsed].Add(1)
	report := f.report
	report.collapsed, report.fwd = true, fwd
	return t.c.responseOf(q, f.entry, true, report, time.Now()), nil, true
}

// fetched is what a flight hands to the one who began it if it is not for others.
type fetched struct {
	resp *http.Response
	err  error
	gone atomic.Bool // whoever sets it first has the response: the flight, by handing it over, or the one who left
}

// lead begins the flight and waits for it.
func (t *clientCache) lead(f *flight, q *question, old *cacheEntry, fwd string) (*http.Response, error, bool) {
	own, down := q.detached(f.ctx, old)
	got := &fetched{}
	go f.fly(func() { t.fetch(f, own, old, fwd, down, got) })
	ctx := q.r.Context()
	select {
	case <-f.ended:
	case <-ctx.Done():
		defer f.leave()
		if got.gone.CompareAndSwap(false, true) {
			return nil, ctx.Err(), true
		}
		<-f.ended // it was being handed over
		discard(got.resp)
		return nil, ctx.Err(), true
	}
	leave := sync.OnceFunc(f.leave)
	handed := false
	defer func() {
		if !handed {
			leave()
		}
	}()
	f.carry()
	switch {
	case f.again:
		return nil, nil, false
	case f.entry != nil:
		t.c.count[countMiss].Add(1)
		return t.c.responseOf(q, f.entry, f.report.fromBefore(), f.report, time.Now()), nil, true
	case got.err != nil:
		t.c.count[countMiss].Add(1)
		return nil, got.err, true
	case got.resp == nil:
		return nil, errors.New("httpmw: ClientCache: the transport returned neither a response nor an error"), true
	}
	t.c.count[countMiss].Add(1)
	handed = true
	stop := context.AfterFunc(ctx, f.cancel) // from here on the caller's context alone decides
	got.resp.Request = q.r
	t.c.report(got.resp.Header, &cacheReport{fwd: fwd}, time.Time{})
	keep(got.resp, func() { stop(); leave() })
	return got.resp, nil, true
}

// fetch runs in the flight's goroutine.
func (t *clientCache) fetch(f *flight, q *question, old *cacheEntry, fwd string, down *http.Request, got *fetched) {
	c, began := t.c, time.Now()
	resp, err := t.next.RoundTrip(down)
	now := time.Now()
	switch {
	case err != nil:
		if f.ctx.Err() == nil && old.coversError(now) {
			c.count[countRescued].Add(1)
			f.settle(old, cacheReport{fwd: fwd, detail: "stale-if-error"})
			return
		}
		got.err = err
		return
	case resp == nil:
		return
	case resp.StatusCode == http.StatusNotModified && old != nil:
		discard(resp)
		t.confirm(f, q, old, fwd, resp.Header, now, now.Sub(began), got)
		return
	case isFault(resp.StatusCode) && old.coversError(now):
		discard(resp)
		c.count[countRescued].Add(1)
		f.settle(old, cacheReport{fwd: fwd, fwdStatus: resp.StatusCode, detail: "stale-if-error"})
		return
	}
	life, ok := q.keep(resp.StatusCode, resp.Header)
	if !ok || resp.Body == nil || len(resp.Trailer) > 0 {
		t.hand(f, q, resp, got)
		return
	}
	body, whole := readAhead(resp, q.max)
	if !whole || len(resp.Trailer) > 0 {
		t.hand(f, q, resp, got)
		return
	}
	e, stored := q.put(resp.StatusCode, resp.Header, body, life, "", began)
	f.settle(e, cacheReport{fwd: fwd, stored: stored})
}

// hand gives a response that is not for others to the one who began the flight, or closes it if he has left.
func (t *clientCache) hand(f *flight, q *question, resp *http.Response, got *fetched) {
	f.disband(q, resp.StatusCode)
	if got == nil || !got.gone.CompareAndSwap(false, true) {
		discard(resp)
		return
	}
	got.resp = resp
}

// confirm takes a 304 for what is kept.
func (t *clientCache) confirm(f *flight, q *question, old *cacheEntry, fwd string, said http.Header, now time.Time, delay time.Duration, got *fetched) {
	if !old.sameAs(said) { // about something else: to be asked for as a whole
		t.c.shelf.Delete(q.key)
		f.again = true
		return
	}
	fresh, ok := old.confirmed(q.r, said, t.c.hooks.Rules, now, delay)
	t.c.count[countValidated].Add(1)
	if !ok { // not to be kept any more, nor given to others
		t.c.shelf.Delete(q.key)
		t.hand(f, q, fresh.response(q.r, true, now), got)
		return
	}
	stored := t.c.store(q.key, q.epoch, fresh)
	f.settle(fresh, cacheReport{fwd: fwd, fwdStatus: http.StatusNotModified, stored: stored})
}

// refresh fetches a response in place of one that is not fresh any more, in the background, once at a time.
func (t *clientCache) refresh(q *question, old *cacheEntry) {
	if !old.refreshing.CompareAndSwap(false, true) {
		return
	}
	f, leads := t.c.join(q)
	if !leads {
		if f != nil {
			f.leave()
		}
		old.refreshing.Store(false)
		return
	}
	own, down := q.detached(f.ctx, old)
	leave := sync.OnceFunc(f.leave)
	timer := time.AfterFunc(t.c.Config().RefreshTimeout, leave)
	go f.fly(func() {
		defer func() {
			timer.Stop()
			leave()
			old.refreshing.Store(false)
		}()
		got := &fetched{}
		got.gone.Store(true) // nobody wants it but the cache
		t.fetch(f, own, old, fwdStale, down, got)
	})
}

// inline passes a request on in its caller's goroutine; the response is kept when its body has been read to the end.
func (t *clientCache) inline(q *question, fwd string, silent bool) (*http.Response, error) {
	began := time.Now()
	resp, err := t.next.RoundTrip(q.r)
	if err != nil || resp == nil {
		return resp, err
	}
	if life, ok := q.keep(resp.StatusCode, resp.Header); ok && resp.Body != nil && len(resp.Trailer) == 0 {
		resp.Body = &cachedBody{ReadCloser: resp.Body, resp: resp, q: q, life: life, said: resp.Header.Clone(), began: began}
	}
	if !silent {
		t.c.report(resp.Header, &cacheReport{fwd: fwd}, time.Time{})
	}
	return resp, nil
}

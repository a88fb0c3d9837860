package httpmw

import (
	"net/http"
	"sync"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/httpmw/internal/intercept"
)

// Cache returns a middleware that answers from c what it may, and passes on the rest: see ResponseCache. The cache is
// CacheShared unless all its requests come from one user.
//
// What the handler answers must depend on nothing but the URL, the fields that its Vary names and what CacheHooks.Key
// adds. Authentication belongs outside, so that a hit is asked for by somebody who may; Compress belongs outside, so that
// one response serves all codings. The route of a hit is that of the response that is kept. A handler whose response is
// being kept runs in another goroutine, where http.ResponseController and the optional methods of the ResponseWriter
// work as long as its client is there. It panics if c is nil.
func Cache(c *ResponseCache) func(http.Handler) http.Handler {
	if c == nil {
		panic("httpmw: Cache: nil ResponseCache")
	}
	return wrap("Cache", &cacheLayer{c})
}

type cacheLayer struct{ c *ResponseCache }

func (m *cacheLayer) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	c, mode := m.c, m.c.mode()
	fwd := c.passes(r)
	switch {
	case intercept.Bypasses(r):
		next.ServeHTTP(w, r)
	case fwd != "" || mode == core.Disabled:
		if fwd != fwdMethod {
			c.count[countBypassed].Add(1)
		}
		x.beforeHeader(&passedOn{c: c, r: r, fwd: fwd, silent: mode != core.Enforce})
		next.ServeHTTP(w, r)
	case mode == core.Shadow:
		m.shadow(w, c.ask(r), next)
	default:
		m.answer(w, c.ask(r), next)
	}
}

// passedOn reports on a request that the cache does not look at, and forgets what an unsafe one has changed before its
// client can hear of it.
type passedOn struct {
	c      *ResponseCache
	r      *http.Request
	fwd    string
	silent bool
}

func (p *passedOn) beforeHeader(x *exchange, status int) {
	if invalidates(p.r.Method, status) {
		p.c.invalidateBy(p.r, x.Header())
	}
	if !p.silent {
		p.c.report(x.Header(), &cacheReport{fwd: p.fwd}, time.Time{})
	}
}

// attempts is how often a request looks again after waiting for another one that was of no use to it.
const attempts = 2

// answer finds a response, or waits for one, or passes the request on.
func (m *cacheLayer) answer(w http.ResponseWriter, q *question, next http.Handler) {
	c := m.c
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
				m.refresh(q, e, next)
			} else {
				c.count[countHit].Add(1)
			}
			c.report(w.Header(), &cacheReport{hit: true, entry: e}, now)
			e.serve(w, q.r, true, now)
			return
		case q.asked.OnlyIfCached:
			c.report(w.Header(), &cacheReport{}, now)
			writeProblem(w, q.r, problemNotCached)
			return
		}
		if q.alone {
			break
		}
		if m.wait(w, q, e, fwd, next) {
			return
		}
	}
	c.count[countMiss].Add(1)
	m.inline(w, q, fwd, false, next)
}

// wait joins a flight for the question or begins one, and answers with what comes of it. It returns false if that is
// nothing for this request.
func (m *cacheLayer) wait(w http.ResponseWriter, q *question, old *cacheEntry, fwd string, next http.Handler) (answered bool) {
	f, leads := m.c.join(q)
	if f == nil {
		return false
	}
	defer f.leave()
	if leads {
		return m.lead(f, w, q, old, fwd, next)
	}
	select {
	case <-f.settled:
	case <-q.r.Context().Done():
		return true // nobody is there to be answered, or a Timeout outside answers
	}
	if f.entry == nil || !f.entry.matches(q.r) {
		return false
	}
	m.c.count[countMiss].Add(1)
	m.c.count[countCollapsed].Add(1)
	now, report := time.Now(), f.report
	report.collapsed, report.fwd = true, fwd
	m.c.report(w.Header(), &report, now)
	f.entry.serve(w, q.r, true, now)
	return true
}

// lead begins the flight and stays until it is known what comes of it; a response that is not kept goes through the
// gate while it is being made.
func (m *cacheLayer) lead(f *flight, w http.ResponseWriter, q *question, old *cacheEntry, fwd string, next http.Handler) bool {
	gate := intercept.NewGate(w, q.r)
	own, down := q.detached(f.ctx, old)
	go f.fly(func() {
		t := &taking{f: f, q: own, old: old, fwd: fwd, down: down}
		t.fetch(gate.Writer(), next)
		if f.entry == nil {
			gate.Finish()
		}
	})
	left := q.r.Context().Done()
	select {
	case <-f.settled:
	case <-left:
	}
	select {
	case <-f.settled:
		if f.entry == nil {
			select {
			case <-f.ended:
			case <-left:
			}
		}
	default:
	}
	if begun := gate.Shut(); begun {
		return m.passedThrough(f, q, down)
	}
	return m.settled(f, w, q)
}

// passedThrough ends a response that went through the gate.
func (m *cacheLayer) passedThrough(f *flight, q *question, down *http.Request) bool {
	m.c.count[countMiss].Add(1)
	select {
	case <-f.ended:
	default:
		panic(http.ErrAbortHandler) // who waited for it has left in the middle
	}
	f.carry()
	handBack(q.r, down)
	return true
}

// settled answers the one who began a flight of which nothing went through the gate.
func (m *cacheLayer) settled(f *flight, w http.ResponseWriter, q *question) bool {
	select {
	case <-f.settled:
	default:
		return true // left
	}
	if f.entry != nil {
		m.c.count[countMiss].Add(1)
		now := time.Now()
		m.c.report(w.Header(), &f.report, now)
		f.entry.serve(w, q.r, f.report.fromBefore(), now)
		return true
	}
	select {
	case <-f.ended:
		f.carry()
		return !f.again
	default:
		return true // left
	}
}

// refresh fetches a response in place of one that is not fresh any more, in the background, once at a time.
func (m *cacheLayer) refresh(q *question, old *cacheEntry, next http.Handler) {
	if !old.refreshing.CompareAndSwap(false, true) {
		return
	}
	f, leads := m.c.join(q)
	if !leads {
		if f != nil {
			f.leave()
		}
		old.refreshing.Store(false)
		return
	}
	own, down := q.detached(f.ctx, old)
	leave := sync.OnceFunc(f.leave)
	timer := time.AfterFunc(m.c.Config().RefreshTimeout, leave)
	go f.fly(func() {
		defer func() {
			timer.Stop()
			leave()
			old.refreshing.Store(false)
		}()
		t := &taking{f: f, q: own, old: old, fwd: fwdStale, down: down}
		t.fetch(nobody{http.Header{}}, next)
	})
}

// nobody is the client of a refresh.
type nobody struct{ header http.Header }

func (n nobody) Header() http.Header         { return n.header }
func (n nobody) Write(p []byte) (int, error) { return len(p), nil }
func (n nobody) WriteHeader(int)             {}
func (n nobody) Flush()                      {}

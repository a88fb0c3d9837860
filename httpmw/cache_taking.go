package httpmw

import (
	"net/http"
	"strconv"
	"time"

	"github.com/mw-go/mw/httpmw/internal/intercept"
)

// taking is the writer of a handler whose response is to be kept: it is held until it is known whether it can be, and
// passed on if not. It runs in the flight's goroutine.
type taking struct {
	w    intercept.Writer
	f    *flight
	q    *question
	old  *cacheEntry
	fwd  string
	down *http.Request

	before http.Header // what other layers had set
	made   time.Time   // when the handler answered: here the response is new, however long it took
	life   CacheLife
	direct *cacheEntry // answers the one who began the flight and nobody else
}

func (t *taking) fetch(w http.ResponseWriter, next http.Handler) {
	t.before = w.Header().Clone()
	next.ServeHTTP(t.w.Begin(w, t.down, t.q.max, t), t.down)
	_ = t.w.Finish() // the client may be gone; there is nobody to tell
}

// Decide implements intercept.Layer.
func (t *taking) Decide(w *intercept.Writer, m intercept.Moment) intercept.Action {
	said := saidSince(w.Header(), t.before)
	switch {
	case m == intercept.Header:
		return t.begin(w, said)
	case m == intercept.End && w.Whole() && t.f.ctx.Err() == nil && !intercept.AnnouncesTrailers(said):
		e, stored := t.q.put(w.Status(), said, w.Held(), t.life, t.down.Pattern, t.made)
		t.f.settle(e, cacheReport{fwd: t.fwd, stored: stored})
		return intercept.Answer
	default:
		return t.pass(w, said)
	}
}

func (t *taking) begin(w *intercept.Writer, said http.Header) intercept.Action {
	c, now, status := t.q.c, time.Now(), w.Status()
	t.made = now
	switch {
	case status == http.StatusNotModified && t.old != nil:
		return t.confirm(said, now)
	case isFault(status) && t.old.coversError(now):
		c.count[countRescued].Add(1)
		t.f.settle(t.old, cacheReport{fwd: t.fwd, fwdStatus: status, detail: "stale-if-error"})
		return intercept.Answer
	}
	var ok bool
	if t.life, ok = t.q.keep(status, said); !ok {
		return t.pass(w, said)
	}
	return intercept.Hold
}

// confirm takes a 304 for what is kept.
func (t *taking) confirm(said http.Header, now time.Time) intercept.Action {
	c, q := t.q.c, t.q
	if !t.old.sameAs(said) { // about something else: to be asked for as a whole
		q.c.shelf.Delete(q.key)
		t.f.again = true
		t.f.settle(nil, cacheReport{})
		return intercept.Answer
	}
	fresh, ok := t.old.confirmed(q.r, said, c.hooks.Rules, now, 0)
	c.count[countValidated].Add(1)
	if !ok { // not to be kept any more, nor given to others
		q.c.shelf.Delete(q.key)
		t.direct = fresh
		t.f.settle(nil, cacheReport{})
		return intercept.Answer
	}
	stored := c.store(q.key, q.epoch, fresh)
	t.f.settle(fresh, cacheReport{fwd: t.fwd, fwdStatus: http.StatusNotModified, stored: stored})
	return intercept.Answer
}

// Answer implements intercept.Answerer: those who wait are answered each in his own goroutine.
func (t *taking) Answer() {
	if e := t.direct; e != nil {
		now := time.Now()
		clear(t.w.Header())
		for name, values := range t.before {
			t.w.Header()[name] = values
		}
		t.q.c.report(t.w.Header(), &cacheReport{fwd: t.fwd, fwdStatus: http.StatusNotModified}, now)
		e.serve(t.w.Inner(), t.q.r, true, now)
	}
}

// pass lets the response go to the one who began the flight, and the others go their own way.
func (t *taking) pass(w *intercept.Writer, said http.Header) intercept.Action {
	t.f.disband(t.q, w.Status())
	h := w.Header()
	if w.Status() == http.StatusOK && !intercept.Streams(h) && precondition(t.q.r, validatorsOf(said)) == http.StatusNotModified {
		notModified(h) // the handler was asked for the whole
		w.SetStatus(http.StatusNotModified)
		t.q.c.report(h, &cacheReport{fwd: t.fwd, fwdStatus: http.StatusOK}, time.Time{})
		return intercept.Drop
	}
	t.q.c.report(h, &cacheReport{fwd: t.fwd}, time.Time{})
	return intercept.Pass
}

// copying is the writer of a handler whose response goes to its own client, and is kept if it can be.
type copying struct {
	w      intercept.Writer
	q      *question
	fwd    string
	silent bool

	before http.Header
	said   http.Header
	made   time.Time
	life   CacheLife
	body   []byte
	taken  bool // all of the body so far
}

// inline passes a request on in its own goroutine.
func (m *cacheLayer) inline(w http.ResponseWriter, q *question, fwd string, silent bool, next http.Handler) {
	t := &copying{q: q, fwd: fwd, silent: silent, before: w.Header().Clone()}
	next.ServeHTTP(t.w.Begin(w, q.r, 0, t), q.r)
	_ = t.w.Finish() // the client may be gone; there is nobody to tell
	if t.taken && q.r.Context().Err() == nil && !intercept.AnnouncesTrailers(w.Header()) && t.whole() {
		q.put(t.w.Status(), t.said, t.body, t.life, q.r.Pattern, t.made)
	}
}

// shadow passes a request on, and counts what the cache would have done.
func (m *cacheLayer) shadow(w http.ResponseWriter, q *question, next http.Handler) {
	_, use, fwd := q.look(time.Now())
	if use == CacheServe || use == CacheRefresh {
		m.c.count[countShadowed].Add(1)
	}
	m.c.count[countMiss].Add(1)
	m.inline(w, q, fwd, true, next)
}

// Decide implements intercept.Layer.
func (t *copying) Decide(w *intercept.Writer, _ intercept.Moment) intercept.Action {
	t.made = time.Now()
	t.said = saidSince(w.Header(), t.before).Clone()
	t.life, t.taken = t.q.keep(w.Status(), t.said)
	if !t.silent {
		t.q.c.report(w.Header(), &cacheReport{fwd: t.fwd}, time.Time{})
	}
	if t.taken {
		return intercept.Copy
	}
	return intercept.Pass
}

// Copied implements intercept.Copier.
func (t *copying) Copied(p []byte) {
	if len(t.body)+len(p) > t.q.max {
		t.body, t.taken = nil, false
	}
	if t.taken {
		t.body = append(t.body, p...)
	}
}

// whole reports whether the body is as long as its handler said, if it did.
func (t *copying) whole() bool {
	v := t.said["Content-Length"]
	return len(v) == 0 || v[0] == strconv.Itoa(len(t.body))
}

package httpmw

import (
	"context"
	"net/http"
	"slices"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/httpmw/internal/intercept"
)

// attempt is one request with a key.
type attempt struct {
	m       *idempotency
	x       *exchange
	id      string
	ctx     context.Context // of the request, without its end: the store is told also if the client has left
	claimed []byte          // our entry in the store
	mine    entry
	reply   *entry // to be replayed

	w      intercept.Writer
	before http.Header // what layers outside have set
	end    ending
}

// ending is what becomes of the key.
type ending uint8

const (
	undecided ending = iota
	free             // the next request runs
	spent            // carried out, without a reply to replay
	settled          // the store has the reply
)

// run runs the handler and keeps its reply. A panic and runtime.Goexit pass through, and the key has an end all the same.
func (a *attempt) run(w http.ResponseWriter, r *http.Request, next http.Handler) {
	a.end = a.unfinished()
	defer a.conclude()
	if a.m.Mode == core.Shadow {
		next.ServeHTTP(w, r)
		a.end = free
		if a.keeps(a.x.finalStatus(), w.Header()) {
			a.end = spent // for whoever compares: in shadow mode no reply is replayed
		}
		return
	}
	a.before = w.Header().Clone()
	next.ServeHTTP(a.w.Begin(w, r, a.m.MaxReply, a), r)
	a.finish()
}

// unfinished is the end of a request whose handler came to none.
func (a *attempt) unfinished() ending {
	if a.m.Once {
		return spent
	}
	return free
}

// finish is for a handler that has returned normally. An answer that a Timeout outside gives in its place is not the
// handler's.
func (a *attempt) finish() {
	switch {
	case a.w.Hijacked():
		a.end = spent
	case !a.w.Left():
		a.end = undecided
		_ = a.w.Finish() // the client may be gone
	}
}

func (a *attempt) keeps(status int, h http.Header) bool {
	return !a.x.rec.rejected && a.m.Keep(status, h)
}

// Decide holds a reply that is to be kept, and puts it into the store before it goes out.
func (a *attempt) Decide(w *intercept.Writer, m intercept.Moment) intercept.Action {
	switch {
	case m == intercept.Header:
		if a.keeps(w.Status(), w.Header()) && !intercept.AnnouncesTrailers(w.Header()) {
			return intercept.Hold
		}
	case m == intercept.End && !w.Whole():
		a.end = a.unfinished() // the server will break it off
	case m == intercept.End && !intercept.AnnouncesTrailers(w.Header()):
		a.settle(a.kept(w))
	}
	return intercept.Pass
}

// ofOneExchange are the fields that a replay must not repeat.
var ofOneExchange = []string{
	"Connection", "Date", "Keep-Alive", fieldRateLimit, fieldRateLimitPolicy, "Server-Timing", "Transfer-Encoding", headerRequestID,
}

// kept is the entry of the reply that w holds.
func (a *attempt) kept(w *intercept.Writer) entry {
	e := a.mine
	e.state, e.status, e.body = kept, w.Status(), w.Held()
	e.header = http.Header{}
	for name, values := range w.Header() {
		if !slices.Equal(values, a.before[name]) && !slices.Contains(ofOneExchange, name) {
			e.header[name] = values
		}
	}
	return e
}

func (a *attempt) settle(e entry) {
	ctx, cancel := context.WithTimeout(a.ctx, a.m.StoreTimeout)
	defer cancel()
	a.end = settled
	if err := a.m.Store.Settle(ctx, a.id, a.claimed, e.encode(), a.m.TTL); err != nil {
		a.x.rec.fail(errorIdempotencyStore) // the key stays taken until its lease is over
	}
}

// conclude gives the key its end, if it has none yet: what passed unkept was carried out if it is a conclusion.
func (a *attempt) conclude() {
	if a.end == undecided {
		a.end = free
		if a.keeps(a.w.Status(), a.w.Header()) {
			a.end = spent
		}
	}
	switch a.end {
	case spent:
		e := a.mine
		e.state = notKept
		a.settle(e)
	case free:
		ctx, cancel := context.WithTimeout(a.ctx, a.m.StoreTimeout)
		defer cancel()
		if err := a.m.Store.Release(ctx, a.id, a.claimed); err != nil {
			a.x.rec.fail(errorIdempotencyStore)
		}
	}
}

// send replays a reply.
func (e *entry) send(w http.ResponseWriter) {
	if hasBegun(w) {
		panic(http.ErrAbortHandler) // a part of another response went out before
	}
	h := w.Header()
	for name, values := range e.header {
		h[name] = values
	}
	h["Idempotency-Replayed"] = []string{"true"}
	w.WriteHeader(e.status)
	_, _ = w.Write(e.body) // the client may be gone
}

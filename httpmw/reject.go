package httpmw

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/httpmw/internal/intercept"
)

// The fields of draft-ietf-httpapi-ratelimit-headers-10, in the form in which net/http keeps them.
const (
	fieldRateLimit       = "Ratelimit"
	fieldRateLimitPolicy = "Ratelimit-Policy"
)

// answers are the parts of a guard's answers that depend on its policy alone, made once for each snapshot of it.
type answers struct{ made atomic.Pointer[answer] }

type answer struct {
	policy  *core.Policy
	name    string // as an item of the fields
	field   string // the RateLimit-Policy field; empty if there is nothing to announce
	problem *problem
}

func (a *answers) of(p *core.Policy) *answer {
	if made := a.made.Load(); made != nil && made.policy == p {
		return made
	}
	fresh := &answer{policy: p, name: item(p.Name), problem: rejectionProblem(p)}
	fresh.field = policyField(p, fresh.name)
	a.made.Store(fresh)
	return fresh
}

// item is a String of RFC 9651; empty if the name cannot be one, as that of somebody's own guard may.
func item(name string) string {
	b := []byte{'"'}
	for i := range len(name) {
		switch c := name[i]; {
		case c < ' ', c > '~':
			return ""
		case c == '"', c == '\\':
			b = append(b, '\\')
		}
		b = append(b, name[i])
	}
	return string(append(b, '"'))
}

// maxInteger is the largest Integer of RFC 9651.
const maxInteger = 999_999_999_999_999

// policyField is an item such as `"login";q=100;w=60`, empty if p does not say how much a period. A period that is not of
// whole seconds is stretched to the next one, and the quota with it, rounded down.
func policyField(p *core.Policy, name string) string {
	if p.Kind != core.KindRateLimit || p.Period <= 0 || p.Limit <= 0 || name == "" {
		return ""
	}
	seconds, quota := ceilSeconds(p.Period), float64(p.Limit)
	if p.Period%time.Second != 0 {
		quota = quota * float64(seconds) * float64(time.Second) / float64(p.Period)
	}
	return name + ";q=" + strconv.FormatInt(int64(min(quota, maxInteger)), 10) + ";w=" + strconv.FormatInt(seconds, 10)
}

// fields announces a rate limit's decision: r tokens are left, and in t seconds the bucket is full again; after a
// rejection t is the time until the request would pass, which is what Retry-After says too. In disabled mode nothing is
// announced.
func (a *answers) fields(x *exchange, d *core.Decision) {
	made := a.of(d.By)
	if d.Remaining < 0 || made.field == "" {
		return
	}
	b := make([]byte, 0, 96)
	b = append(b, made.name...)
	b = append(b, `;r=`...)
	remaining, t := int64(d.Remaining), refill(d)
	if !d.Admitted() {
		remaining, t = 0, d.RetryAfter
		if t <= 0 {
			t = core.Never // unknown
		}
	}
	b = strconv.AppendInt(b, remaining, 10)
	if t != core.Never {
		b = append(b, ";t="...)
		b = strconv.AppendInt(b, ceilSeconds(t), 10)
	}
	h := x.Header()
	if len(h[fieldRateLimit]) == 0 && len(h[fieldRateLimitPolicy]) == 0 {
		values := x.rec.limitValues() // not shared, for handlers may change them in place
		values[0], values[1] = string(b), made.field
		h[fieldRateLimit], h[fieldRateLimitPolicy] = values[0:1:1], values[1:2:2]
		return
	}
	h[fieldRateLimit] = append(h[fieldRateLimit], string(b))
	h[fieldRateLimitPolicy] = append(h[fieldRateLimitPolicy], made.field)
}

// refill is the time in which the bucket is full again; Never if that is beyond all times.
func refill(d *core.Decision) time.Duration {
	missing := float64(d.By.Burst - int64(d.Remaining))
	t := missing * float64(d.By.Period) / float64(d.By.Limit)
	if t >= float64(core.Never) {
		return core.Never
	}
	return time.Duration(t)
}

// ceilSeconds rounds up, so that nobody comes too early; at least 1.
func ceilSeconds(d time.Duration) int64 {
	d = max(d, 1)
	seconds := int64(d / time.Second)
	if d%time.Second != 0 {
		seconds++
	}
	return seconds
}

// reject answers a request that the guard did not admit. It returns false, and does nothing, if the response has begun.
// Announced trailers do not keep it from answering: no handler behind this guard has announced them.
func (g *guarded) reject(w http.ResponseWriter, r *http.Request, d *core.Decision) bool {
	if hasBegun(w) {
		return false
	}
	by := d.By
	if by == nil { // a guard of somebody's own
		by = &core.Policy{}
	}
	if d.RetryAfter > 0 && d.RetryAfter != core.Never {
		w.Header()["Retry-After"] = []string{strconv.FormatInt(ceilSeconds(d.RetryAfter), 10)}
	} else {
		delete(w.Header(), "Retry-After") // whoever set it spoke of something else
	}
	sendProblem(w, r, g.answers.of(by).problem)
	return true
}

// WriteError answers r with a problem document for an error that a handler got from its dependencies, so that what a
// guarded client returns becomes the right status: a *core.Rejection is answered as a Guard in front of the handler
// would (429 or 503, with Retry-After when known), core.ErrTimeout with 503, and so the deadline of a Timeout outside
// that err is about, an *http.MaxBytesError, such as BodyLimit causes, with 413, a body that Decompress cannot decode with
// 400, everything else with 502. The text is fixed; nothing of err reaches the client.
//
// It does nothing if the response has begun, as far as a middleware of this package outside has seen, or if trailers
// were announced: those carry the outcome of protocols such as gRPC.
//
// A rejection answered this way is Ignored by every guard outside: it says nothing about this handler. A guard outside
// http.TimeoutHandler, or of another request, does not learn of it and goes by the status.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	if hasBegun(w) || intercept.AnnouncesTrailers(w.Header()) {
		return
	}
	var rejected *core.Rejection
	switch {
	case errors.As(err, &rejected):
		if rec := recordOf(r.Context()); rec != nil && unwrapsTo(w, rec) {
			rec.rejected = true
			rec.fail(rejected.Reason.String())
		}
		g := guarded{}
		g.reject(w, r, &core.Decision{
			By:         &core.Policy{Kind: rejected.Kind, Name: rejected.Policy},
			RetryAfter: rejected.RetryAfter,
		})
	case errors.Is(err, core.ErrTimeout),
		errors.Is(err, context.DeadlineExceeded) && timedOut(r.Context()):
		sendProblem(w, r, problemTimeout)
	case isTooLarge(err):
		sendProblem(w, r, problemTooLarge)
	case errors.Is(err, errBroken):
		sendProblem(w, r, problemBodyBroken)
	default:
		sendProblem(w, r, problemGateway)
	}
}

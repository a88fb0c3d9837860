package httpmw

import (
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
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
	field   []string // the RateLimit-Policy field; never appended to in place
	problem *problem
}

func (a *answers) of(p *core.Policy) *answer {
	if made := a.made.Load(); made != nil && made.policy == p {
		return made
	}
	fresh := &answer{policy: p, problem: rejectionProblem(p)}
	if p.Kind == core.KindRateLimit && p.Period > 0 {
		fresh.field = []string{policyField(p)}
	}
	a.made.Store(fresh)
	return fresh
}

// policyField is an item such as `"login";q=100;w=60`. Names need no escaping, see core. A period that is not of whole seconds
// is stretched to the next one, and the quota with it, rounded down.
func policyField(p *core.Policy) string {
	seconds := ceilSeconds(p.Period)
	quota := int64(float64(p.Limit) * float64(seconds) * float64(time.Second) / float64(p.Period))
	return `"` + p.Name + `";q=` + strconv.FormatInt(quota, 10) + ";w=" + strconv.FormatInt(seconds, 10)
}

// fields announces a rate limit's decision: r tokens are left, and in t seconds the bucket is full again; after a
// rejection t is the time until the request would pass, which is what Retry-After says too. In disabled mode nothing is
// announced.
func (a *answers) fields(h http.Header, d *core.Decision) {
	if d.Remaining < 0 {
		return
	}
	b := make([]byte, 0, 96)
	b = append(b, '"')
	b = append(b, d.By.Name...)
	b = append(b, `";r=`...)
	remaining, t := int64(d.Remaining), refill(d)
	if !d.Admitted() {
		remaining, t = 0, d.RetryAfter
	}
	b = strconv.AppendInt(b, remaining, 10)
	if t != core.Never {
		b = append(b, ";t="...)
		b = strconv.AppendInt(b, ceilSeconds(t), 10)
	}
	policy := a.of(d.By).field
	if len(h[fieldRateLimit]) == 0 {
		h[fieldRateLimit] = []string{string(b)}
		h[fieldRateLimitPolicy] = policy[:1:1]
		return
	}
	h[fieldRateLimit] = append(h[fieldRateLimit], string(b))
	h[fieldRateLimitPolicy] = append(h[fieldRateLimitPolicy], policy[0])
}

// refill is the time in which the bucket is full again.
func refill(d *core.Decision) time.Duration {
	missing := float64(d.By.Burst - int64(d.Remaining))
	return time.Duration(missing * float64(d.By.Period) / float64(d.By.Limit))
}

func ceilSeconds(d time.Duration) int64 {
	return int64((max(d, 1) + time.Second - 1) / time.Second)
}

// reject answers a request that the guard did not admit.
func (g *guarded) reject(w http.ResponseWriter, r *http.Request, d *core.Decision) {
	if d.RetryAfter > 0 && d.RetryAfter != core.Never {
		w.Header()["Retry-After"] = []string{strconv.FormatInt(ceilSeconds(d.RetryAfter), 10)}
	}
	writeProblem(w, r, g.answers.of(d.By).problem)
}

// WriteError answers r with a problem document for an error that a handler got from its dependencies, so that what a
// guarded client returns becomes the right status: a *core.Rejection is answered as a Guard in front of the handler
// would (429 or 503, with Retry-After when known), core.ErrTimeout with 503, everything else with 502. The text is fixed;
// nothing of err reaches the client. It does nothing if the response has begun.
//
// A rejection answered this way is Ignored by every guard outside: it says nothing about this handler.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	var rejected *core.Rejection
	switch {
	case errors.As(err, &rejected):
		if rec := recordOf(r.Context()); rec != nil {
			rec.rejected = true
			rec.fail(rejected.Reason.String())
		}
		g := guarded{}
		g.reject(w, r, &core.Decision{
			By:         &core.Policy{Kind: rejected.Kind, Name: rejected.Policy},
			RetryAfter: rejected.RetryAfter,
		})
	case errors.Is(err, core.ErrTimeout):
		writeProblem(w, r, problemTimeout)
	default:
		writeProblem(w, r, problemGateway)
	}
}

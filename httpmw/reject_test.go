package httpmw

import (
	"context"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/ratelimit"
)

var errDown = &core.Rejection{Kind: core.KindBreaker, Policy: "db", Reason: core.ReasonOpen}

// WriteError in a goroutine that http.TimeoutHandler has left behind wrote to the record of a request that was over. The
// race detector judges.
func TestWriteErrorLeavesTheRecordOfAnotherGoroutineAlone(t *testing.T) {
	for range 20 {
		done := make(chan struct{})
		h := Guard(Guarded{Guard: &ledger{}})(http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(done)
			<-r.Context().Done()
			WriteError(w, r, errDown)
		}), time.Millisecond, ""))
		do(h, anyRequest())
		<-done
	}
}

// The answer to a subrequest is not the answer to the request, although they share a context.
func TestWriteErrorToASubrequestIsNotTheAnswer(t *testing.T) {
	g := &ledger{}
	h := Guard(Guarded{Guard: g})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		WriteError(httptest.NewRecorder(), r, errDown)
		w.WriteHeader(500)
	}))
	do(h, anyRequest())
	g.want(t, "outcome", core.Failure)
}

func TestWriteErrorAfterTheResponseBeganChangesNothing(t *testing.T) {
	for name, between := range map[string]layerFunc{
		"our writer": mw.Chain[http.Handler](),
		"a foreign writer": func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(passing{w}, r) })
		},
	} {
		g := &ledger{}
		h := mw.Chain(Guard(Guarded{Guard: g}), between)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "begun")
			WriteError(w, r, errDown)
		}))
		w := do(h, anyRequest())
		equal(t, name+": body", w.Body.String(), "begun")
		g.want(t, name, core.Success)
	}
}

// passing is a foreign writer that changes nothing and unwraps.
type passing struct{ http.ResponseWriter }

func (p passing) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// A middleware outside that announces a trailer, Server-Timing for one, made every rejection an empty 200.
func TestRejectionUnderAnAnnouncedTrailerIsNoSuccess(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		h := RateLimit(newEmptyLimit(t))(status(200))
		s := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "Server-Timing")
			h.ServeHTTP(w, r)
			w.Header().Set("Server-Timing", "total;dur=1")
		}))
		resp, body, err := get(t, s, "/")
		equal(t, "status", resp.StatusCode, 429)
		equal(t, "problem", strings.Contains(body, "quota-exceeded"), true)
		equal(t, "trailer", resp.Trailer.Get("Server-Timing"), "total;dur=1")
		equal(t, "error", err, nil)
	})
}

// A guarded part of a response that has begun cannot be answered for: the response must not end as if it were whole.
func TestRejectionAfterTheResponseBeganIsVisible(t *testing.T) {
	g := &ledger{}
	part := RateLimit(newEmptyLimit(t))(status(200))
	h := mw.Chain(Recover(RecoverConfig{Logger: quiet}), Guard(Guarded{Guard: g}))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "head")
		part.ServeHTTP(w, r)
	}))
	_, aborted := doAborting(h, anyRequest())
	equal(t, "aborted", aborted, true)
	g.want(t, "the guard outside", core.Ignored)
}

// The same where a writer of another package stands in between, so that the guard has an exchange of its own.
func TestRejectionAfterAForeignWriterBeganIsVisible(t *testing.T) {
	part := RateLimit(newEmptyLimit(t))(status(200))
	h := RequestID()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "head")
		part.ServeHTTP(passing{w}, r)
	}))
	w, aborted := doAborting(h, anyRequest())
	equal(t, "aborted", aborted, true)
	equal(t, "body", w.Body.String(), "head")
}

// What a middleware outside or an upstream said of another try is not what a guard says that knows nothing of it.
func TestRetryAfterOfSomebodyElseDoesNotStay(t *testing.T) {
	for name, d := range map[string]core.Decision{
		"unknown": {Verdict: core.Verdict{Reason: core.ReasonFull}},
		"never":   {Verdict: core.Verdict{Reason: core.ReasonTooCostly}, RetryAfter: core.Never},
	} {
		d.By = &core.Policy{Kind: core.KindBulkhead, Name: "room"}
		h := Guard(Guarded{Guard: &ledger{rejects: &d}})(status(200))
		w := httptest.NewRecorder()
		w.Header().Set("Retry-After", "1")
		h.ServeHTTP(w, anyRequest())
		equal(t, name+": guard", w.Header().Get("Retry-After"), "")

		w = httptest.NewRecorder()
		w.Header().Set("Retry-After", "1")
		WriteError(w, anyRequest(), d.Err())
		equal(t, name+": WriteError", w.Header().Get("Retry-After"), "")
	}
}

// The policy field was one slice for all responses: who changed its element changed it for everybody, in a race.
func TestHandlerMayChangeTheFieldsInPlace(t *testing.T) {
	h := RateLimit(newLimit(ratelimit.Config{Limit: 10}))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, values := range w.Header() {
			for i := range values {
				values[i] = "mine"
			}
		}
		w.Header()["Ratelimit"] = append(w.Header()["Ratelimit"], "more")
	}))
	for range 2 {
		equal(t, "policy", do(h, anyRequest()).Header().Get("RateLimit-Policy"), "mine")
	}
	clean := RateLimit(newLimit(ratelimit.Config{Limit: 10}))(status(200))
	equal(t, "policy of another", do(clean, anyRequest()).Header().Get("RateLimit-Policy"), `"login";q=10;w=1`)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { do(h, anyRequest()) })
	}
	wg.Wait()
}

// A guard of the user's own may be a rate limit without a period, and its name is any string.
func TestFieldsOfAnOwnRateLimit(t *testing.T) {
	for _, c := range []struct {
		p             core.Policy
		limit, policy string
	}{
		{core.Policy{Name: "a"}, "", ""},
		{core.Policy{Name: "a", Limit: 5}, "", ""},
		{core.Policy{Name: "a", Period: time.Second}, "", ""},
		{core.Policy{Name: `a"b\c`, Limit: 5, Burst: 5, Period: time.Second}, `"a\"b\\c";r=0;t=1`, `"a\"b\\c";q=5;w=1`},
		{core.Policy{Name: "tenant\r\nSet-Cookie: x", Limit: 5, Burst: 5, Period: time.Second}, "", ""},
		{core.Policy{Name: "täglich", Limit: 5, Burst: 5, Period: time.Second}, "", ""},
		{core.Policy{Name: "a", Limit: 1, Burst: 1e9, Period: 24 * time.Hour}, `"a";r=0`, `"a";q=1;w=86400`},
	} {
		c.p.Kind = core.KindRateLimit
		w := do(Guard(Guarded{Guard: &ledger{by: &c.p}})(status(200)), anyRequest())
		equal(t, c.p.Name+" status", w.Code, 200)
		equal(t, c.p.Name+" RateLimit", w.Header().Get("RateLimit"), c.limit)
		equal(t, c.p.Name+" RateLimit-Policy", w.Header().Get("RateLimit-Policy"), c.policy)
	}
}

// A quota of whole seconds is the configured one, to the last token.
func TestPolicyFieldDoesNotRoundAWholeQuota(t *testing.T) {
	for limit := int64(1); limit < 1<<30; limit += limit/97 + 1 {
		for _, seconds := range []int{1, 3, 60, 3600, 86399, 86400} {
			for _, l := range []int64{limit, limit | (limit - 1), 1<<29 - limit%1000} {
				p := core.Policy{Kind: core.KindRateLimit, Limit: l, Period: time.Duration(seconds) * time.Second}
				field := policyField(&p, `"p"`)
				if q := strings.TrimPrefix(field, `"p";q=`); !strings.HasPrefix(q, strconv.FormatInt(l, 10)+";") {
					t.Fatalf("%d in %v: %s", l, p.Period, field)
				}
			}
		}
	}
}

func TestRejectionWithoutAPolicyIsAnswered(t *testing.T) {
	h := Guard(Guarded{Guard: &ledger{rejects: &core.Decision{Verdict: core.Verdict{Reason: core.ReasonFull}}}})(status(200))
	equal(t, "status", do(h, anyRequest()).Code, 503)
}

// A driver reports our deadline by the context's plain error: a 502 would blame the dependency.
func TestWriteErrorForOurOwnDeadline(t *testing.T) {
	ours, cancel := context.WithTimeoutCause(t.Context(), 0, core.ErrTimeout)
	defer cancel()
	theirs, stop := context.WithTimeout(t.Context(), 0)
	defer stop()
	for want, ctx := range map[int]context.Context{503: ours, 502: theirs} {
		w := httptest.NewRecorder()
		WriteError(w, anyRequest().WithContext(ctx), ctx.Err())
		equal(t, "status", w.Code, want)
	}
}

func TestCeilSecondsHasNoEnd(t *testing.T) {
	equal(t, "just below Never", ceilSeconds(core.Never-1), int64(math.MaxInt64/1_000_000_000+1))
	equal(t, "nothing", ceilSeconds(0), 1)
	equal(t, "one more nanosecond", ceilSeconds(time.Second+1), 2)
}

package httpmw

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/fallback"
	"github.com/mw-go/mw/core/timeout"
)

// holding are the layers that hold responses, or copy them, and so have to end what a handler leaves open.
func holding(t *testing.T) map[string]func(http.Handler) http.Handler {
	steps := FallbackStep{
		By:      mw.Must(fallback.New("spare", fallback.Config{}, fallback.Hooks{})),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "spare") }),
	}
	return map[string]func(http.Handler) http.Handler{
		"ETag":           mw.Must(ETag(ETagConfig{})),
		"ETag shadow":    mw.Must(ETag(ETagConfig{Mode: core.Shadow})),
		"Cache":          Cache(newCache(t, CacheShared, CacheConfig{TTL: time.Hour})),
		"Cache shadow":   Cache(newCache(t, CacheShared, CacheConfig{TTL: time.Hour, Mode: core.Shadow})),
		"Fallback":       mw.Must(Fallback(FallbackConfig{}, steps)),
		"IdempotencyKey": mw.Must(IdempotencyKey(oneScope, IdempotencyKeyConfig{Methods: []string{"GET"}})),
	}
}

// timed are the layers whose time passes, and a request to them.
func timed() map[string]func(http.Handler) http.Handler {
	return map[string]func(http.Handler) http.Handler{
		"Timeout":          mw.Must(Timeout(newTimeout(time.Second))),
		"enforced Timeout": enforcing(newTimeout(time.Second)),
		"Deadline":         mw.Must(Deadline(newTimeout(time.Minute))),
		"Timeout with less": mw.Must(Timeout(mw.Must(timeout.New("requests",
			timeout.Config{Limit: time.Minute, Margin: time.Second}, timeout.Hooks{})))),
	}
}

// A layer that holds or copies must not turn the silence of a handler into a 200 when the time of a Timeout has passed, nor
// send what is held as a whole: that may be a part.
func TestHoldingLayersLeaveTheAnswerToATimeout(t *testing.T) {
	for at, limit := range timed() {
		for say, status := range map[string]int{"": 200, "part": 200, "part of a failure": 500} {
			for name := range holding(t) {
				t.Run(fmt.Sprintf("%s in %s/%q", name, at, say), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						h := limit(holding(t)[name](http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							w.Header().Set("Cache-Control", "max-age=60")
							if say != "" {
								w.WriteHeader(status)
								fmt.Fprint(w, say)
							}
							select {
							case <-r.Context().Done():
							case <-time.After(time.Hour):
							}
						})))
						for range 2 { // nothing that was left is kept
							ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
							r := withKey(`"k"`, "").WithContext(ctx)
							r.Method, r.Body = "GET", http.NoBody
							r.Header.Set("Request-Timeout", "1s")
							w, aborted := doAborting(h, r)
							cancel()
							synctest.Wait() // who was left behind is done as well
							if !aborted {
								equal(t, "status", w.Code, 503)
								equal(t, "kind", w.Header().Get("Content-Type"), "application/problem+json")
							}
						}
					})
				})
			}
		}
	}
}

// A response that goes to its client as it is made is kept only if its time had not passed: its handler may have given up.
func TestCacheKeepsNoPartOfAResponseWhoseTimePassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := true
		cache := Cache(newCache(t, CacheShared, CacheConfig{}))
		h := mw.Must(Timeout(newTimeout(time.Second)))(cache(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=60")
			fmt.Fprint(w, "part")
			if slow {
				<-r.Context().Done()
				return
			}
			fmt.Fprint(w, " and the rest")
		})))
		_, aborted := doAborting(h, withFields("Authorization", "Basic eDp5")) // asks for itself
		equal(t, "aborted", aborted, true)
		slow = false
		equal(t, "body", do(h, anyRequest()).Body.String(), "part and the rest")
	})
}

// A handler that gives up at the deadline is not left behind if there is no place for it, nor may be if it is quick: what it
// began in time is a part all the same.
func TestEnforcedTimeoutSendsNoPartAsAWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := mw.Must(timeout.New("requests", timeout.Config{Limit: time.Second, MaxAbandoned: 1}, timeout.Hooks{}))
		h := enforcing(to)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/stuck" {
				time.Sleep(time.Minute)
				return
			}
			w.Header().Set("X-Part", "1")
			fmt.Fprint(w, "part")
			<-r.Context().Done()
		}))
		equal(t, "stuck", do(h, httptest.NewRequest("GET", "/stuck", nil)).Code, 503)
		w := do(h, anyRequest())
		equal(t, "status", w.Code, 503)
		equal(t, "kind", w.Header().Get("Content-Type"), "application/problem+json")
		equal(t, "a field of the part", w.Header().Get("X-Part"), "")
		time.Sleep(time.Minute)
	})
}

// A handler that gives up on a body has said nothing yet, and BodyLimit answers.
func TestHoldingLayersLeaveTheAnswerToBodyLimit(t *testing.T) {
	layers := holding(t)
	delete(layers, "IdempotencyKey") // which reads the body itself, and refuses it
	layers["enforced Timeout"] = enforcing(newTimeout(time.Hour))
	for name, layer := range layers {
		h := mw.Chain(mw.Must(BodyLimit(BodyLimitConfig{Max: 4})), layer)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
		}))
		r := post("too long")
		r.Method, r.ContentLength = "GET", -1
		equal(t, name, do(h, r).Code, 413)
	}
}

package httpmw

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw"
)

func timing(c ServerTimingConfig) layerFunc { return mw.Must(ServerTiming(c)) }

func TestServerTiming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := timing(ServerTimingConfig{Public: true})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Server-Timing", "own;dur=1")
			add := func(name string, d time.Duration, desc string) bool {
				return AddServerTiming(r.Context(), name, d, desc)
			}
			for _, tc := range []struct {
				name string
				d    time.Duration
				desc string
				kept bool
			}{
				{"db", 12345678 * time.Nanosecond, "", true},
				{"cache", -time.Second, `say "hit\"`, true},
				{"odd", 2 * time.Second, "line\r\nSet-Cookie: é", true},
				{"no token", 1, "", false},
				{"", 1, "", false},
				{"a,b", 1, "", false},
				{strings.Repeat("n", 65), 1, "", false},
				{"long", 0, strings.Repeat("d", 200), true},
			} {
				equal(t, tc.name, add(tc.name, tc.d, tc.desc), tc.kept)
			}
			time.Sleep(1500 * time.Microsecond)
			_, _ = w.Write(okBody)
			equal(t, "late", add("late", 1, ""), false)
		}))
		w := do(h, anyRequest())
		equal(t, "fields", strings.Join(w.Header()["Server-Timing"], "\n"), "own;dur=1\n"+
			`db;dur=12.346, cache;dur=0;desc="say \"hit\\\"", odd;dur=2000;desc="line??Set-Cookie: ??", `+
			`long;dur=0;desc="`+strings.Repeat("d", 128)+`", total;dur=1.5`)
	})
}

// Timings tell strangers what goes on inside: nobody gets them unless somebody has said who.
func TestServerTimingIsForWhoIsAllowed(t *testing.T) {
	_, err := ServerTiming(ServerTimingConfig{})
	refused(t, "nobody", err, "public: required, or an Allow function: timings are not for everybody")
	h := timing(ServerTimingConfig{Allow: func(r *http.Request) bool { return r.URL.Path == "/dev" }})(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			equal(t, r.URL.Path, AddServerTiming(r.Context(), "db", 1, ""), r.URL.Path == "/dev")
		}))
	equal(t, "a stranger", do(h, httptest.NewRequest("GET", "/", nil)).Header().Get("Server-Timing"), "")
	if v := do(h, httptest.NewRequest("GET", "/dev", nil)).Header().Get("Server-Timing"); !strings.HasPrefix(v, "db;dur=0, total;dur=") {
		t.Errorf("allowed: %q", v)
	}
	equal(t, "without the middleware", AddServerTiming(t.Context(), "db", 1, ""), false)
}

func TestServerTimingIsBounded(t *testing.T) {
	h := timing(ServerTimingConfig{Public: true, Max: 3, NoTotal: true})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { AddServerTiming(r.Context(), "x", 0, "") })
		}
		all.Wait()
	}))
	equal(t, "field", do(h, anyRequest()).Header().Get("Server-Timing"), "x;dur=0, x;dur=0, x;dur=0")
}

func TestServerTimingInATrailer(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(timing(ServerTimingConfig{Public: true, Trailer: true, NoTotal: true})(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				AddServerTiming(r.Context(), "early", 0, "")
				fmt.Fprint(w, "body")
				_ = http.NewResponseController(w).Flush()
				equal(t, "kept", AddServerTiming(r.Context(), "late", time.Millisecond, ""), true)
			})))
		resp, err := s.Client().Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		equal(t, "body", string(body), "body")
		equal(t, "header", resp.Header.Get("Server-Timing"), "early;dur=0")
		equal(t, "trailer", resp.Trailer.Get("Server-Timing"), "late;dur=1")
	})
}

// The trailer of this middleware is no trailer of the handler: a Timeout outside must still see that a response is cut off.
func TestServerTimingTrailerDoesNotMakeAResponseWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := mw.Chain(Recover(), mw.Must(Timeout(TimeoutConfig{Timeout: time.Second})), timing(ServerTimingConfig{Public: true, Trailer: true}))(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, "half")
				AddServerTiming(r.Context(), "late", 1, "")
				<-r.Context().Done()
			}))
		if _, aborted := doAborting(h, anyRequest()); !aborted {
			t.Error("a part of the response ended as if it were whole")
		}
	})
}

// Timings that come when all is over are dropped, and do not race with the server.
func TestServerTimingAfterTheEnd(t *testing.T) {
	var kept *http.Request
	h := timing(ServerTimingConfig{Public: true, Trailer: true})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { kept = r }))
	do(h, anyRequest())
	equal(t, "kept", AddServerTiming(kept.Context(), "x", 0, ""), false)
}

func TestServerTimingConfig(t *testing.T) {
	_, err := ServerTiming(ServerTimingConfig{Public: true, Max: 65})
	refused(t, "max", err, "max: 65 is not allowed; allowed: 1..64")
}

package httpmw

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/adaptive"
)

func TestClassNames(t *testing.T) {
	for text, want := range map[string]core.Class{
		"critical-plus": core.CriticalPlus, "CRITICAL_PLUS": core.CriticalPlus, "Critical": core.Critical,
		"sheddable-plus": core.SheddablePlus, "sheddable": core.Sheddable,
		"": core.Unclassified, "0": core.Unclassified, "plus": core.Unclassified, "critical ": core.Unclassified,
		strings.Repeat("-", 1000): core.Unclassified,
	} {
		equal(t, text, classNamed(text), want)
	}
}

// Who may say what: everybody's route, and only trusted callers their class.
func TestShedClassifies(t *testing.T) {
	near := FromPeers(mw.Must(TrustProxies(netip.MustParsePrefix("192.0.2.0/24"))))
	far := FromPeers(mw.Must(TrustProxies(netip.MustParsePrefix("10.0.0.0/8"))))
	batch := func(*http.Request) core.Class { return core.Sheddable }
	said := func(values ...string) *http.Request {
		r := anyRequest()
		r.Header["Request-Criticality"] = values
		return r
	}
	for _, tt := range []struct {
		name   string
		config CriticalityConfig
		r      *http.Request
		want   core.Class
	}{
		{"nothing", CriticalityConfig{}, anyRequest(), core.Unclassified},
		{"route", CriticalityConfig{Class: batch}, anyRequest(), core.Sheddable},
		{"said, nobody is trusted", CriticalityConfig{}, said("critical-plus"), core.Unclassified},
		{"said by a stranger", CriticalityConfig{Trusted: far, Class: batch}, said("critical-plus"), core.Sheddable},
		{"said", CriticalityConfig{Trusted: near, Class: batch}, said("critical-plus"), core.CriticalPlus},
		{"said twice", CriticalityConfig{Trusted: near, Class: batch}, said("critical-plus", "critical"), core.Sheddable},
		{"said nonsense", CriticalityConfig{Trusted: near, Class: batch}, said("255"), core.Sheddable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, form := range []string{"Shed", "Criticality"} {
				spy := &spyGuard{}
				var h http.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					equal(t, form+": ClassOf", ClassOf(r.Context()), tt.want)
				})
				if form == "Shed" {
					h = mw.Must(Shed(spy, ShedConfig{CriticalityConfig: tt.config}))(h)
				} else {
					h = mw.Chain(mw.Must(Criticality(tt.config)), Guard(Guarded{Guard: spy}))(h)
				}
				do(h, tt.r)
				equal(t, form+": Call.Class", spy.call.Class, tt.want)
			}
		})
	}
	if _, err := Shed(&spyGuard{}, ShedConfig{CriticalityConfig: CriticalityConfig{Header: "a b"}}); err == nil {
		t.Error("a bad field name is taken")
	}
}

// Layers inside an enforced Timeout, which have a record of their own, know the class too.
func TestClassPassesAnEnforcedTimeout(t *testing.T) {
	spy := &spyGuard{}
	batch := CriticalityConfig{Class: func(*http.Request) core.Class { return core.Sheddable }}
	do(mw.Chain(mw.Must(Criticality(batch)), enforcing(newTimeout(hang)), Guard(Guarded{Guard: spy}))(okHandler), anyRequest())
	equal(t, "Call.Class", spy.call.Class, core.Sheddable)
}

// Health checks take no slot and are never shed; the least critical are, first, with a hint when to come back.
func TestShedUnderOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := mw.Must(adaptive.New("shop", adaptive.Config{
			InitialLimit: 1, MinLimit: 1, MaxLimit: 1, Queue: core.None,
		}, core.Hooks{}))
		class := func(r *http.Request) core.Class {
			if strings.HasPrefix(r.URL.Path, "/batch") {
				return core.Sheddable
			}
			return core.CriticalPlus
		}
		h := mw.Must(Shed(limiter, ShedConfig{CriticalityConfig: CriticalityConfig{Class: class}}))(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					time.Sleep(time.Second)
				}
				fmt.Fprint(w, "served")
			}))
		go do(h, httptest.NewRequest("GET", "/slow", nil)) // takes the only slot
		synctest.Wait()
		for path, want := range map[string]int{"/healthz": 200, "/livez": 200, "/readyz": 200, "/batch": 503, "/healthz/x": 503} {
			r := httptest.NewRequest("GET", path, nil)
			r.Body = unread{t}
			w := do(h, r)
			equal(t, path, w.Code, want)
			if want == 503 {
				after := w.Header().Get("Retry-After")
				if after != "1" && after != "2" { // half a second to one and a half, rounded up
					t.Errorf("Retry-After %q", after)
				}
				if !strings.Contains(w.Body.String(), "temporary-reduced-capacity") {
					t.Error(w.Body)
				}
			}
		}
		time.Sleep(2 * time.Second)
		equal(t, "running", limiter.Snapshot().Running, 0)
	})
}

// The class travels with the calls of a handler, and nobody else's word does.
func TestClientCriticality(t *testing.T) {
	for _, tt := range []struct {
		name  string
		class core.Class
		has   string
		want  string
	}{
		{"none", core.Unclassified, "", ""},
		{"none, but a client's word", core.Unclassified, "critical-plus", ""},
		{"sheddable", core.Sheddable, "", "sheddable"},
		{"sheddable, against a client's word", core.Sheddable, "critical-plus", "sheddable"},
		{"unheard of", core.Class(9), "critical-plus", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := anyRequest()
			if tt.has != "" {
				r.Header.Set("Request-Criticality", tt.has)
			}
			r = r.WithContext(WithClass(r.Context(), tt.class))
			spy := &spyGuard{}
			_, _ = mw.Chain(mw.Must(ClientCriticality()), ClientGuard(Guarded{Guard: spy}))(trip(func(r *http.Request) (*http.Response, error) {
				equal(t, "field", r.Header.Get("Request-Criticality"), tt.want)
				return nil, io.ErrUnexpectedEOF
			})).RoundTrip(r)
			equal(t, "the caller's request", r.Header.Get("Request-Criticality"), tt.has)
			equal(t, "Call.Class", spy.call.Class, tt.class)
		})
	}
	if _, err := ClientCriticality(ClientCriticalityConfig{Header: ":"}); err == nil {
		t.Error("a bad field name is taken")
	}
}

package trace

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/mw-go/mw/internal/tracefield"
)

func members(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("k%d=v", i))
	}
	return strings.Join(list, ",")
}

func TestEntry(t *testing.T) {
	for _, c := range []struct {
		name  string
		field string
		lines []string
		want  string
	}{
		{"one", "traceparent", []string{traceparent}, traceparent},
		{"none", "traceparent", nil, ""},
		{"two parents", "traceparent", []string{traceparent, traceparent}, ""},
		{"state", "tracestate", []string{"a=1,b=2"}, "a=1,b=2"},
		{"state on two lines", "tracestate", []string{"a=1", "b=2"}, "a=1,b=2"},
		{"as many as are taken", "tracestate", []string{members(32)}, members(32)},
		{"one too many", "tracestate", []string{members(33)}, ""},
		{"one too many on two lines", "tracestate", []string{members(20), members(13)}, ""},
		{"empty members do not count", "tracestate", []string{members(32) + ", ,"}, members(32) + ", ,"},
		{"too long", "tracestate", []string{strings.Repeat("x", 8193)}, ""},
		{"baggage", "baggage", []string{"a=1", "b=2"}, "a=1,b=2"},
		{"as much as is taken", "baggage", []string{strings.Repeat("x", 8192)}, strings.Repeat("x", 8192)},
		{"too much", "baggage", []string{strings.Repeat("x", 8192), "y"}, ""},
		{"something else", "x-b3", []string{"1", "2"}, "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := carrier{propagation.HeaderCarrier{http.CanonicalHeaderKey(c.field): c.lines}}
			equal(t, "value", h.Get(c.field), c.want)
			want := 1
			if c.want == "" {
				want = 0
			}
			if c.field != "x-b3" {
				equal(t, "values", len(h.Values(c.field)), want)
			}
		})
	}
}

// wellFormed is section 3.2 of W3C Trace Context. A version 00 has no more than this and the two flags that there are.
var wellFormed = regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$`)

// parent is the trace id that a traceparent names, "" if it is none.
func parent(field string) string {
	m := wellFormed.FindStringSubmatch(field)
	switch {
	case m == nil, m[1] == "ff", strings.Trim(m[2], "0") == "", strings.Trim(m[3], "0") == "":
		return ""
	case m[1] == "00" && (m[5] != "" || m[4] > "03"):
		return ""
	}
	return m[2]
}

// Whatever a stranger sends, the handler runs once, in a valid span that belongs to the trace named or to a new one, with
// no more state and baggage than is taken, and what is sent on is well formed.
func FuzzTraceparent(f *testing.F) {
	f.Add(traceparent, "a=1,b=2", "c=3", "user=ann")
	f.Add("00-"+strings.Repeat("0", 32)+"-b7ad6b7169203331-01", "", "", "")
	f.Add("ff-"+traceparent[3:], members(33), "", strings.Repeat("a=1,", 3000))
	f.Add("cc-"+traceparent[3:]+"-more", members(20), members(20), "a=%zz;p=1")
	f.Add(strings.ToUpper(traceparent), ",,,", "a=1,a=1", "=")
	f.Add(traceparent[:55]+"-x", "a=\x00", "\xff", "\xff=\xff")
	f.Fuzz(func(t *testing.T, field, state1, state2, bag string) {
		config, spans := recording()
		runs := 0
		h := Server(config)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			runs++
			sc := trace.SpanContextFromContext(r.Context())
			if !sc.IsValid() {
				t.Error("no valid span")
			}
			id := parent(field)
			if id != "" && sc.TraceID().String() != id {
				t.Errorf("trace %s, want %s of %q", sc.TraceID(), id, field)
			}
			if n := sc.TraceState().Len(); n > tracefield.MaxMembers || id == "" && n > 0 {
				t.Errorf("%d members of state", n)
			}
			if n := len(baggage.FromContext(r.Context()).String()); n > tracefield.MaxBaggage {
				t.Errorf("%d bytes of baggage", n)
			}
			out := http.Header{}
			propagator.Inject(r.Context(), propagation.HeaderCarrier(out))
			if got := parent(out.Get("Traceparent")); got != sc.TraceID().String() {
				t.Errorf("sent on %q", out.Get("Traceparent"))
			}
		}))
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Traceparent"] = []string{field}
		r.Header["Tracestate"] = []string{state1, state2}
		r.Header["Baggage"] = []string{bag}
		h.ServeHTTP(httptest.NewRecorder(), r)
		one(t, spans)
		equal(t, "runs", runs, 1)
	})
}

package httpmw

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mw-go/mw"
)

func TestHeaderLimits(t *testing.T) {
	c := HeaderLimitsConfig{Fields: 4, Value: 64, Total: 200}
	for _, tc := range []struct {
		name   string
		header http.Header
		status int
	}{
		{"none", nil, 200},
		{"as many lines as allowed", http.Header{"A": {"1", "2", "3"}, "B": {"4"}}, 200},
		{"a line more", http.Header{"A": {"1", "2", "3"}, "B": {"4", "5"}}, 431},
		{"as large as allowed", http.Header{"A": {strings.Repeat("x", 64)}}, 200},
		{"a byte larger", http.Header{"A": {strings.Repeat("x", 65)}}, 431},
		{"all together as much as allowed", http.Header{"A": {strings.Repeat("x", 64), strings.Repeat("x", 64), strings.Repeat("x", 64)}, "Bcd": {"45"}}, 200},
		{"all together a byte more", http.Header{"A": {strings.Repeat("x", 64), strings.Repeat("x", 64), strings.Repeat("x", 64)}, "Bcd": {"456"}}, 431},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", &untouched{t})
			r.Header = tc.header
			w := do(mw.Must(HeaderLimits(c))(okHandler), r)
			equal(t, "status", w.Code, tc.status)
			if w.Code == 431 {
				equal(t, "body", w.Body.String(), `{"title":"Request Header Fields Too Large","status":431}`+"\n")
			}
		})
	}
}

// Row "Header growth": a hostile baggage of 60 KB is refused by default, as is a flood of lines; a browser's cookies pass.
func TestHeaderGrowthIsBounded(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(mw.Must(HeaderLimits(HeaderLimitsConfig{}))(okHandler))
		for name, tc := range map[string]struct {
			header http.Header
			status int
		}{
			"baggage": {http.Header{"Baggage": {strings.Repeat("k=v,", 15000)}}, 431},
			"lines":   {http.Header{"Tracestate": make([]string, 101)}, 431},
			"cookies": {http.Header{"Cookie": {strings.Repeat("a=b; ", 2400)}}, 200},
		} {
			r, _ := http.NewRequest("GET", s.URL, nil)
			r.Header = tc.header
			resp, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			equal(t, name, resp.StatusCode, tc.status)
		}
	})
}

func TestHeaderLimitsConfig(t *testing.T) {
	_, err := HeaderLimits(HeaderLimitsConfig{Fields: -1, Value: 63, Total: 1 << 25})
	refused(t, "all", err, "fields: -1 is not allowed; allowed: 1..100000\n"+
		"value: 63 is not allowed; allowed: 64..16777216\ntotal: 33554432 is not allowed; allowed: 64..16777216")
}

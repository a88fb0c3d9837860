package httpmw

import (
	"net/http/httptest"
	"testing"
	"time"
)

// TestPreconditionsHaveTheirOrder walks RFC 9110 section 13.2.2.
func TestPreconditionsHaveTheirOrder(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const (
		before = "Fri, 02 Jan 2026 03:04:04 GMT"
		at     = "Fri, 02 Jan 2026 03:04:05 GMT"
	)
	full := validators{etag: `"a"`, modified: now, exists: true}
	weak := validators{etag: `W/"a"`, exists: true}
	for _, tc := range []struct {
		name   string
		method string
		v      validators
		want   int
		fields []string
	}{
		{"none", "GET", full, 0, nil},
		{"If-Match holds", "PUT", full, 0, []string{"If-Match", `"x", "a"`}},
		{"If-Match on a second line", "PUT", full, 0, []string{"If-Match", `"x"`, "If-Match", `"a"`}},
		{"If-Match fails", "PUT", full, 412, []string{"If-Match", `"x"`}},
		{"If-Match fails on GET", "GET", full, 412, []string{"If-Match", `"x"`}},
		{"If-Match compares strongly", "PUT", weak, 412, []string{"If-Match", `W/"a"`}},
		{"If-Match of a weak one", "PUT", full, 412, []string{"If-Match", `W/"a"`}},
		{"If-Match any", "PUT", full, 0, []string{"If-Match", `*`}},
		{"If-Match any of nothing", "PUT", validators{}, 412, []string{"If-Match", `*`}},
		{"If-Match that is damaged", "PUT", full, 412, []string{"If-Match", `a`}},
		{"If-Match goes before If-Unmodified-Since", "PUT", full, 0, []string{"If-Match", `"a"`, "If-Unmodified-Since", before}},
		{"If-Unmodified-Since holds", "PUT", full, 0, []string{"If-Unmodified-Since", at}},
		{"If-Unmodified-Since fails", "PUT", full, 412, []string{"If-Unmodified-Since", before}},
		{"If-Unmodified-Since without a date", "PUT", weak, 0, []string{"If-Unmodified-Since", before}},
		{"If-Unmodified-Since that is damaged", "PUT", full, 0, []string{"If-Unmodified-Since", "yesterday"}},
		{"If-None-Match matches", "GET", full, 304, []string{"If-None-Match", `"x", "a"`}},
		{"If-None-Match on HEAD", "HEAD", full, 304, []string{"If-None-Match", `"a"`}},
		{"If-None-Match compares weakly", "GET", full, 304, []string{"If-None-Match", `W/"a"`}},
		{"If-None-Match of weak ones", "GET", weak, 304, []string{"If-None-Match", `"a"`}},
		{"If-None-Match does not match", "GET", full, 0, []string{"If-None-Match", `"x"`}},
		{"If-None-Match with a comma inside", "GET", full, 0, []string{"If-None-Match", `"x,"`}},
		{"If-None-Match any", "GET", full, 304, []string{"If-None-Match", ` * `}},
		{"If-None-Match any creates", "PUT", validators{}, 0, []string{"If-None-Match", `*`}},
		{"If-None-Match any exists", "PUT", full, 412, []string{"If-None-Match", `*`}},
		{"If-None-Match unsafe", "PUT", full, 412, []string{"If-None-Match", `"a"`}},
		{"If-None-Match goes before If-Modified-Since", "GET", full, 0, []string{"If-None-Match", `"x"`, "If-Modified-Since", at}},
		{"If-None-Match that is damaged", "GET", full, 0, []string{"If-None-Match", `"a`}},
		{"If-Match, then If-None-Match", "GET", full, 304, []string{"If-Match", `"a"`, "If-None-Match", `"a"`}},
		{"If-Modified-Since not modified", "GET", full, 304, []string{"If-Modified-Since", at}},
		{"If-Modified-Since modified", "GET", full, 0, []string{"If-Modified-Since", before}},
		{"If-Modified-Since is for GET and HEAD", "PUT", full, 0, []string{"If-Modified-Since", at}},
		{"If-Modified-Since twice", "GET", full, 0, []string{"If-Modified-Since", at, "If-Modified-Since", at}},
		{"If-Modified-Since without a date", "GET", weak, 0, []string{"If-Modified-Since", at}},
	} {
		r := httptest.NewRequest(tc.method, "/", nil)
		for i := 0; i < len(tc.fields); i += 2 {
			r.Header.Add(tc.fields[i], tc.fields[i+1])
		}
		if got := precondition(r, tc.v); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

// FuzzPrecondition: whatever a client sends, one of three answers, and its own tag is found again.
func FuzzPrecondition(f *testing.F) {
	f.Add(`"a"`, `W/"b", "c"`, "GET")
	f.Add(`"a,b"`, `"a,b`, "PUT")
	f.Add(`W/"`, "*", "HEAD")
	f.Fuzz(func(t *testing.T, etag, field, method string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Method = method
		r.Header.Set("If-None-Match", field)
		v := validators{etag: etag, exists: true}
		if !isETag(etag) {
			v.etag = ""
		}
		switch got := precondition(r, v); got {
		case 0, 304, 412:
		default:
			t.Errorf("status %d", got)
		}
		if v.etag != "" && !v.matches([]string{"\"x\" , " + etag + ","}, weakly) {
			t.Errorf("%q is not found", etag)
		}
	})
}

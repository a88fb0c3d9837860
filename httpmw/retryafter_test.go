package httpmw

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

func TestRetryAfterForms(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		field, date string
		want        time.Duration
		ok          bool
	}{
		{"120", "", 2 * time.Minute, true},
		{" 7\t", "", 7 * time.Second, true},
		{"0", "", 0, true},
		{"0000000000000000000000000000005", "", 5 * time.Second, true},
		{"9223372036", "", 9223372036 * time.Second, true},
		{"9223372037", "", core.Never, true},
		{"99999999999999999999999999999999", "", core.Never, true},
		// RFC 9110 section 5.6.7: the date to send, and the two to be understood.
		{"Wed, 25 Nov 2026 12:00:02 GMT", "", 2 * time.Second, true},
		{"Wednesday, 25-Nov-26 12:00:02 GMT", "", 2 * time.Second, true},
		{"Wed Nov 25 12:00:02 2026", "", 2 * time.Second, true},
		// Two digits of a year are never more than fifty years ahead.
		{"Sunday, 06-Nov-94 08:49:37 GMT", "", 0, true},
		{"Wednesday, 25-Nov-76 11:59:59 GMT", "", time.Date(2076, 11, 25, 11, 59, 59, 0, time.UTC).Sub(now), true},
		{"Sunday, 06-Nov-77 08:49:37 GMT", "", 0, true},
		{"Wed, 25 Nov 2026 11:59:00 GMT", "", 0, true},
		// By the server's clock, which is an hour ahead.
		{"Wed, 25 Nov 2026 13:00:02 GMT", "Wed, 25 Nov 2026 13:00:00 GMT", 2 * time.Second, true},
		{"Wed, 25 Nov 2026 12:00:02 GMT", "yesterday", 2 * time.Second, true},
		{"Fri, 31 Dec 9999 23:59:59 GMT", "Wed, 25 Nov 0001 13:00:00 GMT", core.Never, true},
		{"", "", 0, false}, {"-1", "", 0, false}, {"+1", "", 0, false}, {"1.5", "", 0, false}, {"1 s", "", 0, false}, {"1,2", "", 0, false},
		{"soon", "", 0, false}, {"１", "", 0, false}, {"2026-11-25T12:00:02Z", "", 0, false}, {"Wed, 25 Nov 2026 12:00:02 +0000", "", 0, false},
		{"Wed, 31 Feb 2026 12:00:02 GMT", "", 0, false},
	} {
		h := http.Header{"Retry-After": {c.field}}
		if c.date != "" {
			h["Date"] = []string{c.date}
		}
		if got, ok := retryAfter(h, now); got != c.want || ok != c.ok {
			t.Errorf("%q, Date %q: %v, %v, want %v, %v", c.field, c.date, got, ok, c.want, c.ok)
		}
	}
	if _, ok := retryAfter(http.Header{}, now); ok {
		t.Error("no field")
	}
	if got, ok := retryAfter(http.Header{"Retry-After": {"3", "9"}}, now); got != 3*time.Second || !ok {
		t.Errorf("two lines: %v, %v", got, ok)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"120", "-1", "Wed, 25 Nov 2026 12:00:02 GMT", "Wednesday, 25-Nov-26 12:00:02 GMT", "Wed Nov 25 12:00:02 2026"} {
		f.Add(seed, "Wed, 25 Nov 2026 12:00:00 GMT", int64(1795608000))
	}
	f.Fuzz(func(t *testing.T, field, date string, unix int64) {
		now := time.Unix(unix%(1<<36), 0)
		d, ok := retryAfter(http.Header{"Retry-After": {field}, "Date": {date}}, now)
		if d < 0 || !ok && d != 0 {
			t.Fatalf("%q, %q: %v, %v", field, date, d, ok)
		}
		digits := field != "" && strings.Trim(field, "0123456789") == ""
		if digits && !ok {
			t.Fatalf("%q are seconds", field)
		}
	})
}

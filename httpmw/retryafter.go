package httpmw

import (
	"net/http"
	"strings"
	"time"

	"github.com/mw-go/mw/core"
)

// retryAfter is how long the Retry-After of a response asks to wait, as of now (RFC 9110 section 10.2.3). ok is false if there
// is none, or what is there is neither a number of seconds nor a date; then it is as good as absent.
//
// Seconds beyond all times are core.Never. A date is counted from the response's own Date, so that the clocks need not
// agree, or else from now; one that has passed is 0. All three forms of a date are taken.
func retryAfter(h http.Header, now time.Time) (wait time.Duration, ok bool) {
	lines := h["Retry-After"]
	if len(lines) == 0 {
		return 0, false
	}
	text := strings.Trim(lines[0], " \t")
	if n, ok := seconds(text); ok {
		return n, true
	}
	at, ok := httpDate(text, now)
	if !ok {
		return 0, false
	}
	if lines := h["Date"]; len(lines) > 0 {
		if sent, ok := httpDate(lines[0], now); ok {
			now = sent
		}
	}
	return max(at.Sub(now), 0), true
}

// seconds reads delay-seconds, which are digits and nothing else.
func seconds(text string) (d time.Duration, ok bool) {
	if text == "" {
		return 0, false
	}
	var n int64
	const most = int64(core.Never / time.Second)
	for i := range len(text) {
		digit := int64(text[i]) - '0'
		if digit < 0 || digit > 9 {
			return 0, false
		}
		if n <= most {
			n = n*10 + digit
		}
	}
	if n > most {
		return core.Never, true
	}
	return time.Duration(n) * time.Second, true
}

// httpDate reads a date in any of the forms of RFC 9110 section 5.6.7. Of the years that the two digits of the obsolete form may
// mean, it is the latest that is no more than 50 years ahead.
func httpDate(text string, now time.Time) (time.Time, bool) {
	t, err := http.ParseTime(text)
	if err != nil {
		return t, false
	}
	if _, err := time.Parse(time.RFC850, text); err == nil {
		year := t.Year()%100 + now.Year()/100*100
		switch {
		case year > now.Year()+50:
			year -= 100
		case year+100 <= now.Year()+50:
			year += 100
		}
		t = t.AddDate(year-t.Year(), 0, 0)
	}
	return t, true
}

package httpcache

import (
	"strings"
	"time"
)

// Directives are what Cache-Control says, of a request or of a response. A duration is negative if it was not said.
type Directives struct {
	MaxAge, SMaxAge                    time.Duration
	StaleWhileRevalidate, StaleIfError time.Duration // RFC 5861
	MinFresh, MaxStale                 time.Duration // MaxStale without a value is longest

	NoStore, NoCache, Private, Public bool
	MustRevalidate, ProxyRevalidate   bool
	MustUnderstand, OnlyIfCached      bool
	NoTransform, Immutable, AnyAtAll  bool
}

// longest is what a number of seconds is cut to: RFC 9111 section 1.2.2 asks for 2^31, and that is 68 years.
const longest = (1 << 31) * time.Second

// Parse reads the lines of a Cache-Control field. What it does not understand it leaves out, but for durations that are
// no number: those are 0, because whoever wrote one meant a bound (RFC 9111 section 4.2.1). Of a duration that is said
// twice the shorter counts. private and no-cache with field names count as without: stricter, and simple.
func Parse(lines []string) Directives {
	d := Directives{MaxAge: -1, SMaxAge: -1, StaleWhileRevalidate: -1, StaleIfError: -1, MinFresh: -1, MaxStale: -1}
	for _, line := range lines {
		for line != "" {
			var name, value string
			var valued bool
			name, value, valued, line = directive(line)
			if name != "" {
				d.AnyAtAll = true
				d.take(strings.ToLower(name), value, valued)
			}
		}
	}
	return d
}

func (d *Directives) take(name, value string, valued bool) {
	switch name {
	case "max-age":
		shorter(&d.MaxAge, value)
	case "s-maxage":
		shorter(&d.SMaxAge, value)
	case "stale-while-revalidate":
		shorter(&d.StaleWhileRevalidate, value)
	case "stale-if-error":
		shorter(&d.StaleIfError, value)
	case "min-fresh":
		shorter(&d.MinFresh, value)
	case "max-stale":
		if !valued {
			d.MaxStale = longest
			return
		}
		shorter(&d.MaxStale, value)
	case "no-store":
		d.NoStore = true
	case "no-cache":
		d.NoCache = true
	case "private":
		d.Private = true
	case "public":
		d.Public = true
	case "must-revalidate":
		d.MustRevalidate = true
	case "proxy-revalidate":
		d.ProxyRevalidate = true
	case "must-understand":
		d.MustUnderstand = true
	case "only-if-cached":
		d.OnlyIfCached = true
	case "no-transform":
		d.NoTransform = true
	case "immutable":
		d.Immutable = true
	}
}

// directive cuts the first directive off a line. name is empty for an empty element and for one that does not begin with
// a token.
func directive(line string) (name, value string, valued bool, rest string) {
	line = strings.TrimLeft(line, " \t,")
	n := 0
	for n < len(line) && isTokenByte(line[n]) {
		n++
	}
	name, line = line[:n], strings.TrimLeft(line[n:], " \t")
	if strings.HasPrefix(line, "=") {
		valued = true
		value, line = argument(strings.TrimLeft(line[1:], " \t"))
	}
	return name, value, valued, skip(line)
}

// argument cuts a token or a quoted string off s.
func argument(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		n := 0
		for n < len(s) && isTokenByte(s[n]) {
			n++
		}
		return s[:n], s[n:]
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:]
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "" // never closed: nothing after it can be trusted to be a directive
}

// skip goes to the next comma that is not inside of a quoted string.
func skip(s string) string {
	for s != "" && s[0] != ',' {
		if s[0] == '"' {
			_, s = argument(s)
			continue
		}
		s = s[1:]
	}
	return s
}

// shorter puts a number of seconds in place of a longer one.
func shorter(d *time.Duration, value string) {
	v := Seconds(value)
	if v < 0 {
		v = 0
	}
	if *d < 0 || v < *d {
		*d = v
	}
}

// Seconds reads a number of seconds, as in delta-seconds and Age; negative if it is none.
func Seconds(s string) time.Duration {
	if s == "" {
		return -1
	}
	var n time.Duration
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return -1
		}
		if n < longest/time.Second {
			n = n*10 + time.Duration(c-'0')
		}
	}
	return min(n, longest/time.Second) * time.Second
}

func isTokenByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

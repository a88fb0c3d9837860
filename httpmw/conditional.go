package httpmw

import (
	"net/http"
	"strings"
	"time"
)

// validators are what tells one state of a resource from another.
type validators struct {
	etag     string    // as in the field; "" if there is none
	modified time.Time // zero if it is not known
	exists   bool      // there is a current representation at all
}

// validatorsOf are those of a response.
func validatorsOf(h http.Header) validators {
	v := validators{exists: true, etag: h.Get("Etag")}
	if t, err := http.ParseTime(h.Get("Last-Modified")); err == nil {
		v.modified = t
	}
	return v
}

// isConditional reports whether a request has a precondition that precondition evaluates.
func isConditional(h http.Header) bool {
	return len(h["If-None-Match"]) > 0 || len(h["If-Modified-Since"]) > 0 ||
		len(h["If-Match"]) > 0 || len(h["If-Unmodified-Since"]) > 0
}

// precondition evaluates a request's preconditions in the order of RFC 9110 section 13.2.2 and returns the status that
// it is to be answered with, 304 or 412, or 0 if it is to be served. If-Range is for who serves ranges.
func precondition(r *http.Request, v validators) (status int) {
	if matches := r.Header["If-Match"]; len(matches) > 0 {
		if !v.matches(matches, strongly) {
			return http.StatusPreconditionFailed
		}
	} else if since, ok := dateOf(r.Header["If-Unmodified-Since"]); ok && !v.modified.IsZero() && v.modified.After(since) {
		return http.StatusPreconditionFailed
	}
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead
	if none := r.Header["If-None-Match"]; len(none) > 0 {
		switch {
		case !v.matches(none, weakly):
			return 0
		case safe:
			return http.StatusNotModified
		default:
			return http.StatusPreconditionFailed
		}
	}
	if since, ok := dateOf(r.Header["If-Modified-Since"]); ok && safe && !v.modified.IsZero() && !v.modified.After(since) {
		return http.StatusNotModified
	}
	return 0
}

// dateOf returns the date of a field. One that is no date, or comes more than once, is ignored.
func dateOf(lines []string) (time.Time, bool) {
	if len(lines) != 1 {
		return time.Time{}, false
	}
	t, err := http.ParseTime(lines[0])
	return t, err == nil
}

// matches reports whether one of the entity tags of a field is the current one. "*" is any that exists.
func (v validators) matches(lines []string, same func(a, b string) bool) bool {
	for _, line := range lines {
		line = strings.TrimLeft(line, " \t,")
		if strings.TrimRight(line, " \t,") == "*" {
			return v.exists
		}
		for line != "" {
			tag, rest, ok := scanETag(line)
			if !ok {
				break // what follows cannot be told apart
			}
			if v.etag != "" && same(tag, v.etag) {
				return true
			}
			line = strings.TrimLeft(rest, " \t")
			if line != "" && line[0] != ',' {
				break
			}
			line = strings.TrimLeft(line, " \t,")
		}
	}
	return false
}

// strongly is the strong comparison of RFC 9110 section 8.8.3.2: the same octets.
func strongly(a, b string) bool { return a == b && a[0] == '"' }

// weakly is the weak comparison: the same for the one who asks.
func weakly(a, b string) bool { return strings.TrimPrefix(a, "W/") == strings.TrimPrefix(b, "W/") }

// scanETag cuts the entity tag off that s begins with.
func scanETag(s string) (tag, rest string, ok bool) {
	start := 0
	if strings.HasPrefix(s, "W/") {
		start = 2
	}
	if len(s) < start+2 || s[start] != '"' {
		return "", s, false
	}
	for i := start + 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[:i+1], s[i+1:], true
		case c < 0x21 || c == 0x7f:
			return "", s, false
		}
	}
	return "", s, false
}

// isETag reports whether s is one entity tag and nothing else.
func isETag(s string) bool {
	_, rest, ok := scanETag(s)
	return ok && rest == ""
}

// bodyFields are what a 304 leaves out: the client has them. Cache-Control, Content-Location, Date, ETag, Expires and
// Vary stay, and whatever else the handler set (RFC 9110 section 15.4.5).
var bodyFields = [...]string{"Content-Encoding", "Content-Length", "Content-Range", "Content-Type", "Trailer"}

// notModified makes the header of a 200 that of a 304.
func notModified(h http.Header) {
	for _, name := range bodyFields {
		delete(h, name)
	}
	if len(h["Etag"]) > 0 {
		delete(h, "Last-Modified")
	}
}

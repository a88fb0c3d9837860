package httpmw

import (
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// method returns m if a standard defines it (RFC 9110, PATCH of RFC 5789, QUERY), else _OTHER: methods become labels, and the
// client chooses them.
//
// It returns a constant and not m, so that labels that are kept do not keep the buffer of a request.
func method(m string) string {
	for _, known := range [...]string{
		http.MethodGet, http.MethodPost, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace, "QUERY",
	} {
		if m == known {
			return known
		}
	}
	return "_OTHER"
}

// printable returns at most limit bytes of s with everything that could forge or garble a line of a log replaced by U+FFFD:
// control and format characters (bidirectional overrides too), line and paragraph separators, invalid UTF-8. It does not
// allocate if there is nothing to replace.
func printable(s string, limit int) string {
	if len(s) > limit {
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = s[:limit]
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return strings.Map(printableRune, s)
		}
	}
	return s
}

func printableRune(r rune) rune {
	if r == ' ' || unicode.IsGraphic(r) && !unicode.Is(unicode.Z, r) {
		return r
	}
	return utf8.RuneError
}

package httpmw

import (
	"net/http"
	"slices"
	"strings"
)

const fieldProto = "X-Forwarded-Proto"

// overTLS reports whether the client's own connection is encrypted: the one to this server or, as far as t trusts the
// peer, the one to the outermost proxy. With Forwarded it is the proto parameter of the element that names the client.
// X-Forwarded-Proto has no such order that one could rely on, so there every element must say https.
func (t Trust) overTLS(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	if _, ok := t.peer(r); !ok {
		return false
	}
	if t.rules.standard {
		return t.rules.clientProto(r.Header[fieldForwarded])
	}
	return allHTTPS(r.Header[fieldProto])
}

// clientProto walks as Trust does for the client's address.
func (t *trustRules) clientProto(lines []string) bool {
	https := false
	for _, line := range slices.Backward(lines) {
		for {
			rest, element, ok := lastForwarded(line)
			if !ok {
				break
			}
			line = rest
			https = strings.EqualFold(forwardedParam(element, "proto"), "https")
			if addr, ok := forwardedFor(element); !ok || !t.trusts(addr) {
				return https
			}
		}
	}
	return https
}

// forwardedParam returns a parameter of an element of Forwarded; empty if there is none or the element is malformed.
func forwardedParam(element, want string) (found string) {
	for element != "" {
		semicolon := lastUnquoted(element, ';')
		name, value, _ := strings.Cut(trimOWS(element[semicolon+1:]), "=")
		element = element[:max(semicolon, 0)]
		if !strings.EqualFold(name, want) {
			continue
		}
		value, ok := unquote(value)
		if !ok || found != "" { // twice: whom to believe?
			return ""
		}
		found = value
	}
	return found
}

func allHTTPS(lines []string) bool {
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			if !strings.EqualFold(trimOWS(element), "https") {
				return false
			}
		}
	}
	return len(lines) > 0
}

package httpmw

import (
	"net/netip"
	"strings"
)

// A list of hops is read from the right, where our own proxy wrote: what a stranger put further left is not looked at
// before the walk gets there, so it can neither hide an element nor break the parse of a later one.

// lastXFF cuts the last element off an X-Forwarded-For line. Empty elements are skipped, as lists allow them (RFC 9110
// section 5.6.1). ok is false if there is none.
func lastXFF(line string) (rest, element string, ok bool) {
	for line != "" {
		comma := strings.LastIndexByte(line, ',')
		element = trimOWS(line[comma+1:])
		line = line[:max(comma, 0)]
		if element != "" {
			return line, element, true
		}
	}
	return "", "", false
}

// lastForwarded cuts the last element off a Forwarded line, with the quoted strings in it, which may hold commas. An
// element whose quotes do not match is the whole rest of the line.
func lastForwarded(line string) (rest, element string, ok bool) {
	for line != "" {
		comma := lastUnquoted(line, ',')
		element = trimOWS(line[comma+1:])
		line = line[:max(comma, 0)]
		if element != "" {
			return line, element, true
		}
	}
	return "", "", false
}

// lastUnquoted is strings.LastIndexByte, skipping quoted strings. Read from the right, a quote that is not escaped
// opens or closes; one that follows an odd number of backslashes is escaped.
func lastUnquoted(s string, sep byte) int {
	quoted := false
	for i := len(s) - 1; i >= 0; i-- {
		switch {
		case s[i] == '"' && !(quoted && escaped(s, i)):
			quoted = !quoted
		case s[i] == sep && !quoted:
			return i
		}
	}
	return -1
}

// escaped reports whether an odd number of backslashes precedes s[i].
func escaped(s string, i int) bool {
	n := 0
	for i > n && s[i-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// forwardedFor returns the address in the for parameter of an element of Forwarded (RFC 7239 section 4). It is false if
// there is none or more than one, or the element is malformed.
func forwardedFor(element string) (addr netip.Addr, ok bool) {
	for element != "" {
		semicolon := lastUnquoted(element, ';')
		pair := trimOWS(element[semicolon+1:])
		element = element[:max(semicolon, 0)]
		if pair == "" {
			continue
		}
		name, value, found := strings.Cut(pair, "=")
		if !found || !isToken(name) {
			return netip.Addr{}, false
		}
		value, found = unquote(value)
		if !found {
			return netip.Addr{}, false
		}
		if !strings.EqualFold(name, "for") {
			continue
		}
		if ok { // twice: whom to believe?
			return netip.Addr{}, false
		}
		if addr, ok = parseNode(value); !ok {
			return netip.Addr{}, false
		}
	}
	return addr, ok
}

// unquote returns the text of a token or quoted-string. Outside quotes it takes more than tokens, for IPv6 addresses
// and ports are often sent without the quotes that they need.
func unquote(s string) (string, bool) {
	if s == "" || s[0] != '"' {
		return s, s != "" && !strings.ContainsAny(s, "\" \t\\")
	}
	if len(s) < 2 || s[len(s)-1] != '"' || escaped(s, len(s)-1) {
		return "", false
	}
	s = s[1 : len(s)-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s, strings.IndexByte(s, '"') < 0
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return "", false
		case '\\':
			i++ // the last byte is not an escape: see above
		}
		b.WriteByte(s[i])
	}
	return b.String(), true
}

// parseNode reads an address with or without a port: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1],
// [2001:db8::1]:80. "unknown", obfuscated identifiers (_hidden) and all else are false.
func parseNode(s string) (netip.Addr, bool) {
	host, port := s, ""
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return netip.Addr{}, false
		}
		host, port = s[1:end], s[end+1:]
		if !strings.Contains(host, ":") {
			return netip.Addr{}, false // brackets are for IPv6
		}
	} else if colon := strings.IndexByte(s, ':'); colon >= 0 && colon == strings.LastIndexByte(s, ':') {
		host, port = s[:colon], s[colon:]
	}
	if port != "" && (port[0] != ':' || !isPort(port[1:])) {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, false
	}
	return plain(addr), true
}

// isPort holds for 1 to 5 digits, or an obfuscated port as RFC 7239 section 6.2 allows it.
func isPort(s string) bool {
	if strings.HasPrefix(s, "_") {
		return isToken(s)
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return 0 < len(s) && len(s) <= 5
}

// plain removes what does not tell one client from another: the zone, which means something on its own host only, and
// the mapping of IPv4 into IPv6.
func plain(addr netip.Addr) netip.Addr { return addr.WithZone("").Unmap() }

func trimOWS(s string) string { return strings.Trim(s, " \t") }

// Package tracefield reads the fields that carry a trace, and what strangers may pass on with them, from one service to the
// next.
package tracefield

import "strings"

// What strangers may put into our traces and pass on through us.
const (
	MaxMembers    = 32   // of tracestate: W3C Trace Context, section 3.3.1.1
	maxTracestate = 8192 // bytes; the specification asks for 512 at least
	MaxBaggage    = 8192 // bytes: W3C Baggage, section 3.3.2
)

// Checked reports whether Value looks at the lines of a field. The key is in lower case.
func Checked(key string) bool { return key == "traceparent" || key == "tracestate" || key == "baggage" }

// Value returns the one value of a field, given its lines and its key in lower case: "" for a traceparent that is there twice,
// since nobody can say which to believe; all lines of tracestate and baggage joined, "" if that is more than is taken; the
// first of any other.
func Value(key string, lines []string) string {
	switch key {
	case "traceparent":
		if len(lines) != 1 {
			return ""
		}
	case "tracestate":
		return joined(lines, maxTracestate, MaxMembers)
	case "baggage":
		return joined(lines, MaxBaggage, MaxBaggage)
	}
	if len(lines) == 0 {
		return ""
	}
	return lines[0]
}

// joined is the lines as one list; "" if it has more bytes or members than are taken.
func joined(lines []string, maxBytes, most int) string {
	size, members := 0, 0
	for _, line := range lines {
		size += len(line) + 1
		members += strings.Count(line, ",") + 1
	}
	if size-1 > maxBytes {
		return ""
	}
	if members > most && countMembers(lines) > most {
		return ""
	}
	if len(lines) == 1 {
		return lines[0]
	}
	return strings.Join(lines, ",")
}

// countMembers counts the members that are not empty; a list may have empty ones, which do not count.
func countMembers(lines []string) (n int) {
	for _, line := range lines {
		for member := range strings.SplitSeq(line, ",") {
			if strings.Trim(member, " \t") != "" {
				n++
			}
		}
	}
	return n
}

package trace

import (
	"context"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/propagation"
)

// What strangers may put into our traces and pass on through us.
const (
	maxMembers    = 32   // of tracestate: W3C Trace Context, section 3.3.1.1
	maxTracestate = 8192 // bytes; the specification asks for 512 at least
	maxBaggage    = 8192 // bytes: W3C Baggage, section 3.3.2
)

// entry is a propagator that reads the fields of a request through carrier.
type entry struct{ propagation.TextMapPropagator }

// Extract implements propagation.TextMapPropagator.
func (e entry) Extract(ctx context.Context, c propagation.TextMapCarrier) context.Context {
	if h, ok := c.(propagation.HeaderCarrier); ok {
		c = carrier{h}
	}
	return e.TextMapPropagator.Extract(ctx, c)
}

// carrier is a header whose fields have been looked at.
type carrier struct{ propagation.HeaderCarrier }

// Get returns the one value of a field: "" for a traceparent that is there twice, since nobody can say which to believe; all
// lines of tracestate and baggage joined, "" if that is more than is taken.
func (c carrier) Get(key string) string {
	lines := c.HeaderCarrier.Values(key)
	switch http.CanonicalHeaderKey(key) {
	case "Traceparent":
		if len(lines) != 1 {
			return ""
		}
	case "Tracestate":
		return joined(lines, maxTracestate, maxMembers)
	case "Baggage":
		return joined(lines, maxBaggage, maxBaggage)
	}
	if len(lines) == 0 {
		return ""
	}
	return lines[0]
}

// Values returns what Get does, as propagators that take several lines ask for it.
func (c carrier) Values(key string) []string {
	switch http.CanonicalHeaderKey(key) {
	case "Traceparent", "Tracestate", "Baggage":
		if v := c.Get(key); v != "" {
			return []string{v}
		}
		return nil
	default:
		return c.HeaderCarrier.Values(key)
	}
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

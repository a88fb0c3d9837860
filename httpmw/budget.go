package httpmw

import (
	"net/http"
	"strconv"
	"time"

	"github.com/mw-go/mw/core"
)

// The fields that tell how long a caller will wait.
const (
	fieldRequestTimeout = "Request-Timeout"
	fieldGRPCTimeout    = "Grpc-Timeout"
)

// maxBudget is how long a field may be: longer ones are no durations.
const maxBudget = 32

// budgetOf returns the value of a budget field, core.Never if there is none that can be read. A field that occurs twice
// cannot.
func budgetOf(h http.Header, name string, parse func(string) (time.Duration, bool)) time.Duration {
	lines := h[name]
	if len(lines) != 1 {
		return core.Never
	}
	if d, ok := parse(lines[0]); ok {
		return d
	}
	return core.Never
}

// parserOf returns the syntax of a field.
func parserOf(name string) func(string) (time.Duration, bool) {
	if name == fieldGRPCTimeout {
		return parseGRPCTimeout
	}
	return parseBudget
}

// parseBudget reads milliseconds (1500) or a duration with units (1.5s, 250ms, 1m30s), without a sign.
func parseBudget(text string) (time.Duration, bool) {
	if text == "" || len(text) > maxBudget {
		return 0, false
	}
	if n, whole := digits(text); whole {
		return saturate(n, time.Millisecond), true
	}
	if text[0] == '+' || text[0] == '-' {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	return d, err == nil
}

// parseGRPCTimeout reads the grpc-timeout field of gRPC over HTTP/2: 1 to 8 digits and a unit, one of HMSmun.
func parseGRPCTimeout(text string) (time.Duration, bool) {
	last := len(text) - 1
	if last < 1 || last > 8 {
		return 0, false
	}
	n, whole := digits(text[:last])
	unit, known := grpcUnits[text[last]]
	if !whole || !known {
		return 0, false
	}
	return saturate(n, unit), true
}

var grpcUnits = map[byte]time.Duration{
	'H': time.Hour, 'M': time.Minute, 'S': time.Second,
	'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
}

// digits reads a number that is nothing but digits, held at the end of the range.
func digits(text string) (n int64, whole bool) {
	for i := range len(text) {
		c := text[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if n > (maxInt64-9)/10 {
			n = maxInt64
			continue
		}
		n = n*10 + int64(c-'0')
	}
	return n, text != ""
}

const maxInt64 = 1<<63 - 1

// saturate returns n units, held at core.Never.
func saturate(n int64, unit time.Duration) time.Duration {
	if n > maxInt64/int64(unit) {
		return core.Never
	}
	return time.Duration(n) * unit
}

// formatBudget writes whole milliseconds, rounded down, at least one.
func formatBudget(d time.Duration) string {
	return strconv.FormatInt(max(d.Milliseconds(), 1), 10) + "ms"
}

// formatGRPCTimeout writes a grpc-timeout in the smallest unit that eight digits have room for, rounded down.
func formatGRPCTimeout(d time.Duration) string {
	const most = 99_999_999
	switch d = max(d, 1); {
	case d <= most:
		return strconv.FormatInt(int64(d), 10) + "n"
	case d/time.Microsecond <= most:
		return strconv.FormatInt(int64(d/time.Microsecond), 10) + "u"
	case d/time.Millisecond <= most:
		return strconv.FormatInt(int64(d/time.Millisecond), 10) + "m"
	default:
		return strconv.FormatInt(min(int64(d/time.Second), most), 10) + "S"
	}
}

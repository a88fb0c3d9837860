// Package jsonline writes the lines of access logs.
package jsonline

import (
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

// Writer writes records as lines of JSON, as slog.NewJSONHandler without options does, byte for byte where strings are
// printable and durations below a second. That one looks at every byte of the keys, which are constants here, and has
// encoding/json write the numbers with a fraction: two thirds of its time go there. Make one with New. Safe for concurrent
// use.
type Writer struct {
	mu  sync.Mutex // held while a line is written
	out io.Writer
}

// New returns a Writer of lines to out.
func New(out io.Writer) *Writer { return &Writer{out: out} }

// lines keeps the buffers of lines that were written.
var lines = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// Write writes one line, by one Write of out. What that returns is lost, as with slog: there is nobody to tell. Keys must be
// constants that need no escape; values are strings, integers, durations in seconds as floats, and nothing else.
func (l *Writer) Write(at time.Time, level slog.Level, message string, attrs []slog.Attr) {
	line := lines.Get().(*[]byte)
	b := append((*line)[:0], `{"time":"`...)
	b = at.AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","level":"`...)
	b = append(b, level.String()...)
	b = append(b, `","msg":`...)
	b = appendString(b, message)
	for i := range attrs {
		b = append(b, ',', '"')
		b = append(b, attrs[i].Key...) // one of the constants, which need no escape
		b = append(b, '"', ':')
		switch v := attrs[i].Value; v.Kind() {
		case slog.KindString:
			b = appendString(b, v.String())
		case slog.KindInt64:
			b = strconv.AppendInt(b, v.Int64(), 10)
		case slog.KindFloat64:
			b = appendSeconds(b, v.Float64())
		}
	}
	b = append(b, '}', '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.out.Write(b)
	*line = b
	lines.Put(line)
}

// appendSeconds writes a duration: digits and no exponent unless it is below a microsecond, where encoding/json has one.
func appendSeconds(b []byte, seconds float64) []byte {
	if ns := int64(seconds*1e9 + 0.5); 1000 <= ns && ns < 1e9 {
		b = append(b, '0', '.')
		for unit := int64(1e8); ns > 0; unit /= 10 {
			b = append(b, byte('0'+ns/unit))
			ns %= unit
		}
		return b
	}
	if seconds != 0 && seconds < 1e-6 {
		b = strconv.AppendFloat(b, seconds, 'e', -1, 64)
		if n := len(b); n >= 4 && b[n-4] == 'e' && b[n-2] == '0' { // e-09 is e-9
			b[n-2] = b[n-1]
			b = b[:n-1]
		}
		return b
	}
	return strconv.AppendFloat(b, seconds, 'f', -1, 64)
}

// appendString writes s in quotes.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return appendEscaped(b, s, i)
		}
	}
	b = append(b, s...)
	return append(b, '"')
}

// appendEscaped writes s and the closing quote; the bytes before clean need no escape.
func appendEscaped(b []byte, s string, clean int) []byte {
	const hex = "0123456789abcdef"
	b = append(b, s[:clean]...)
	for i := clean; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"', r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case r == '\r':
			b = append(b, '\\', 'r')
		case r == '\t':
			b = append(b, '\\', 't')
		case r < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		case r == utf8.RuneError && size == 1:
			b = append(b, `\ufffd`...)
		case r == '\u2028', r == '\u2029': // line ends to JavaScript
			b = append(b, '\\', 'u', '2', '0', '2', hex[r&15])
		default:
			b = append(b, s[i:i+size]...)
		}
		i += size
	}
	return append(b, '"')
}

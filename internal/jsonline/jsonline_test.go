package jsonline

import (
	"bytes"
	"log/slog"
	"testing"
	"time"
)

// FuzzWriter holds strings and durations against slog, byte by byte.
func FuzzWriter(f *testing.F) {
	f.Add("plain", int64(123456789))
	f.Add("\"\\\n\r\t\x00\x1f\x7f\u2028\u2029\ufffd\xff\xc3", int64(999))
	f.Add("<&>'é世界", int64(1000))
	f.Add("", int64(1e9-1))
	f.Add("x", int64(0))
	f.Fuzz(func(t *testing.T, s string, ns int64) {
		if ns < 0 {
			ns = -(ns + 1)
		}
		seconds := time.Duration(ns).Seconds()
		attrs := []slog.Attr{slog.String("s", s), slog.Float64("f", seconds), slog.Int64("n", ns)}
		var want, got bytes.Buffer
		at := time.Unix(0, ns%4e18).UTC()
		record := slog.NewRecord(at, slog.LevelWarn, s, 0)
		record.AddAttrs(attrs...)
		_ = slog.NewJSONHandler(&want, nil).Handle(t.Context(), record)
		New(&got).Write(at, slog.LevelWarn, s, attrs)
		if got.String() != want.String() {
			t.Errorf("\n got %q\nwant %q", got.String(), want.String())
		}
	})
}

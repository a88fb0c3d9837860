package httpmw

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// named puts handlers that do nothing but have a name in front of each other.
func named(names ...string) http.Handler {
	var h http.Handler = http.NotFoundHandler()
	for _, name := range slices.Backward(names) {
		h = &layer{name: name, next: h}
	}
	return h
}

// Every rule, with the order beside it that is fine.
func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		bad, good, why string
	}{
		{"AccessLog Recover", "Recover AccessLog", "a panic between them is not recovered"},
		{"RateLimit Recover", "Recover RateLimit", "a panic between them is not recovered"},
		{"RateLimit ClientIP", "ClientIP RateLimit", "the limit would look for the client by itself"},
		{"Guard ClientIP", "ClientIP Guard", "the limit would look for the client by itself"},
		{"RateLimit CORS", "CORS RateLimit", "a preflight carries no credentials"},
		{"Authenticate CORS", "CORS Authenticate", "a preflight carries no credentials"},
		{"CSRF CORS", "CORS CSRF", "a preflight carries no credentials"},
		{"Timeout SecureHeaders", "SecureHeaders Timeout", "would lack the security fields"},
		{"Compress Cache", "Cache Compress", "every hit would be compressed anew"},
		{"Breaker Fallback", "Fallback Breaker", "never of the failure"},
		{"Guard Fallback", "Fallback Guard", "never of the failure"},
		{"Validate Decompress", "Decompress Validate", "still compressed"},
		{"IdempotencyKey Decompress", "Decompress IdempotencyKey", "still compressed"},
		{"Cache Authenticate", "Authenticate Cache", "without asking who wants it"},
		{"Validate BodyLimit", "BodyLimit Validate", "before it is bounded"},
		{"ETag Compress", "Compress ETag", "what the compressor makes"},
		{"Recover Other Recover", "Recover Other", "the inner one takes every panic"},
		{"Cache Cache", "Cache", "the outer one answers"},
	} {
		names := strings.Fields(tt.bad)
		err := Check(named(names...))
		var order *OrderError
		if !errors.As(err, &order) || order.Outer != names[0] || order.Inner != names[len(names)-1] || !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%s: %v", tt.bad, err)
		}
		if err := Check(named(strings.Fields(tt.good)...)); err != nil {
			t.Errorf("%s: %v", tt.good, err)
		}
	}
	// Those that may stand twice, and a rule across what stands between.
	if err := Check(named("RateLimit", "RateLimit", "Guard", "Guard", "BodyLimit", "BodyLimit")); err != nil {
		t.Error(err)
	}
	err := Check(named("Compress", "Breaker", "Fallback", "Cache"))
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 2 {
		t.Errorf("%d faults: %v", len(lines), err)
	}
}

func TestLayers(t *testing.T) {
	h := Recover()(RequestID()(http.NotFoundHandler()))
	if got := Layers(h); !slices.Equal(got, []string{"Recover", "RequestID"}) {
		t.Errorf("%q", got)
	}
	if Layers(nil) != nil || Check(nil) != nil || Check(http.NotFoundHandler()) != nil {
		t.Error("layers of nothing")
	}
	self := &turning{}
	if got := Layers(self); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

// turning unwraps to itself.
type turning struct{ http.Handler }

func (h *turning) Unwrap() http.Handler { return h }

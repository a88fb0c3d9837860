package reqid

import (
	"strings"
	"testing"
)

func TestNew(t *testing.T) {
	a, b := New(), New()
	if len(a) != 32 || !Sane(a) || a == b || strings.Trim(a, "0123456789abcdef") != "" {
		t.Errorf("%q, %q", a, b)
	}
}

func TestSane(t *testing.T) {
	for id, want := range map[string]bool{
		"": false, "a": true, "A-z0.9_~+/=:": true, strings.Repeat("a", 128): true, strings.Repeat("a", 129): false,
		"a b": false, "a\n": false, "ä": false, `a"`: false, "a\x00": false,
	} {
		if Sane(id) != want {
			t.Errorf("Sane(%q) is %v", id, !want)
		}
	}
}

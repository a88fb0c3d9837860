package suggest

import "testing"

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "a", 0}, {"port", "prot", 1}, {"port", "ports", 1}, {"port", "ort", 1}, {"port", "pert", 1},
		{"ca", "abc", 3}, {"abcd", "badc", 2}, {"kitten", "sitting", 3},
	} {
		for _, pair := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			if got := Distance(pair[0], pair[1], 9); got != c.want {
				t.Errorf("Distance(%q, %q) = %d, want %d", pair[0], pair[1], got, c.want)
			}
		}
		if c.want > 0 {
			if got := Distance(c.a, c.b, c.want-1); got < c.want {
				t.Errorf("Distance(%q, %q) with a limit of %d = %d", c.a, c.b, c.want-1, got)
			}
		}
	}
}

func TestNear(t *testing.T) {
	names := []string{"port", "pool", "max_open_connections", "id", "ratio"}
	for name, want := range map[string]string{
		"prot": "port", "pol": "pool", "maxopenconections": "max_open_connections", "ix": "id", "x": "", "xy": "", "rate": "ratio",
		"listen_address": "", "": "",
	} {
		if got := Nearest(name, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

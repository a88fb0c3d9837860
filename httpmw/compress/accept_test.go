package compress

import (
	"strings"
	"testing"
)

var zstdThenGzip = []string{"zstd", "gzip"}

func TestNegotiate(t *testing.T) {
	const none, zs, gz = -1, 0, 1
	for _, tc := range []struct {
		field  string
		coding int
		forced bool
	}{
		{"", none, false},
		{"gzip", gz, false},
		{"GZip", gz, false},
		{"x-gzip", gz, false},
		{"zstd", zs, false},
		{"gzip, zstd", zs, false},
		{"gzip, deflate, br, zstd", zs, false},
		{"gzip;q=1, zstd;q=0.9", gz, false},
		{"gzip;q=0.5,zstd;q=0.5", zs, false},
		{"br", none, false},
		{"identity", none, false},
		{"*", zs, false},
		{"*;q=0.1, gzip", gz, false},
		{"zstd;q=0, *", gz, false},

		{"gzip;q=0", none, false},
		{"gzip;q=0.0", none, false},
		{"gzip;q=0.000", none, false},
		{"gzip; q=0", none, false},
		{"gzip;Q=0", none, false},
		{"gzip;q=0.001", gz, false},
		{"*;q=0", none, false},

		{"identity;q=0", none, false}, // and nothing else is taken: it cannot be served, and gets the plain form
		{"identity;q=0, gzip", gz, true},
		{"identity;q=0, gzip;q=0.1", gz, true},
		{"*;q=0, gzip", gz, true},
		{"*;q=0, identity, gzip", gz, false},
		{"identity;q=0, *", zs, true},
		{"identity;q=0, br", none, false},

		{"identity, gzip;q=0.5", none, false},
		{"identity;q=0.5, gzip;q=0.5", gz, false},
		{"identity;q=0.4, gzip;q=0.5", gz, false},

		{"gzip;q=2", none, false},
		{"gzip;q=1.001", none, false},
		{"gzip;q=0.1234", none, false},
		{"gzip;q=", none, false},
		{"gzip;q=.5", none, false},
		{"gzip;q=-1", none, false},
		{"gzip;q=1e0", none, false},
		{"gzip;level=9", none, false},
		{"gzip;q=0.5;x", none, false},
		{"notgzip, gzipped, gzip-x", none, false}, // no test for a substring
		{" , ,gzip , ", gz, false},
		{"gzip;q=0, gzip", gz, false},
	} {
		got := negotiate([]string{tc.field}, zstdThenGzip)
		if got != (choice{tc.coding, tc.forced}) {
			t.Errorf("%q: %+v", tc.field, got)
		}
	}
	if got := negotiate(nil, zstdThenGzip); got.coding >= 0 || got.forced {
		t.Errorf("no field: %+v", got)
	}
	if got := negotiate([]string{"gzip;q=0.5", "zstd;q=0.1"}, zstdThenGzip); got.coding != gz {
		t.Errorf("two lines: %+v", got)
	}
}

// FuzzAcceptEncoding: what is chosen was named, or a star was, and nothing that was refused is chosen.
func FuzzAcceptEncoding(f *testing.F) {
	for _, seed := range []string{"gzip, deflate, br, zstd", "gzip;q=0", "*;q=0, identity", "identity;q=0, gzip;q=0.001", ";;,=,q", "x-gzip;Q=1.000"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		got := negotiate([]string{field}, zstdThenGzip)
		if got != negotiate(strings.Split(field, ","), zstdThenGzip) {
			t.Fatal("lines and elements differ")
		}
		if got.coding < 0 {
			if got.forced {
				t.Fatal("forced to nothing")
			}
			return
		}
		lower := strings.ToLower(field)
		if name := zstdThenGzip[got.coding]; !strings.Contains(lower, name) && !strings.Contains(field, "*") {
			t.Fatalf("%s was not named", name)
		}
		if got.forced && !strings.Contains(lower, "q=0") {
			t.Fatal("forced, though nothing is refused")
		}
		// Refusing the choice at the end must take it away.
		refused := negotiate([]string{field, zstdThenGzip[got.coding] + ";q=0"}, zstdThenGzip)
		if refused.coding == got.coding {
			t.Fatal("chosen though refused")
		}
	})
}

func TestNegotiateDoesNotAllocate(t *testing.T) {
	lines := []string{"gzip, deflate, br;q=0.9, zstd;q=0.8, *;q=0.1"}
	if n := testing.AllocsPerRun(100, func() { negotiate(lines, zstdThenGzip) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

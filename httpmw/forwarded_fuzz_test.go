package httpmw

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// FuzzForwarded feeds the reader what a client may send, with the element of our proxy behind it. Whatever the client
// wrote, the reader must not crash, must come to an end, and must find our element, which names the client.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{
		"", ",", "for=1.2.3.4", `for="`, `for="a\`, `for=6.6.6.6;x="`, `"`, `\`, `\\"`, "for=[::1", ";;;", "=", `a="b,c";for=_x`,
		`for="[2001:db8::1]:80"`, "for=unknown, for=10.0.0.1", `for=6.6.6.6;host="\"`, "\x00", "for=1.2.3.4;for=1.2.3.4",
	} {
		f.Add(s)
	}
	ours := map[string]string{
		"for=192.0.2.1":                          "192.0.2.1",
		`for="[2001:db8::2]:4711";proto=https`:   "2001:db8::2",
		`by=10.0.0.1;for="192.0.2.3";host="a,b"`: "192.0.2.3",
		`for=192.0.2.4;host="a\"b\\"`:            "192.0.2.4",
	}
	rules := &trustRules{field: fieldForwarded, standard: true, proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	peer := netip.MustParseAddr("10.0.0.1")
	f.Fuzz(func(t *testing.T, hostile string) {
		_ = rules.walk(peer, []string{hostile})
		for element, want := range ours {
			for _, lines := range [][]string{{hostile + ", " + element}, {hostile + "," + element}, {hostile, element}} {
				if got := rules.walk(peer, lines); got.String() != want {
					t.Errorf("%q: client %s, want %s", lines, got, want)
				}
			}
		}
		checkElements(t, hostile)
	})
}

// checkElements holds the reader against one that goes from the left, where both can judge: on lines whose quotes
// match.
func checkElements(t *testing.T, line string) {
	want, ok := elementsFromTheLeft(line)
	if !ok {
		return
	}
	for _, w := range slices.Backward(want) {
		rest, element, ok := lastForwarded(line)
		if !ok || element != w {
			t.Fatalf("%q: element %q, %v; want %q", line, element, ok, w)
		}
		line = rest
	}
	if _, element, ok := lastForwarded(line); ok {
		t.Fatalf("one element too many: %q", element)
	}
}

func elementsFromTheLeft(line string) (elements []string, ok bool) {
	var quoted bool
	start := 0
	add := func(end int) {
		if e := trimOWS(line[start:end]); e != "" {
			elements = append(elements, e)
		}
		start = end + 1
	}
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\' && !quoted:
			return nil, false // a backslash outside quotes is no part of the grammar
		case line[i] == '\\':
			i++
		case line[i] == '"':
			quoted = !quoted
		case line[i] == ',' && !quoted:
			add(i)
		}
	}
	add(len(line))
	return elements, !quoted && start > len(line)
}

func FuzzXFF(f *testing.F) {
	for _, s := range []string{"", ",", "1.2.3.4", "[::1]:80", "10.0.0.1", ":::", "[", "1.2.3.4:", "fe80::1%x,"} {
		f.Add(s)
	}
	rules := &trustRules{field: fieldXFF, proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	peer := netip.MustParseAddr("10.0.0.1")
	f.Fuzz(func(t *testing.T, hostile string) {
		if got := rules.walk(peer, []string{hostile + ", 192.0.2.1"}); got.String() != "192.0.2.1" {
			t.Errorf("%q: client %s", hostile, got)
		}
		got := rules.walk(peer, []string{hostile})
		if got != peer && !rules.trusts(got) && got.Is4() && !strings.Contains(hostile, got.String()) && !strings.Contains(hostile, ":") {
			t.Errorf("%q: client %s came from nowhere", hostile, got)
		}
	})
}

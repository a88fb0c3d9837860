package series

import (
	"maps"
	"strconv"
	"testing"
	"unsafe"
)

func TestRPCMethods(t *testing.T) {
	for name, c := range map[string]struct {
		most  int
		known []string
		full  []string
		want  map[string]int64
	}{
		"all":   {10, nil, []string{"/a.B/C", "/a.B/C", "/a.B/D"}, map[string]int64{"a.B/C": 2, "a.B/D": 1, Other: 0}},
		"bound": {1, nil, []string{"/a.B/C", "/a.B/D", "/a.B/E"}, map[string]int64{"a.B/C": 1, Other: 2}},
		"known": {10, []string{"/a.B/C"}, []string{"/a.B/C", "/evil/1", "/evil/2"}, map[string]int64{"a.B/C": 1, Other: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewRPCMethods(c.most, c.known)
			for _, full := range c.full {
				m.Of(full).Add(1)
			}
			got := map[string]int64{}
			m.Each(func(name string, n int64) {
				if _, twice := got[name]; twice {
					t.Errorf("%s twice", name)
				}
				got[name] = n
			})
			if !maps.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
	if size := unsafe.Sizeof(RPCMethod{}); size%128 != 0 {
		t.Errorf("an RPCMethod has %d bytes", size)
	}
}

// Names that strangers invent take no place of the methods that there are.
func TestUnknownMethodsTakeNoPlace(t *testing.T) {
	m := NewRPCMethods(1, []string{"/a.B/C"})
	for i := range 100 {
		m.Of("/evil/" + strconv.Itoa(i))
	}
	if got := m.Of("/a.B/C").Name; got != "a.B/C" {
		t.Error(got)
	}
}

func TestSplitMethod(t *testing.T) {
	for full, want := range map[string][2]string{
		"/a.B/C": {"a.B", "C"}, "a/b/C": {"a/b", "C"}, "/x": {"x", "x"},
	} {
		service, method := NewRPCMethods(1, nil).Of(full).Split()
		if got := [2]string{service, method}; got != want {
			t.Errorf("%s: %v, want %v", full, got, want)
		}
	}
}

func TestTargets(t *testing.T) {
	targets := NewTargets(20)
	for target, want := range map[string]Host{
		"dns:///users.example:443":       {"users.example", "443"},
		"dns://1.1.1.1/users.example:80": {"users.example", "80"},
		"dns:users.example:443":          {"users.example", "443"},
		"users.example:50051":            {"users.example", "50051"},
		"users.example":                  {"users.example", ""},
		"passthrough:shop":               {"shop", ""},
		"passthrough:///[::1]:80":        {"::1", "80"},
		"[2001:db8::1]":                  {"2001:db8::1", ""},
		"2001:db8::1":                    {"2001:db8::1", ""},
		"unix:///run/shop.sock":          {"/run/shop.sock", ""},
		"unix:shop.sock":                 {"shop.sock", ""},
		"dns://":                         {"", ""},
		"":                               {"", ""},
		":80":                            {"", "80"},
	} {
		if got := targets.Of(target); got != want {
			t.Errorf("%q: %v, want %v", target, got, want)
		}
	}
}

func TestRPCError(t *testing.T) {
	for _, c := range []struct {
		server          bool
		code            uint32
		name, errorType string
		want            string
	}{
		{true, 0, "OK", "", ""},
		{true, 5, "NOT_FOUND", "NOT_FOUND", ""},
		{false, 5, "NOT_FOUND", "NOT_FOUND", "NOT_FOUND"},
		{true, 13, "INTERNAL", "INTERNAL", "INTERNAL"},
		{true, 13, "INTERNAL", "panic", "panic"},
		{true, 8, "RESOURCE_EXHAUSTED", "full", "full"},
		{true, 77, "77", "77", Other},
		{false, 77, "77", "77", Other},
	} {
		if got := RPCError(c.server, c.code, c.name, c.errorType); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
	if RPCCode(77, "77") != Other || RPCCode(5, "NOT_FOUND") != "NOT_FOUND" {
		t.Error("codes are not bounded, or none has its name")
	}
}

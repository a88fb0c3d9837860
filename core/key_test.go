package core

import (
	"fmt"
	"net/netip"
	"testing"
)

func TestKeyOf(t *testing.T) {
	a, again := KeyOf("a"), KeyOf(string([]byte{'a'}))
	if a != again || a == KeyOf("b") || KeyOf("").IsZero() || KeyOf("") == a {
		t.Error("a name has one key, and no other name has it")
	}
	if !(Key{}).IsZero() || a.IsZero() {
		t.Error("IsZero")
	}
	if KeyOfWords(a.Words()) != a {
		t.Error("KeyOfWords does not undo Words")
	}
}

func TestKeyOfAddr(t *testing.T) {
	key := func(s string) Key { return KeyOfAddr(netip.MustParseAddr(s)) }
	for _, pair := range [][2]string{
		{"192.0.2.1", "::ffff:192.0.2.1"}, {"fe80::1%eth0", "fe80::1%wlan0"}, {"fe80::1%eth0", "fe80::1"}, {"2001:db8::1", "2001:DB8:0::1"},
	} {
		if key(pair[0]) != key(pair[1]) {
			t.Errorf("%v have different keys", pair)
		}
	}
	seen := map[Key]string{{}: "the zero key", KeyOfAddr(netip.Addr{}): "the invalid address"}
	for _, s := range []string{"::", "0.0.0.0", "192.0.2.1", "192.0.2.2", "193.0.2.1", "::192.0.2.1", "2001:db8::1", "2001:db8:0:1::1"} {
		if other, taken := seen[key(s)]; taken {
			t.Errorf("%s has the key of %s", s, other)
		}
		seen[key(s)] = s
	}
}

// Neighbours differ in one bit, and a pair of keys must not lose it: two clients would share one limit.
func TestJoinTellsNeighboursApart(t *testing.T) {
	route, other := KeyOf("GET /a"), KeyOf("GET /b")
	seen := map[Key]string{}
	note := func(k Key, name string) {
		t.Helper()
		if was, taken := seen[k]; taken {
			t.Errorf("%s has the key of %s", name, was)
		}
		seen[k] = name
	}
	for i := range 256 {
		v4 := KeyOfAddr(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
		net64 := KeyOfAddr(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 7: byte(i)}))
		for name, k := range map[string]Key{"v4": v4, "net64": net64} {
			name = fmt.Sprint(name, i)
			note(k, name)
			note(k.Join(route), name+"+a")
			note(route.Join(k), "a+"+name)
			note(k.Join(other), name+"+b")
			note(k.Join(k), name+"+self")
			note(k.Join(Key{}), name+"+zero")
			note(Key{}.Join(k), "zero+"+name)
		}
	}
	note(Key{}.Join(Key{}), "zero+zero")
	if joined := route.Join(other); joined != KeyOf("GET /a").Join(KeyOf("GET /b")) {
		t.Error("Join is not a function")
	}
}

func TestKeysDoNotAllocate(t *testing.T) {
	addr, k := netip.MustParseAddr("192.0.2.1"), KeyOf("a")
	if n := testing.AllocsPerRun(100, func() { k = k.Join(KeyOf("name")).Join(KeyOfAddr(addr)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

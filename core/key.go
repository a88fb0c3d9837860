package core

import (
	"hash/maphash"
	"net/netip"
)

// Key names the cell of a keyed guard that a call belongs to: a client address, a tenant, a host. It is 128 bits: an
// address exactly, anything else as a hash under a seed drawn at process start, so that nobody outside can aim two
// names at one cell. Keys are comparable and mean nothing in another process. The zero Key is the one default cell.
type Key struct{ hi, lo uint64 }

// seeds are drawn once and never change; addrMask hides exact addresses from whoever can choose them.
var (
	seedHi, seedLo = maphash.MakeSeed(), maphash.MakeSeed()
	addrMask       = Key{maphash.String(seedHi, "mw address"), maphash.String(seedLo, "mw address")}
)

// KeyOf returns the key of a name. The empty string has a key of its own, distinct from the zero Key. It does not
// allocate; about 10 ns for a short name. Two names share a key with probability 2^-128.
func KeyOf(name string) Key {
	return Key{maphash.String(seedHi, name), maphash.String(seedLo, name)}
}

// KeyOfAddr returns the exact key of an address; zones are ignored and an IPv4-mapped IPv6 address has the key of the
// IPv4 address. Whether a client is one address or a whole prefix (an IPv6 host commonly owns a /64) is for the caller:
// mask the address first. The invalid Addr has a key of its own.
func KeyOfAddr(a netip.Addr) Key {
	if !a.IsValid() {
		return KeyOf("invalid address")
	}
	b := a.As16()
	return Key{word(b[:8]) ^ addrMask.hi, word(b[8:]) ^ addrMask.lo}
}

// word reads 8 bytes, most significant first.
func word(b []byte) (w uint64) {
	for _, x := range b {
		w = w<<8 | uint64(x)
	}
	return w
}

// Join returns the key of the pair (k, other), for limits per client and route and the like. Order counts: k.Join(other)
// and other.Join(k) differ. A hash of both keys under the seeds; it does not allocate.
func (k Key) Join(other Key) Key {
	pair := [2]Key{k, other}
	return Key{maphash.Comparable(seedHi, pair), maphash.Comparable(seedLo, pair)}
}

// IsZero reports whether k is the zero Key, the one default cell.
func (k Key) IsZero() bool { return k == Key{} }

// Words returns the two halves of the key, for tables that index by it.
func (k Key) Words() (hi, lo uint64) { return k.hi, k.lo }

// KeyOfWords returns the key whose Words are hi and lo. For tables.
func KeyOfWords(hi, lo uint64) Key { return Key{hi, lo} }

package httpmw

import (
	"fmt"
	"net/http"
	"net/netip"

	"github.com/mw-go/mw/core"
)

// KeyFunc says which cell of a keyed guard a request belongs to. It runs once a request and must be safe for concurrent
// use.
type KeyFunc = func(*http.Request) core.Key

// defaultIPv6Bits is the network that one subscriber commonly owns: every address in it is theirs to change at will.
const defaultIPv6Bits = 64

// ByClientIP returns a key function that gives each client a cell of its own: an IPv4 address, or an IPv6 network of 64
// bits. trust decides whose word about the address is taken, see Trust; with TrustNone behind a proxy all clients are
// one. Clients without an address share one cell.
//
// If ClientIP with the same Trust has run, its finding is used. It does not allocate.
func ByClientIP(trust Trust) KeyFunc { return byPrefix(trust, 32, defaultIPv6Bits) }

// ByClientNetwork is ByClientIP with networks of other sizes, such as 24 and 56: the first v4bits bits of an IPv4
// address and the first v6bits of an IPv6 address are the key. It fails unless v4bits is 8 to 32 and v6bits 16 to
// 128.
func ByClientNetwork(trust Trust, v4bits, v6bits int) (KeyFunc, error) {
	if v4bits < 8 || v4bits > 32 {
		return nil, fmt.Errorf("httpmw: ByClientNetwork: %d bits of IPv4, want 8 to 32", v4bits)
	}
	if v6bits < 16 || v6bits > 128 {
		return nil, fmt.Errorf("httpmw: ByClientNetwork: %d bits of IPv6, want 16 to 128", v6bits)
	}
	return byPrefix(trust, v4bits, v6bits), nil
}

func byPrefix(trust Trust, v4bits, v6bits int) KeyFunc {
	return func(r *http.Request) core.Key {
		var addr netip.Addr
		if rec := recordOf(r.Context()); rec != nil && rec.located && rec.trust == trust {
			addr = rec.client
		} else {
			addr = trust.addr(r)
		}
		return core.KeyOfAddr(bucket(addr, v4bits, v6bits))
	}
}

// bucket clears the bits of addr beyond the network. The invalid Addr stays invalid.
func bucket(addr netip.Addr, v4bits, v6bits int) netip.Addr {
	bits := v6bits
	if addr.Is4() {
		if v4bits == 32 {
			return addr
		}
		bits = v4bits
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr()
}

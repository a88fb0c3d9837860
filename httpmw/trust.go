package httpmw

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
)

// Trust says whom to believe about the address of a client. Anybody can send an X-Forwarded-For field, so it means
// something only if a proxy that you run wrote it; which proxies and which field those are, only you know. There is no
// default list of fields.
//
//	TrustNone()                    the peer is the client: no proxy in front
//	TrustProxies(prefixes...)      proxies at known addresses that append to X-Forwarded-For
//	TrustForwarded(prefixes...)    the same with the Forwarded field of RFC 7239
//	TrustHops(n)                   n proxies at unknown addresses, and no way in but through them
//	TrustHeader(name, prefixes...) a proxy that overwrites one field of one address
//
// In all but TrustNone a peer on a unix socket counts as a trusted proxy: it has no address, and the permissions of the
// socket decide who it is.
//
// When the fields are missing or unreadable, the client's address is that of the nearest trusted hop: a hostile field
// can put requests into one bucket with the proxy, never into another client's.
//
// Trust is immutable and safe for concurrent use. The zero Trust is TrustNone().
type Trust struct{ rules *trustRules }

type trustRules struct {
	field    string // canonical name of the field to read
	proxies  []netip.Prefix
	hops     int  // > 0: counts instead of asking proxies
	standard bool // field has the syntax of Forwarded
	single   bool // field holds one address
}

const (
	fieldXFF       = "X-Forwarded-For"
	fieldForwarded = "Forwarded"
)

// TrustNone believes nobody: the client is the peer of the connection.
func TrustNone() Trust { return Trust{} }

// TrustProxies believes the peers in the prefixes about X-Forwarded-For. All lines of the field are read as one list,
// from the right: trusted addresses are skipped, and the first other one is the client. The list is not read at all
// unless the peer itself is trusted. If all are trusted, the leftmost is the client.
//
// It fails for no prefix, an invalid one, and one of zero bits, which would trust everybody. IPv4-mapped prefixes count as
// IPv4; bits outside the mask are ignored.
func TrustProxies(prefixes ...netip.Prefix) (Trust, error) {
	return newTrust(trustRules{field: fieldXFF}, prefixes)
}

// TrustForwarded is TrustProxies for the for parameters of the Forwarded field (RFC 7239). Obfuscated and unknown nodes
// end the walk. Use it only if your proxies write this field; one that does not know it passes on what the client wrote.
func TrustForwarded(prefixes ...netip.Prefix) (Trust, error) {
	return newTrust(trustRules{field: fieldForwarded, standard: true}, prefixes)
}

// TrustHops takes the address that the outermost of n proxies saw: the n-th of X-Forwarded-For from the right. It fails
// unless n is 1 to 32.
//
// Whoever reaches the service other than through the n proxies can choose any address. Where the proxies have known
// addresses, prefer TrustProxies.
func TrustHops(n int) (Trust, error) {
	if n < 1 || n > 32 {
		return Trust{}, fmt.Errorf("httpmw: TrustHops: %d hops, want 1 to 32", n)
	}
	return Trust{&trustRules{field: fieldXFF, hops: n}}, nil
}

// TrustHeader believes the peers in the prefixes about a field of one address that they overwrite, such as X-Real-IP or
// CF-Connecting-IP. A field that occurs twice or holds a list is not believed.
//
// It fails for a name that is no field name or is a list field (X-Forwarded-For, Forwarded), and for prefixes that
// TrustProxies refuses.
func TrustHeader(name string, prefixes ...netip.Prefix) (Trust, error) {
	if !isToken(name) {
		return Trust{}, fmt.Errorf("httpmw: TrustHeader: %q is no field name", name)
	}
	name = http.CanonicalHeaderKey(name)
	if name == fieldXFF || name == fieldForwarded {
		return Trust{}, fmt.Errorf("httpmw: TrustHeader: %s is a list, use TrustProxies or TrustForwarded", name)
	}
	return newTrust(trustRules{field: name, single: true}, prefixes)
}

func newTrust(rules trustRules, prefixes []netip.Prefix) (Trust, error) {
	if len(prefixes) == 0 {
		return Trust{}, errors.New("httpmw: Trust: no proxy prefix given")
	}
	var faults []error
	for _, p := range prefixes {
		q := unmapPrefix(p)
		if !q.IsValid() || q.Bits() == 0 {
			faults = append(faults, fmt.Errorf("httpmw: Trust: prefix %s, want a valid one of at least 1 bit", p))
			continue
		}
		rules.proxies = append(rules.proxies, q.Masked())
	}
	if err := errors.Join(faults...); err != nil {
		return Trust{}, err
	}
	return Trust{&rules}, nil
}

// unmapPrefix returns the IPv4 form of an IPv4-mapped prefix: addresses are unmapped before they are compared. One that is
// wider than the mapped range is returned as the invalid prefix.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if !p.Addr().Is4In6() {
		return p
	}
	if p.Bits() < 96 {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
}

// trusts reports whether addr is one of the proxies.
func (t *trustRules) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(t.proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// isToken reports whether s is a token of RFC 9110 section 5.6.2, which a field name is.
func isToken(s string) bool {
	for i := range len(s) {
		if !tokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func tokenByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~':
		return true
	}
	return false
}

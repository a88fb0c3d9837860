package httpmw

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
)

// ClientIPConfig is the Config of ClientIP. The zero value is the default.
type ClientIPConfig struct {
	// Logger gets the warning about forwarded fields from untrusted peers, once. nil means slog.Default(), looked up
	// then.
	Logger *slog.Logger
}

// ClientIP returns a middleware that finds the address of the client, as far as trust allows, for ClientAddr, access
// logs and limits. Request.RemoteAddr is left as it is: it is the peer, and others rely on that.
//
// If a forwarded field arrives from a peer that is not trusted, one warning is logged: most often a proxy was forgotten, and
// all clients behind it now look like one.
//
// It does not allocate. At most one Config.
func ClientIP(trust Trust, c ...ClientIPConfig) func(http.Handler) http.Handler {
	return wrap("ClientIP", &clientIP{trust: trust, log: atMostOne("ClientIP", c).Logger})
}

type clientIP struct {
	trust  Trust
	log    *slog.Logger
	warned atomic.Bool
}

func (m *clientIP) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	rec := x.rec
	peer, ok := m.trust.peer(r)
	rec.client, rec.trust, rec.located = peer, m.trust, true
	if ok {
		rec.client = m.trust.rules.client(peer, r.Header)
	} else if !m.warned.Load() {
		m.warn(r, peer)
	}
	next.ServeHTTP(w, r)
}

// warn logs once if the request of an untrusted peer carries a forwarded field.
func (m *clientIP) warn(r *http.Request, peer netip.Addr) {
	own := fieldXFF
	if m.trust.rules != nil {
		own = m.trust.rules.field
	}
	for _, field := range [...]string{own, fieldXFF, fieldForwarded, "X-Real-Ip"} {
		if len(r.Header[field]) == 0 {
			continue
		}
		if !m.warned.CompareAndSwap(false, true) {
			return
		}
		log := m.log
		if log == nil {
			log = slog.Default()
		}
		log.LogAttrs(r.Context(), slog.LevelWarn, "a forwarded field from an untrusted peer is ignored; "+
			"if the peer is your proxy, trust it, or all its clients look like one. Said once",
			slog.String("http.request.header", field),
			slog.String("network.peer.address", peer.String()),
		)
		return
	}
}

// addr returns the client's address as the trust sees it; the invalid Addr if there is none. It does not allocate.
func (t Trust) addr(r *http.Request) netip.Addr {
	peer, ok := t.peer(r)
	if !ok {
		return peer
	}
	return t.rules.client(peer, r.Header)
}

// peer returns the address of the peer, and whether its forwarded fields are to be believed. The peer on a unix socket is
// the invalid Addr.
func (t Trust) peer(r *http.Request) (peer netip.Addr, trusted bool) {
	if p, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		peer = plain(p.Addr())
	}
	switch {
	case t.rules == nil:
		return peer, false
	case !peer.IsValid():
		return peer, onUnixSocket(r.Context())
	default:
		return peer, t.rules.hops > 0 || t.rules.trusts(peer)
	}
}

// onUnixSocket asks the listener and not RemoteAddr, which is "@", "" or a path, and which other middlewares overwrite.
func onUnixSocket(ctx context.Context) bool {
	local, ok := ctx.Value(http.LocalAddrContextKey).(net.Addr)
	return ok && local.Network() == "unix"
}

// client returns the address that the header of a trusted peer names, or the nearest hop that is known.
func (t *trustRules) client(peer netip.Addr, h http.Header) netip.Addr {
	lines := h[t.field]
	switch {
	case t.single:
		if len(lines) == 1 {
			if addr, ok := parseNode(trimOWS(lines[0])); ok {
				return addr
			}
		}
		return peer
	case t.hops > 0:
		return t.nth(peer, lines)
	default:
		return t.walk(peer, lines)
	}
}

// walk goes from the peer to the left, hop by hop, as long as each is trusted to name the next.
func (t *trustRules) walk(hop netip.Addr, lines []string) netip.Addr {
	for _, line := range slices.Backward(lines) {
		for {
			rest, element, ok := t.last(line)
			if !ok {
				break
			}
			line = rest
			addr, ok := t.parse(element)
			if !ok {
				return hop
			}
			hop = addr
			if !t.trusts(addr) {
				return hop
			}
		}
	}
	return hop
}

// nth counts elements from the right. With fewer than hops of them, or an unreadable one there, the client is the peer.
func (t *trustRules) nth(peer netip.Addr, lines []string) netip.Addr {
	left := t.hops
	for _, line := range slices.Backward(lines) {
		for {
			rest, element, ok := t.last(line)
			if !ok {
				break
			}
			line = rest
			if left--; left > 0 {
				continue
			}
			if addr, ok := t.parse(element); ok {
				return addr
			}
			return peer
		}
	}
	return peer
}

func (t *trustRules) last(line string) (rest, element string, ok bool) {
	if t.standard {
		return lastForwarded(line)
	}
	return lastXFF(line)
}

func (t *trustRules) parse(element string) (netip.Addr, bool) {
	if t.standard {
		return forwardedFor(element)
	}
	return parseNode(element)
}

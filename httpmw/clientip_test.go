package httpmw

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
)

func prefixes(s ...string) (p []netip.Prefix) {
	for _, s := range s {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

// clientRequest has the peer and the lines of one field.
func clientRequest(peer, field string, lines ...string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = peer
	if lines != nil {
		r.Header[http.CanonicalHeaderKey(field)] = lines
	}
	return r
}

func TestClientAddress(t *testing.T) {
	const proxy = "10.0.0.1:999"
	var (
		none  = TrustNone()
		xff   = mw.Must(TrustProxies(prefixes("10.0.0.0/8", "fd00::/8")...))
		std   = mw.Must(TrustForwarded(prefixes("10.0.0.0/8", "fd00::/8")...))
		two   = mw.Must(TrustHops(2))
		one   = mw.Must(TrustHeader("x-real-ip", prefixes("10.0.0.0/8")...))
		xffIs = func(lines ...string) *http.Request { return clientRequest(proxy, "X-Forwarded-For", lines...) }
		stdIs = func(lines ...string) *http.Request { return clientRequest(proxy, "Forwarded", lines...) }
		realI = func(lines ...string) *http.Request { return clientRequest(proxy, "X-Real-IP", lines...) }
	)
	for _, tc := range []struct {
		name  string
		trust Trust
		r     *http.Request
		want  string
	}{
		{"peer only", none, xffIs("1.2.3.4"), "10.0.0.1"},
		{"zero Trust", Trust{}, xffIs("1.2.3.4"), "10.0.0.1"},
		{"peer is v6 with a zone", none, clientRequest("[fe80::1%eth0]:1", ""), "fe80::1"},
		{"peer is mapped", none, clientRequest("[::ffff:9.9.9.9]:1", ""), "9.9.9.9"},
		{"peer is garbage", none, clientRequest("garbage", ""), "invalid IP"},

		{"no field", xff, clientRequest(proxy, ""), "10.0.0.1"},
		{"one hop", xff, xffIs("1.2.3.4"), "1.2.3.4"},
		{"the peer is not trusted", xff, clientRequest("8.8.8.8:1", "X-Forwarded-For", "1.2.3.4"), "8.8.8.8"},
		{"mapped peer is trusted", xff, clientRequest("[::ffff:10.0.0.1]:1", "X-Forwarded-For", "1.2.3.4"), "1.2.3.4"},
		{"forged entry further left", xff, xffIs("6.6.6.6, 1.2.3.4"), "1.2.3.4"},
		{"trusted hops are skipped", xff, xffIs("6.6.6.6, 1.2.3.4, 10.2.2.2,10.3.3.3"), "1.2.3.4"},
		{"lines are one list", xff, xffIs("6.6.6.6", "1.2.3.4, 10.2.2.2", "10.3.3.3"), "1.2.3.4"},
		{"all are trusted", xff, xffIs("10.9.9.9, 10.2.2.2"), "10.9.9.9"},
		{"unreadable entry stops", xff, xffIs("1.2.3.4, garbage, 10.2.2.2"), "10.2.2.2"},
		{"unreadable last entry", xff, xffIs("1.2.3.4, unknown"), "10.0.0.1"},
		{"empty entries", xff, xffIs("1.2.3.4, ,, ", ""), "1.2.3.4"},
		{"only commas", xff, xffIs(",,,"), "10.0.0.1"},
		{"with a port", xff, xffIs("1.2.3.4:5678"), "1.2.3.4"},
		{"v6", xff, xffIs("2001:db8::1"), "2001:db8::1"},
		{"v6 in brackets", xff, xffIs("[2001:db8::1]"), "2001:db8::1"},
		{"v6 with a port", xff, xffIs("[2001:db8::1]:443"), "2001:db8::1"},
		{"v6 with a zone", xff, xffIs("fe80::1%evil"), "fe80::1"},
		{"mapped", xff, xffIs("::ffff:1.2.3.4"), "1.2.3.4"},
		{"mapped trusted hop", xff, xffIs("1.2.3.4, ::ffff:10.1.1.1"), "1.2.3.4"},
		{"trusted hop with a zone", xff, xffIs("1.2.3.4, fd00::1%x"), "1.2.3.4"},
		{"bad port", xff, xffIs("1.2.3.4:x"), "10.0.0.1"},
		{"long port", xff, xffIs("1.2.3.4:123456"), "10.0.0.1"},
		{"v4 in brackets", xff, xffIs("[1.2.3.4]"), "10.0.0.1"},
		{"open bracket", xff, xffIs("[2001:db8::1"), "10.0.0.1"},
		{"text after the bracket", xff, xffIs("[2001:db8::1]x"), "10.0.0.1"},
		{"leading zeros", xff, xffIs("01.2.3.4"), "10.0.0.1"},
		{"other field is ignored", xff, stdIs("for=1.2.3.4"), "10.0.0.1"},

		{"forwarded", std, stdIs("for=1.2.3.4"), "1.2.3.4"},
		{"parameters in any order and case", std, stdIs(`proto=https ; By=10.0.0.1; FOR="1.2.3.4:80"`), "1.2.3.4"},
		{"v6 quoted", std, stdIs(`for="[2001:db8::1]:4711"`), "2001:db8::1"},
		{"v6 unquoted", std, stdIs(`for=[2001:db8::1]`), "2001:db8::1"},
		{"escapes", std, stdIs(`for="1\.2.3.4"`), "1.2.3.4"},
		{"obfuscated port", std, stdIs(`for="1.2.3.4:_p"`), "1.2.3.4"},
		{"empty pairs", std, stdIs(`;for=1.2.3.4;;`), "1.2.3.4"},
		{"list", std, stdIs(`for=6.6.6.6, for=1.2.3.4`, `for=10.2.2.2;proto=http`), "1.2.3.4"},
		{"comma and semicolon in quotes", std, stdIs(`for=1.2.3.4;host="a,b;for=6.6.6.6"`), "1.2.3.4"},
		{"quote in quotes", std, stdIs(`for=1.2.3.4;host="a\", for=6.6.6.6"`), "1.2.3.4"},
		{"backslash before the closing quote", std, stdIs(`for=6.6.6.6;a="\\", for=1.2.3.4`), "1.2.3.4"},
		{"client opens a quote", std, stdIs(`for=6.6.6.6;x=", for=1.2.3.4`), "1.2.3.4"},
		{"client opens a quote, proxy quotes", std, stdIs(`for=6.6.6.6, for=10.1.1.1;x=", for="[2001:db8::1]"`), "2001:db8::1"},
		{"unmatched quote", std, stdIs(`for="1.2.3.4`), "10.0.0.1"},
		{"hidden node stops", std, stdIs(`for=1.2.3.4, for=_hidden`), "10.0.0.1"},
		{"unknown node stops", std, stdIs(`for=1.2.3.4, for=unknown, for=10.2.2.2`), "10.2.2.2"},
		{"no for stops", std, stdIs(`for=1.2.3.4, proto=http`), "10.0.0.1"},
		{"for twice stops", std, stdIs(`for=1.2.3.4;for=6.6.6.6`), "10.0.0.1"},
		{"no value", std, stdIs(`for=`), "10.0.0.1"},
		{"no equals sign", std, stdIs(`for`), "10.0.0.1"},
		{"space before the equals sign", std, stdIs(`for =1.2.3.4`), "10.0.0.1"},
		{"the peer is not trusted", std, clientRequest("8.8.8.8:1", "Forwarded", "for=1.2.3.4"), "8.8.8.8"},

		{"two hops", two, xffIs("6.6.6.6, 1.2.3.4, 10.2.2.2"), "1.2.3.4"},
		{"two hops on two lines", two, xffIs("6.6.6.6, 1.2.3.4", "10.2.2.2"), "1.2.3.4"},
		{"too few hops", two, xffIs("1.2.3.4"), "10.0.0.1"},
		{"unreadable hop", two, xffIs("1.2.3.4, x, 10.2.2.2"), "10.0.0.1"},
		{"unreadable hop that is passed", two, xffIs("1.2.3.4, x"), "1.2.3.4"},

		{"header", one, realI("1.2.3.4"), "1.2.3.4"},
		{"header with a port", one, realI(" [2001:db8::1]:80 "), "2001:db8::1"},
		{"header twice", one, realI("1.2.3.4", "6.6.6.6"), "10.0.0.1"},
		{"header is a list", one, realI("1.2.3.4, 6.6.6.6"), "10.0.0.1"},
		{"header from a stranger", one, clientRequest("8.8.8.8:1", "X-Real-IP", "1.2.3.4"), "8.8.8.8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			remote := tc.r.RemoteAddr
			var got netip.Addr
			do(ClientIP(tc.trust, ClientIPConfig{Logger: quiet})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got, _ = ClientAddr(r.Context())
				equal(t, "RemoteAddr", r.RemoteAddr, remote)
			})), tc.r)
			equal(t, "client", got.String(), tc.want)
			equal(t, "without the middleware", tc.trust.addr(tc.r).String(), tc.want)
		})
	}
}

func TestTrustRefuses(t *testing.T) {
	var (
		ok       = prefixes("10.0.0.0/8")
		try      = func(_ Trust, err error) error { return err }
		nobody   = try(TrustProxies())
		invalid  = try(TrustProxies(netip.Prefix{}))
		everyone = try(TrustForwarded(prefixes("10.0.0.0/8", "0.0.0.0/0", "::/0")...))
		mapped   = try(TrustProxies(prefixes("::ffff:0.0.0.0/90")...))
		v4all    = try(TrustProxies(prefixes("::ffff:0.0.0.0/96")...))
		noHops   = try(TrustHops(0))
		manyHops = try(TrustHops(33))
		badName  = try(TrustHeader("X Real", ok...))
		noName   = try(TrustHeader("", ok...))
		list     = try(TrustHeader("x-forwarded-for", ok...))
		noProxy  = try(TrustHeader("X-Real-IP"))
	)
	for _, err := range []error{nobody, invalid, everyone, mapped, v4all, noHops, manyHops, badName, noName, list, noProxy} {
		if err == nil || !strings.HasPrefix(err.Error(), "httpmw: Trust") {
			t.Errorf("error %v", err)
		}
	}
	if n := strings.Count(everyone.Error(), "want a valid one"); n != 2 {
		t.Errorf("%d of two faults named: %v", n, everyone)
	}
}

func TestUnixSocketPeerIsATrustedProxy(t *testing.T) {
	name := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan [2]netip.Addr, 1)
	trust := mw.Must(TrustProxies(prefixes("10.0.0.0/8")...))
	s := httptest.NewUnstartedServer(ClientIP(trust)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		believing, _ := ClientAddr(r.Context())
		got <- [2]netip.Addr{believing, TrustNone().addr(r)}
	})))
	s.Listener.Close()
	s.Listener = ln
	s.Start()
	defer s.Close()
	tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", name) }}
	defer tr.CloseIdleConnections()
	r, _ := http.NewRequest("GET", "http://unix/", nil)
	r.Header.Set("X-Forwarded-For", "6.6.6.6, 1.2.3.4")
	resp, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	addrs := <-got
	equal(t, "client", addrs[0].String(), "1.2.3.4")
	equal(t, "client of TrustNone", addrs[1].IsValid(), false)
}

// RemoteAddr can be overwritten by other middlewares from fields of the client; only the listener knows.
func TestRemoteAddrAloneIsNoUnixSocket(t *testing.T) {
	trust := mw.Must(TrustHops(1))
	addr := trust.addr(clientRequest("@", "X-Forwarded-For", "1.2.3.4"))
	equal(t, "client", addr.IsValid(), false)
}

func TestWarningAboutAnUntrustedPeerIsGivenOnce(t *testing.T) {
	trust := mw.Must(TrustProxies(prefixes("10.0.0.0/8")...))
	for _, field := range []string{"X-Forwarded-For", "Forwarded", "X-Real-IP"} {
		logs := newLogSink()
		h := ClientIP(trust, ClientIPConfig{Logger: slog.New(logs)})(http.NotFoundHandler())
		do(h, clientRequest("10.0.0.1:1", field, "1.2.3.4")) // trusted
		do(h, clientRequest("8.8.8.8:1", ""))                // nothing forwarded
		equal(t, "warnings without a reason", len(logs), 0)
		for range 3 {
			do(h, clientRequest("8.8.8.8:1", field, "1.2.3.4"))
		}
		equal(t, "warnings", len(logs), 1)
		entry := logs.next(t, "a forwarded field from an untrusted peer is ignored; "+
			"if the peer is your proxy, trust it, or all its clients look like one. Said once")
		equal(t, "level", entry["level"], any(slog.LevelWarn))
		equal(t, "peer", entry["network.peer.address"], any("8.8.8.8"))
	}
}

func TestByClientIP(t *testing.T) {
	key := func(f KeyFunc, peer string) core.Key { return f(clientRequest(peer, "")) }
	byIP := ByClientIP(TrustNone())
	net24, err := ByClientNetwork(TrustNone(), 24, 48)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		f    KeyFunc
		a, b string
		same bool
	}{
		{"v4", byIP, "1.2.3.4:1", "1.2.3.4:2", true},
		{"other v4", byIP, "1.2.3.4:1", "1.2.3.5:1", false},
		{"mapped", byIP, "1.2.3.4:1", "[::ffff:1.2.3.4]:1", true},
		{"v6 in one /64", byIP, "[2001:db8::1]:1", "[2001:db8::ffff:1]:1", true},
		{"v6 in two /64", byIP, "[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
		{"v4 in one /24", net24, "1.2.3.4:1", "1.2.3.5:1", true},
		{"v4 in two /24", net24, "1.2.3.4:1", "1.2.4.4:1", false},
		{"v6 in one /48", net24, "[2001:db8::1]:1", "[2001:db8:0:1::1]:1", true},
		{"v6 in two /48", net24, "[2001:db8::1]:1", "[2001:db8:1::1]:1", false},
		{"nobody", byIP, "@", "", true},
	} {
		equal(t, tc.name, key(tc.f, tc.a) == key(tc.f, tc.b), tc.same)
	}
	for _, bits := range [][2]int{{7, 64}, {33, 64}, {32, 15}, {32, 129}} {
		if _, err := ByClientNetwork(TrustNone(), bits[0], bits[1]); err == nil {
			t.Errorf("%v bits accepted", bits)
		}
	}
}

// The finding of ClientIP serves only for the Trust that it was made with.
func TestByClientIPUsesItsOwnTrust(t *testing.T) {
	trust := mw.Must(TrustProxies(prefixes("10.0.0.0/8")...))
	var own, other core.Key
	h := ClientIP(trust)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		r.Header.Set("X-Forwarded-For", "6.6.6.6") // too late for the first
		own, other = ByClientIP(trust)(r), ByClientIP(TrustNone())(r)
	}))
	do(h, clientRequest("10.0.0.1:1", "X-Forwarded-For", "1.2.3.4"))
	equal(t, "with the same Trust", own, core.KeyOfAddr(netip.MustParseAddr("1.2.3.4")))
	equal(t, "with another Trust", other, core.KeyOfAddr(netip.MustParseAddr("10.0.0.1")))
}

package conformance

import (
	"path"
	"strings"
)

// difference is a name under which a middleware's view is not the bare one.
type difference struct {
	s         *scenario
	h2        bool
	key       string
	bare, got view
}

// allowance is an entry of the closed list: how a middleware may differ from the bare handler, and why it should.
type allowance struct {
	layers []string
	key    string // of the view; as for path.Match
	why    string
	when   func(d *difference) bool // nil: always
}

func (a *allowance) covers(d *difference) bool {
	fits, err := path.Match(a.key, d.key)
	return fits && err == nil && (a.when == nil || a.when(d))
}

// allowances are all there are. The test fails if one is never needed.
var allowances = []allowance{
	{layers: of("RequestID"), key: "field:X-Request-Id", why: "what it is for", when: unset},
	{layers: of("RequestID"), key: "hint * X-Request-Id", why: "it is set on the way in, and so with what comes first", when: unset},
	{layers: of("ServerTiming"), key: "field:Server-Timing", why: "what it is for; a handler's own stay before it", when: extended},
	{layers: of("ServerTiming"), key: "trailer:Server-Timing", why: "what it is for"},
	{layers: of("RateLimit"), key: "field:Ratelimit", why: "what it is for", when: unset},
	{layers: of("RateLimit"), key: "field:Ratelimit-Policy", why: "what it is for", when: unset},
	{layers: of("RateLimit"), key: "hint * Ratelimit*", why: "they are set on the way in", when: unset},
	{layers: of("SecureHeaders"), key: "field:Content-Security-Policy", why: "what it is for", when: unset},
	{layers: of("SecureHeaders"), key: "field:Cross-Origin-*-Policy", why: "what it is for", when: unset},
	{layers: of("SecureHeaders"), key: "field:Permissions-Policy", why: "what it is for", when: unset},
	{layers: of("SecureHeaders"), key: "field:Referrer-Policy", why: "what it is for", when: unset},
	{layers: of("SecureHeaders"), key: "field:Strict-Transport-Security", why: "what it is for, where there is TLS", when: func(d *difference) bool { return d.h2 && unset(d) }},
	{layers: of("SecureHeaders"), key: "field:X-Content-Type-Options", why: "what it is for", when: unset},
	{layers: of("SecureHeaders"), key: "field:X-Frame-Options", why: "what it is for", when: unset},
	{layers: of("SecureHeaders"), key: "field:X-Xss-Protection", why: "what it is for", when: unset},
	{layers: of("CORS"), key: "field:Vary", why: "the answer depends on the origin", when: extended},
	{layers: of("CORS"), key: "hint * Vary", why: "it is set on the way in"},
	{layers: of("CORS"), key: "field:Access-Control-Allow-Origin", why: "what it is for", when: unset},
	{layers: of("Compress"), key: "field:Vary", why: "the answer depends on Accept-Encoding", when: extended},
	{layers: of("Cache"), key: "field:Cache-Status", why: "what it is for", when: unset},
}

func of(layers ...string) []string { return layers }

// unset: the handler did not send it.
func unset(d *difference) bool { return d.bare[d.key] == "" }

// extended: the handler's own values are among those that are sent.
func extended(d *difference) bool {
	bare := strings.Trim(d.bare[d.key], "[]")
	return strings.Contains(d.got[d.key], bare)
}

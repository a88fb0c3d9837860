package httpmw

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/mw-go/mw/core/schema"
)

// SecureHeaders returns a middleware that sends the fields by which browsers protect a site and its users, on every final
// response, errors, redirects and 304 included:
//
//	field                          api                                        web
//	Strict-Transport-Security      max-age=63072000; includeSubDomains, over TLS only
//	Content-Security-Policy        default-src 'none'; frame-ancestors 'none' script-src 'nonce-...' 'strict-dynamic';
//	                                                                          object-src 'none'; base-uri 'none';
//	                                                                          frame-ancestors 'none'
//	X-Content-Type-Options         nosniff                                    nosniff
//	X-Frame-Options                DENY                                       DENY
//	Referrer-Policy                no-referrer                                strict-origin-when-cross-origin
//	Cross-Origin-Opener-Policy     same-origin                                same-origin
//	Cross-Origin-Resource-Policy   same-origin                                same-site
//	Permissions-Policy             camera=(), microphone=(), geolocation=()   the same
//	X-XSS-Protection               0                                          0
//	Cache-Control                  no-store, if the request has an Authorization field or CSPNonce was asked
//	Server, X-Powered-By           removed
//
// They are added right before the header is sent and only if the handler has not set them: whatever the handler or a
// proxied backend says of a field stands, alone and once. A handler that wants a field of these left out sets it to nil:
// w.Header()["X-Frame-Options"] = nil. Server and X-Powered-By are removed in any case, unless Fields has them. A handler
// that asks for a nonce and sets a Cache-Control of its own must see to it that no shared cache hands the nonce around.
//
// A policy with a nonce is not sent with a 304, where it would replace the nonce that the cached page was made with.
//
// It costs no allocation for fields of the Config, three for a nonce: its value is new for each request. It fails if the
// Config does not validate.
func SecureHeaders(c SecureHeadersConfig) (func(http.Handler) http.Handler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = schema.Fill(c)
	m := &secureHeaders{trust: c.Trust, remove: []string{"Server", "X-Powered-By"}}
	changed := map[string]string{}
	for name, value := range c.Fields {
		changed[http.CanonicalHeaderKey(name)] = value
	}
	for _, f := range presets[c.Preset].fields {
		if _, ok := changed[f[0]]; !ok {
			m.fields = append(m.fields, f)
		}
	}
	for name, value := range changed {
		if i := slices.Index(m.remove, name); i >= 0 {
			m.remove = slices.Delete(m.remove, i, i+1)
		}
		if value != wordNone {
			m.fields = append(m.fields, [2]string{name, value})
		}
	}
	if c.COEP {
		m.fields = append(m.fields, [2]string{"Cross-Origin-Embedder-Policy", "require-corp"})
	}
	if c.ReportTo != "" {
		m.fields = append(m.fields, [2]string{"Reporting-Endpoints", `csp="` + c.ReportTo + `"`})
	}
	m.hsts = hstsValue(c)
	m.policies(c)
	return wrap("SecureHeaders", m), nil
}

func hstsValue(c SecureHeadersConfig) string {
	if c.HSTS <= 0 {
		return ""
	}
	v := "max-age=" + strconv.FormatInt(int64(c.HSTS.Seconds()), 10)
	if !c.HSTSHostOnly {
		v += "; includeSubDomains"
	}
	if c.HSTSPreload {
		v += "; preload"
	}
	return v
}

type secureHeaders struct {
	fields [][2]string // name and value, always the same
	hsts   string      // empty if not sent
	csp    [2]policy   // in force, and on trial
	nonce  bool        // one of them has a nonce
	remove []string
	trust  Trust
}

// policy is a Content-Security-Policy, cut where the nonce goes.
type policy struct {
	name  string
	parts []string
}

func (m *secureHeaders) policies(c SecureHeadersConfig) {
	enforced, tried := c.CSP, c.CSPReportOnly
	switch enforced {
	case "":
		enforced = presets[c.Preset].csp
	case wordNone:
		enforced = ""
	}
	if tried == wordPreset {
		tried = presets[c.Preset].csp
	}
	cut := func(name, text string) policy {
		if text == "" {
			return policy{}
		}
		if c.ReportTo != "" {
			text = strings.TrimSuffix(text, ";") + "; report-uri " + c.ReportTo + "; report-to csp"
		}
		p := policy{name, strings.Split(text, "{nonce}")}
		m.nonce = m.nonce || len(p.parts) > 1
		return p
	}
	m.csp = [2]policy{
		cut("Content-Security-Policy", enforced),
		cut("Content-Security-Policy-Report-Only", tried),
	}
}

func (m *secureHeaders) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	if m.nonce && x.rec.nonce == nil {
		x.rec.nonce = newNonce()
	}
	x.beforeHeader(m)
	next.ServeHTTP(w, r)
}

func (m *secureHeaders) beforeHeader(x *exchange, status int) {
	h := x.Header()
	for _, name := range m.remove {
		delete(h, name)
	}
	for i := range m.fields {
		x.rec.offer(h, m.fields[i][0], m.fields[i][1])
	}
	if m.hsts != "" && m.trust.overTLS(x.req) {
		x.rec.offer(h, "Strict-Transport-Security", m.hsts)
	}
	for i := range m.csp {
		m.csp[i].offer(x.rec, h, status)
	}
	if len(x.req.Header["Authorization"]) > 0 || m.nonce && x.rec.nonce.asked.Load() {
		x.rec.offer(h, "Cache-Control", "no-store")
	}
}

// offer sets a field that nobody has set, not even to nil.
func (rec *record) offer(h http.Header, name, value string) {
	if _, set := h[name]; !set {
		h[name] = rec.single(value)
	}
}

func (p *policy) offer(rec *record, h http.Header, status int) {
	switch {
	case len(p.parts) == 1:
		rec.offer(h, p.name, p.parts[0])
	case len(p.parts) > 1 && status != http.StatusNotModified:
		if _, set := h[p.name]; !set {
			h[p.name] = rec.single(strings.Join(p.parts, rec.nonce.value))
		}
	}
}

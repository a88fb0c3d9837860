package httpmw

import (
	"fmt"
	"net/http"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// CSRFConfig is the Config of CSRF. The zero value is the default.
type CSRFConfig struct {
	// Origins are the origins under which browsers know this service, such as https://shop.example. An Origin field is
	// compared with them, scheme and port included, instead of with the Host field: proxies rewrite Host, and it has no
	// scheme. Default none: Host decides. Required by Strict.
	Origins []string
	// TrustedOrigins are origins of other sites whose pages may send requests of any kind. Default none.
	TrustedOrigins []string
	// Bypass are patterns of http.ServeMux for requests that pass unchecked, such as "POST /webhooks/{id}" or "/api/" with
	// clients that are no browsers. Only requests that match directly pass, none that the mux would redirect. Default
	// none.
	Bypass []string
	// Strict refuses unsafe requests without Sec-Fetch-Site and Origin, which otherwise pass as no browser's, and WebSocket
	// handshakes from other origins. Default false.
	Strict bool
	// Isolate refuses safe requests of other sites as well, but for navigations: what others embed or fetch. Default
	// false.
	Isolate bool
	// Mode says what happens to a request of another site. Default enforce.
	Mode core.Mode `default:"enforce" range:"enforce|shadow|disabled"`
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c CSRFConfig) Validate() error {
	var faults schema.Errors
	check := func(field string, origins []string) {
		for i, o := range origins {
			if want := originFault(o); want != "" {
				faults = append(faults, schema.Fault(schema.At(field, i), o, want))
			}
		}
	}
	check("origins", c.Origins)
	check("trusted_origins", c.TrustedOrigins)
	if c.Strict && len(c.Origins) == 0 {
		faults = append(faults, schema.Fault("origins", nil, "required by strict"))
	}
	mux := http.NewServeMux()
	for i, p := range c.Bypass {
		if err := register(mux, p); err != nil {
			faults = append(faults, schema.Fault(schema.At("bypass", i), p, "a pattern of http.ServeMux: "+err.Error()))
		}
	}
	if len(faults) == 0 {
		return schema.Validate(c)
	}
	return schema.Validate(c, faults)
}

// passer marks the patterns of Bypass, as opposed to the redirects that ServeMux makes up.
type passer struct{}

// ServeHTTP is never called.
func (passer) ServeHTTP(http.ResponseWriter, *http.Request) {}

// register makes an error of what ServeMux panics with.
func register(mux *http.ServeMux, pattern string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%v", v)
		}
	}()
	mux.Handle(pattern, passer{})
	return nil
}

// CSRF returns a middleware that refuses requests that a page of another site made a browser send, with its user's cookies
// and without its user's knowledge. They get a 403 with a problem document; the body is not read. No token is needed: browsers
// say in Sec-Fetch-Site and Origin where a request comes from.
//
//	unsafe method
//	  one of the two fields sent twice      refused
//	  Origin is trusted                     passes
//	  Sec-Fetch-Site is sent                passes if it is same-origin or none
//	  else Origin is sent                   passes if it is one of Origins; without Origins, if its host is Host
//	  neither                               passes, unless Strict
//	GET, HEAD, OPTIONS                      pass; with Isolate only
//	  Sec-Fetch-Site is not cross-site      passes
//	  a navigation                          passes by GET or HEAD, and not into an object or embed element
//	  Origin is trusted                     passes
//
// It is http.CrossOriginProtection with what that leaves open: origins of a Config where a proxy rewrites Host, Origins
// that carry user information and are taken for their host (golang/go #78563), and requests without either field. Browsers
// send Sec-Fetch-Site to https and localhost only; on plain http elsewhere all depends on Origin. Handlers must not change
// anything on safe methods: those pass.
//
// With Isolate responses have Vary for the fields that decide. Put CSRF inside CORS, whose origins must be trusted here too
// if they are to send unsafe requests. The error.type of the log is csrf_cross_origin, csrf_no_origin, csrf_bad_origin or
// csrf_isolated. It does not allocate, but one for Vary. It fails if the Config does not validate.
func CSRF(c CSRFConfig) (func(http.Handler) http.Handler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	m := &csrf{CSRFConfig: c, own: set(c.Origins), trusted: set(c.TrustedOrigins)}
	if len(c.Bypass) > 0 {
		m.bypass = http.NewServeMux()
		for _, p := range c.Bypass {
			m.bypass.Handle(p, passer{})
		}
	}
	return wrap("CSRF", m), nil
}

func set(list []string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, s := range list {
		m[s] = true
	}
	return m
}

type csrf struct {
	CSRFConfig
	std          http.CrossOriginProtection
	own, trusted map[string]bool
	bypass       *http.ServeMux
}

func (m *csrf) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	if m.Mode == core.Disabled {
		next.ServeHTTP(w, r)
		return
	}
	if m.Isolate {
		x.beforeHeader(m)
	}
	if fault := m.fault(r); fault != "" && !m.bypasses(r) && x.refuse(w, r, m.Mode, problemForbidden, fault) {
		return
	}
	next.ServeHTTP(w, r)
}

// fault returns the error.type of what speaks against r; empty if nothing does.
func (m *csrf) fault(r *http.Request) string {
	sites, origins := r.Header["Sec-Fetch-Site"], r.Header["Origin"]
	site, origin := first(sites), first(origins)
	handshake := false // of a WebSocket, whose messages may do anything
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		if m.Isolate && !mayLoad(r, site) && !m.trusted[origin] {
			return errorIsolated
		}
		if handshake = m.Strict && len(r.Header["Upgrade"]) > 0; !handshake {
			return ""
		}
	}
	switch {
	case len(sites) > 1 || len(origins) > 1:
		return errorBadOrigin
	case m.trusted[origin]:
		return ""
	case site == "":
		return m.faultOfOrigin(r, origin)
	case m.std.Check(r) != nil, handshake && site != "same-origin" && site != "none":
		return errorCrossOrigin
	default:
		return ""
	}
}

// faultOfOrigin is fault for a request without Sec-Fetch-Site and of no trusted origin.
func (m *csrf) faultOfOrigin(r *http.Request, origin string) string {
	switch {
	case origin == "" && m.Strict:
		return errorNoOrigin
	case origin == "", m.own[origin]:
		return ""
	case !isOrigin(origin):
		return errorBadOrigin
	case len(m.own) > 0, m.std.Check(r) != nil:
		return errorCrossOrigin
	default:
		return ""
	}
}

// mayLoad is the resource isolation policy of https://web.dev/articles/fetch-metadata for safe methods.
func mayLoad(r *http.Request, site string) bool {
	switch site {
	case "", "same-origin", "same-site", "none":
		return true
	}
	dest := first(r.Header["Sec-Fetch-Dest"])
	return first(r.Header["Sec-Fetch-Mode"]) == "navigate" && r.Method != http.MethodOptions &&
		dest != "object" && dest != "embed"
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// bypasses asks the mux for the handler itself, for a redirect that it makes up bears the pattern as well.
func (m *csrf) bypasses(r *http.Request) bool {
	if m.bypass == nil {
		return false
	}
	h, _ := m.bypass.Handler(r)
	_, ok := h.(passer)
	return ok
}

// beforeHeader keeps caches from handing to one site what was meant for another.
func (m *csrf) beforeHeader(x *exchange, _ int) {
	h := x.Header()
	h["Vary"] = append(h["Vary"], "Sec-Fetch-Site, Sec-Fetch-Mode, Sec-Fetch-Dest, Origin")
}

package httpmw

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mw-go/mw/core/schema"
)

// SecureHeadersConfig is the Config of SecureHeaders. The zero value is the default.
type SecureHeadersConfig struct {
	// Preset is the set of fields to start from: api, for responses that no browser shows, or web. Default api.
	Preset string `default:"api" range:"api|web"`
	// HSTS is how long browsers must use https for this host. Default 17520h, two years. Range 1h to 87600h, or none (-1).
	HSTS time.Duration `default:"17520h" range:"1h..87600h|none"`
	// HSTSHostOnly leaves subdomains out. Default false.
	HSTSHostOnly bool
	// HSTSPreload asks to be built into browsers, which is hard to undo. It needs subdomains and at least 8760h. Default
	// false.
	HSTSPreload bool
	// CSP is the Content-Security-Policy. Each {nonce} in it, to be written as 'nonce-{nonce}', becomes the nonce of the
	// request. Default that of the preset; "none" sends none.
	CSP string
	// CSPReportOnly is a policy that browsers report on and do not enforce: CSP in its second form, beside the one in force.
	// "preset" means that of the preset. Default none.
	CSPReportOnly string
	// ReportTo is where browsers send reports on both policies: an https URL, or a path of this host. Default none.
	ReportTo string
	// COEP sends Cross-Origin-Embedder-Policy: require-corp. It breaks pages that embed what does not agree to it.
	// Default false.
	COEP bool
	// Fields changes single fields of the preset or adds some: name to value, where "none" leaves the field out. Default
	// no change.
	Fields map[string]string
	// Trust says whose word is taken that a client's connection is encrypted, where a proxy ends TLS. Default nobody's.
	Trust Trust `key:"-"`
}

// The values of SecureHeadersConfig.Preset, and the words in its other fields.
const (
	PresetAPI = "api"
	PresetWeb = "web"

	wordNone   = "none"
	wordPreset = "preset"
)

// presets are those of the OWASP HTTP Headers cheat sheet and ASVS 5.0 section 3.4.
var presets = map[string]struct {
	csp    string
	fields [][2]string
}{
	PresetAPI: {"default-src 'none'; frame-ancestors 'none'", [][2]string{
		{"X-Content-Type-Options", "nosniff"},
		{"X-Frame-Options", "DENY"},
		{"Referrer-Policy", "no-referrer"},
		{"Cross-Origin-Opener-Policy", "same-origin"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
		{"Permissions-Policy", "camera=(), microphone=(), geolocation=()"},
		{"X-Xss-Protection", "0"},
	}},
	PresetWeb: {
		"script-src 'nonce-{nonce}' 'strict-dynamic'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
		[][2]string{
			{"X-Content-Type-Options", "nosniff"},
			{"X-Frame-Options", "DENY"},
			{"Referrer-Policy", "strict-origin-when-cross-origin"},
			{"Cross-Origin-Opener-Policy", "same-origin"},
			{"Cross-Origin-Resource-Policy", "same-site"},
			{"Permissions-Policy", "camera=(), microphone=(), geolocation=()"},
			{"X-Xss-Protection", "0"},
		},
	},
}

// unfit are fields that Fields must not set: they have a setting of their own, are the framing's or the handler's, or are
// harmful.
var unfit = map[string]string{
	"Strict-Transport-Security":           "hsts instead",
	"Content-Security-Policy":             "csp instead",
	"Content-Security-Policy-Report-Only": "csp_report_only instead",
	"Cross-Origin-Embedder-Policy":        "coep instead",
	"Reporting-Endpoints":                 "report_to instead",
	"Expect-Ct":                           "leaving it out: browsers have dropped it",
	"Public-Key-Pins":                     "leaving it out: browsers have dropped it",
	"Feature-Policy":                      "Permissions-Policy instead",
	"Content-Length":                      "leaving it to the handler",
	"Content-Type":                        "leaving it to the handler",
	"Set-Cookie":                          "leaving it to the handler",
	"Connection":                          "leaving it to the server",
	"Transfer-Encoding":                   "leaving it to the server",
	"Trailer":                             "leaving it to the handler",
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c SecureHeadersConfig) Validate() error {
	var faults schema.Errors
	fault := func(field string, value any, want string) {
		faults = append(faults, schema.Fault(field, value, want))
	}
	full := schema.Fill(c)
	if full.HSTS > 0 && full.HSTS%time.Second != 0 {
		fault("hsts", full.HSTS, "whole seconds")
	}
	if c.HSTSPreload && (c.HSTSHostOnly || full.HSTS < 8760*time.Hour) {
		fault("hsts_preload", true, "with subdomains and an hsts of at least 8760h")
	}
	if want := policyFault(c.CSP); c.CSP != "" && c.CSP != wordNone && want != "" {
		fault("csp", c.CSP, want)
	}
	if want := policyFault(c.CSPReportOnly); c.CSPReportOnly != "" && c.CSPReportOnly != wordPreset && want != "" {
		fault("csp_report_only", c.CSPReportOnly, want)
	}
	if c.ReportTo != "" && !isEndpoint(c.ReportTo) {
		fault("report_to", c.ReportTo, "an https URL, or a path such as /csp-reports")
	}
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		canonical, value := http.CanonicalHeaderKey(name), c.Fields[name]
		path := schema.Join("fields", name)
		switch {
		case !isToken(name):
			fault("fields", name, "the name of a field")
		case unfit[canonical] != "":
			fault(path, value, unfit[canonical])
		case seen[canonical]:
			fault(path, value, "naming the field once")
		case !isFieldValue(value):
			fault(path, value, "visible ASCII characters and spaces between them; none leaves the field out")
		}
		seen[canonical] = true
	}
	if len(faults) == 0 {
		return schema.Validate(c)
	}
	return schema.Validate(c, faults)
}

// policyFault says what is wrong with a Content-Security-Policy, in the words of what would be right.
func policyFault(policy string) string {
	switch {
	case !isFieldValue(policy) || strings.Contains(policy, ","):
		return "one policy of visible ASCII characters, without a comma"
	case strings.Count(policy, "{nonce}") != strings.Count(policy, "'nonce-{nonce}'"):
		return "a nonce written as 'nonce-{nonce}'"
	}
	for word := range strings.FieldsSeq(strings.ReplaceAll(policy, ";", " ")) {
		switch word {
		case "self", "none", "unsafe-inline", "unsafe-eval", "unsafe-hashes", "strict-dynamic", "wasm-unsafe-eval", "report-sample":
			return "'" + word + "' in quotes; without them it is a host"
		}
	}
	return ""
}

// isFieldValue holds for what a field value of RFC 9110 section 5.5 is in ASCII, without tabs.
func isFieldValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && s == strings.TrimSpace(s)
}

// isEndpoint holds for a URL that fits into a quoted string and a directive.
func isEndpoint(s string) bool {
	u, err := url.Parse(s)
	if err != nil || !isFieldValue(s) || strings.ContainsAny(s, " \",;\\") || u.User != nil {
		return false
	}
	return u.Scheme == "https" && u.Host != "" || u.Scheme == "" && u.Host == "" && strings.HasPrefix(s, "/")
}

package httpmw

import (
	"net/url"
	"strings"
)

// originFault says what is wrong with an origin of a Config, in the words of what would be right; empty if nothing is.
// It must be as browsers write it, since it is compared byte by byte.
func originFault(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return "scheme://host or scheme://host:port, such as https://shop.example"
	case u.Scheme != "https" && u.Scheme != "http":
		return "the scheme https or http"
	case !isOrigin(s):
		return "no user, path, query or fragment"
	case s != strings.ToLower(s):
		return "lower case, as browsers send it"
	case strings.Contains(s, "*"):
		return "a whole origin, without a wildcard"
	case u.Scheme == "https" && u.Port() == "443", u.Scheme == "http" && u.Port() == "80", strings.HasSuffix(u.Host, ":"):
		return "no port where it is the scheme's own, as browsers leave it out"
	default:
		return ""
	}
}

// isOrigin reports whether s has the form scheme://host, without the parts that url.Parse takes apart from the host and
// that no browser sends. The opaque origin "null" has not.
func isOrigin(s string) bool {
	scheme, host, ok := strings.Cut(s, "://")
	return ok && scheme != "" && host != "" && !strings.ContainsAny(host, "/\\@?# \t")
}

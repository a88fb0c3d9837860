package httpmw

import (
	"net/http"
	"strconv"
	"time"
)

// cacheReport is what one cache did with a request, for Cache-Status (RFC 9211).
type cacheReport struct {
	hit       bool
	fwd       string // why it was passed on
	fwdStatus int    // what came back, if the response given out is another
	stored    bool
	collapsed bool
	detail    string
	entry     *cacheEntry // that was given out
}

// fromBefore reports whether the response given out was made for an earlier request.
func (p *cacheReport) fromBefore() bool { return p.hit || p.fwdStatus != 0 || p.detail != "" }

// report appends a report to the field: the cache nearest to the client comes last.
func (c *ResponseCache) report(h http.Header, p *cacheReport, now time.Time) {
	b := make([]byte, 0, 64)
	if c.name[0] >= '0' && c.name[0] <= '9' || c.name[0] == '-' || c.name[0] == '_' || c.name[0] == '.' || c.name[0] == '/' {
		b = strconv.AppendQuote(b, c.name) // no token begins like that
	} else {
		b = append(b, c.name...)
	}
	switch {
	case p.hit:
		b = append(b, "; hit"...)
	case p.fwd != "":
		b = append(append(b, "; fwd="...), p.fwd...)
	}
	if p.fwdStatus != 0 {
		b = strconv.AppendInt(append(b, "; fwd-status="...), int64(p.fwdStatus), 10)
	}
	if p.entry != nil {
		left := p.entry.life.Fresh - p.entry.age(now)
		b = strconv.AppendInt(append(b, "; ttl="...), int64(left/time.Second), 10)
	}
	if p.stored {
		b = append(b, "; stored"...)
	}
	if p.collapsed {
		b = append(b, "; collapsed"...)
	}
	if p.detail != "" {
		b = append(append(b, "; detail="...), p.detail...)
	}
	h["Cache-Status"] = append(h["Cache-Status"], string(b))
}

// The reasons of RFC 9211 section 2.2 to pass a request on.
const (
	fwdBypass   = "bypass"
	fwdMethod   = "method"
	fwdURIMiss  = "uri-miss"
	fwdVaryMiss = "vary-miss"
	fwdRequest  = "request"
	fwdStale    = "stale"
)

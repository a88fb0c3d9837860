package conformance

import (
	"compress/gzip"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
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
	{layers: of("Recover"), key: "*", why: "a panic before the response began is answered with 500, whatever the handler had in mind", when: recovered},
	{layers: of("RequestID"), key: "field:X-Request-Id", why: "what it is for; a handler that adds one has two", when: extended},
	{layers: of("RequestID"), key: "hint * X-Request-Id", why: "it is set on the way in, and so with what comes first", when: extended},
	{layers: of("ServerTiming"), key: "field:Server-Timing", why: "what it is for; a handler's own stay before it", when: extended},
	{layers: of("RateLimit"), key: "field:Ratelimit*", why: "what it is for", when: unset},
	{layers: of("RateLimit"), key: "hint * Ratelimit*", why: "they are set on the way in", when: unset},
	{layers: of("SecureHeaders"), key: "field:Content-Security-Policy", why: "what it is for", when: unset},
	{layers: of("SecureHeaders"), key: "field:Cross-Origin-*-Policy", why: "what it is for", when: unset},
	{layers: of("SecureHeaders"), key: "field:Permissions-Policy", why: "what it is for", when: unset},
	{layers: of("SecureHeaders"), key: "field:Referrer-Policy", why: "what it is for", when: unset},
	{layers: of("SecureHeaders"), key: "field:Strict-Transport-Security", why: "what it is for, where there is TLS", when: func(d *difference) bool { return d.h2 && unset(d) }},
	{layers: of("SecureHeaders"), key: "field:X-Content-Type-Options", why: "what it is for", when: unset},
	{layers: of("SecureHeaders"), key: "field:X-Frame-Options", why: "what it is for", when: unset},
	{layers: of("SecureHeaders"), key: "field:X-Xss-Protection", why: "what it is for", when: unset},
	{layers: of("SecureHeaders"), key: "field:Cache-Control", why: "what answers credentials is not stored unless the handler says so", when: func(d *difference) bool {
		return unset(d) && d.got[d.key] == `["no-store"]`
	}},
	{layers: of("CORS"), key: "field:Vary", why: "the answer depends on the origin", when: extended},
	{layers: of("CORS"), key: "hint * Vary", why: "it is set on the way in", when: extended},
	{layers: of("CORS"), key: "hint * Access-Control-Allow-Origin", why: "it is set on the way in", when: unset},
	{layers: of("CORS"), key: "field:Access-Control-Allow-Origin", why: "what it is for", when: extended},
	{layers: of("Compress"), key: "field:Vary", why: "the answer depends on Accept-Encoding", when: extended},
	{layers: of("Compress"), key: "body", why: "what it is for: decoded, it is the handler's", when: sameDecoded},
	{layers: of("Compress"), key: "field:Content-Encoding", why: "what it is for", when: coded},
	{layers: of("Compress"), key: "field:Content-Length", why: "that of the plain body is of no use", when: coded},
	{layers: of("Compress"), key: "field:Accept-Ranges", why: "ranges would be of the plain body", when: coded},
	{layers: of("Compress"), key: "field:Etag", why: "another representation has another tag", when: coded},
	{layers: of("Compress"), key: "framing", why: "the length is another one", when: coded},
	{layers: of("ETag"), key: "field:Etag", why: "what it is for", when: unset},
	{layers: of("ETag"), key: "*", why: "what it is for: the client has the response already", when: status("304")},
	{layers: of("ETag"), key: "*", why: "what it is for: a precondition of the client's does not hold", when: status("412")},
	{layers: of("Cache"), key: "field:Cache-Status", why: "what it is for", when: unset},
	{layers: of("Cache"), key: "did 00", why: "the handler is asked for the whole response, whatever the client has", when: func(d *difference) bool {
		return strings.Contains(d.bare[d.key], " If-")
	}},
	{layers: of("Cache"), key: "*", why: "what it is for: the client has the response already", when: status("304")},
	{layers: of("Cache"), key: "framing", why: "what may be kept for others does not end a connection", when: closes},
	{layers: of("Cache"), key: "reuse", why: "what may be kept for others does not end a connection", when: closes},
	{layers: of("Cache"), key: "field:Connection", why: "what may be kept for others does not end a connection", when: closes},
	{layers: of("IdempotencyKey", "Validate"), key: "info", why: "the body is read before the handler runs, so the client is asked for it", when: expects},
	{layers: of("IdempotencyKey", "Validate"), key: "framing", why: "the body is read, so the connection lives on", when: uploads},
	{layers: of("IdempotencyKey", "Validate"), key: "reuse", why: "the body is read, so the connection lives on", when: uploads},
	{layers: of("IdempotencyKey", "Validate", "BodyLimit"), key: "did *", why: "the body is another one, with its length and with words of its own for a closed one", when: uploads},
	{layers: holding, key: "*", why: "nothing of the response was sent when the handler broke it off", when: brokenOff},
	{layers: holding, key: "field:Content-Type", why: "it is told from a body that the server then refuses", when: func(d *difference) bool {
		return unset(d) && (d.bare["end"] != "clean" || strings.Contains(d.bare["framing"], "length=0") || d.s.method == "HEAD" || declares(d.s))
	}},
	{layers: append(copying, holding...), key: "field:Content-Length", why: "the response was held as a whole, so its length is known", when: measured},
	{layers: append(copying, holding...), key: "framing", why: "the response was held as a whole, so its length is known", when: measured},
	{layers: holding, key: "trailer:*", why: "net/http sends trailers with a body in chunks alone, and what was held may be one piece", when: trailers},
	{layers: holding, key: "field:Trailer", why: "net/http sends trailers with a body in chunks alone, and what was held may be one piece", when: trailers},
	{layers: holding, key: "did *", why: "over HTTP/2 the client of a HEAD leaves with the header", when: func(d *difference) bool {
		return d.h2 && d.s.method == "HEAD"
	}},
	{layers: holding, key: "did *", why: "a body that is not sent is not measured", when: func(d *difference) bool {
		return declares(d.s) && strings.HasSuffix(d.bare[d.key], "longer than declared")
	}},
	{layers: of("Compress"), key: "*", why: "the end of the coding is still to come when the handler breaks off or the deadline passes", when: func(d *difference) bool {
		return coded(d) && (breaksOff(d.s) || d.s.has(opExpired))
	}},
	{layers: of("Cache"), key: "*", why: "the handler is asked for the whole response, and of a stream the client gets it", when: func(d *difference) bool {
		return d.bare["status"] == "304" && (strings.Contains(d.got["field:Content-Type"], "event-stream") || strings.Contains(d.got["field:Content-Type"], "grpc"))
	}},
	{layers: holding, key: "did *", why: "the response is held, so the request's body can still be read", when: func(d *difference) bool {
		return d.s.upload != noUpload && strings.HasPrefix(d.bare[d.key], "read")
	}},
	{layers: of("Cache"), key: "field:Date", why: "what may be kept must say how old it is", when: unset},
	{layers: append(copying, holding...), key: "body", why: "how much of a response arrives that is broken off depends on the buffers", when: partly},
}

// copying are the layers behind which a copy reaches the server in pieces: they draw conclusions from the status, which an
// empty copy leaves open, or wrap the writer for somebody who has no ReadFrom.
var copying = of("Trace", "Fallback", "Shed", "Breaker", "Guard")

// holding are the layers that hold a response until they know what it is.
var holding = of("Timeout enforced", "Fallback of failures", "ETag", "Cache", "IdempotencyKey", "Compress")

func of(layers ...string) []string { return layers }

// unset: the handler did not send it.
func unset(d *difference) bool { return d.bare[d.key] == "" }

// extended: the handler's own values are among those that are sent.
func extended(d *difference) bool {
	return strings.Contains(d.got[d.key], strings.Trim(d.bare[d.key], "[]"))
}

// status: that is what the client gets.
func status(code string) func(d *difference) bool {
	return func(d *difference) bool {
		return d.got["status"] == code && d.key != "did 00" // the handler may wait for what the client does not get
	}
}

// recovered: the handler panicked, and nothing was sent before.
func recovered(d *difference) bool {
	return panics(d.s) && d.got["status"] == "500" && !strings.HasPrefix(d.key, "did")
}

// panics reports whether the handler does by other means than http.ErrAbortHandler.
func panics(s *scenario) bool {
	return s.has(opPanic) || slices.ContainsFunc(s.steps, func(st step) bool { return st.op == opStatus && (st.n < 100 || st.n > 999) })
}

// coded: the layer has compressed.
func coded(d *difference) bool {
	return strings.Contains(d.got["field:Content-Encoding"], "gzip") || strings.Contains(d.got["field:Content-Encoding"], "zstd")
}

// sameDecoded: it has, and what comes out is the handler's body, or a part of it where both break off.
func sameDecoded(d *difference) bool {
	if !coded(d) {
		return false
	}
	body, whole := decode(d.got["field:Content-Encoding"], d.got["body"])
	if d.got["end"] != "clean" {
		return d.bare["end"] != "clean" && (strings.HasPrefix(d.bare["body"], body) || strings.HasPrefix(body, d.bare["body"]))
	}
	return whole && body == d.bare["body"]
}

func decode(coding, body string) (plain string, whole bool) {
	var r io.Reader
	if strings.Contains(coding, "gzip") {
		z, err := gzip.NewReader(strings.NewReader(body))
		if err != nil {
			return "", false
		}
		r = z
	} else {
		z, err := zstd.NewReader(strings.NewReader(body), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return "", false
		}
		defer z.Close()
		r = z
	}
	b, err := io.ReadAll(r)
	return string(b), err == nil
}

// closes: the handler said so.
func closes(d *difference) bool {
	return slices.ContainsFunc(d.s.steps, func(st step) bool { return st.name == "Connection" })
}

func expects(d *difference) bool { return d.s.upload == expectUpload }
func uploads(d *difference) bool { return d.s.upload != noUpload }

// brokenOff: the client of the bare handler saw the beginning of a response, or all that was to come of it, and that of
// the layer none.
func brokenOff(d *difference) bool {
	return d.got["answer"] == "none" && (d.bare["end"] != "clean" || breaksOff(d.s)) && !strings.HasPrefix(d.key, "did")
}

// partly: both break off, and one is the beginning of the other.
func partly(d *difference) bool {
	return (d.s.old && breaksOff(d.s) || d.got["end"] != "clean" && d.bare["end"] != "clean") &&
		(strings.HasPrefix(d.bare["body"], d.got["body"]) || strings.HasPrefix(d.got["body"], d.bare["body"]))
}

// measured: the layer declares the length where the bare handler does not, and it is the right one.
func measured(d *difference) bool {
	return d.bare["field:Content-Length"] == "" && (d.s.method == "HEAD" || d.got["field:Content-Length"] == fmt.Sprintf("[\"%d\"]", len(d.got["body"])))
}

func trailers(d *difference) bool { return d.s.has(opTrailerSoon, opTrailerLate) }

func breaksOff(s *scenario) bool { return panics(s) || s.has(opAbort, opGoexit) }

// declares reports whether the handler says how long its body is.
func declares(s *scenario) bool {
	return slices.ContainsFunc(s.steps, func(st step) bool { return st.name == "Content-Length" })
}

package conformance

import (
	"fmt"
	"math/rand/v2"
	"net/http"
)

// generator makes a scenario of a seed.
type generator struct {
	*rand.Rand
	*scenario
	waits bool // the client's progress can be told from the bytes it gets
}

// generate returns the scenario of a seed, the same one every time.
func generate(seed uint64) *scenario {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 17)), scenario: &scenario{seed: seed, fields: http.Header{}}}
	g.ask()
	g.answer()
	if g.upload == expectUpload && breaksOff(g.scenario) {
		g.upload = plainUpload // a server that gives up waits for the body first, and the client for the answer
	}
	return g.scenario
}

func (g *generator) oneIn(n int) bool { return g.IntN(n) == 0 }

func pick[T any](g *generator, of ...T) T { return of[g.IntN(len(of))] }

func (g *generator) add(s step) { g.steps = append(g.steps, s) }

// size is mostly small; the buffers of net/http, and of what holds responses, are passed now and then.
func (g *generator) size() int {
	switch g.IntN(12) {
	case 0:
		return 0
	case 1, 2:
		return 1 + g.IntN(3000)
	case 3:
		return pick(g, 511, 512, 513, 2047, 2048, 2049, 4095, 4096, 4097)
	case 4:
		return 4000 + g.IntN(9000)
	default:
		return 1 + g.IntN(200)
	}
}

// ask makes the request.
func (g *generator) ask() {
	g.method = pick(g, "GET", "GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "OPTIONS")
	if g.oneIn(25) {
		g.old = true
	}
	g.waits = !g.old
	if g.oneIn(6) {
		g.fields.Set("Accept-Encoding", pick(g, "gzip", "zstd, gzip", "gzip;q=0", "identity", "br"))
		g.waits = false
	}
	if g.oneIn(10) {
		g.fields.Set("Origin", "https://shop.example")
	}
	if g.oneIn(12) {
		g.fields.Set("Accept", pick(g, "text/plain", "text/event-stream", "application/json", "*/*"))
	}
	if g.oneIn(20) {
		g.fields.Set("X-Request-Id", "from the client")
	}
	if g.oneIn(20) {
		g.fields.Set("X-Forwarded-For", "192.0.2.1")
	}
	if g.oneIn(20) {
		g.fields["X-Twice"] = []string{"1", "2"}
	}
	if g.oneIn(20) {
		g.fields.Set("Cookie", "a=b")
	}
	if g.oneIn(30) {
		g.fields.Set("Authorization", "Bearer x")
	}
	if g.method == "GET" || g.method == "HEAD" {
		if g.oneIn(6) {
			g.fields.Set("Range", pick(g, "bytes=0-9", "bytes=5-", "bytes=-7", "bytes=0-1,4-5", "bytes=900000-", "lines=1-2"))
			if g.oneIn(3) {
				g.fields.Set("If-Range", pick(g, `"v1"`, `"v2"`, "Sun, 09 Sep 2001 01:46:40 GMT"))
			}
		}
		if g.oneIn(8) {
			g.fields.Set("If-None-Match", pick(g, `"v1"`, `W/"v1"`, `"v2"`, "*"))
		}
		if g.oneIn(12) {
			g.fields.Set("If-Modified-Since", pick(g, "Sun, 09 Sep 2001 01:46:40 GMT", "Sat, 08 Sep 2001 01:46:40 GMT"))
		}
		return
	}
	if g.oneIn(15) {
		g.fields.Set("If-Match", pick(g, `"v1"`, "*"))
	}
	g.uploads()
}

func (g *generator) uploads() {
	if g.method == "OPTIONS" || g.oneIn(4) {
		return
	}
	g.upload = pick(g, plainUpload, plainUpload, plainUpload, chunkedUpload, expectUpload, pacedUpload)
	if g.old && g.upload != plainUpload {
		g.upload = plainUpload
	}
	if g.upload == pacedUpload { // its client counts the bytes that come back
		g.fields.Del("Accept-Encoding")
	}
	g.length = pick(g, 2, 10, 1000, 3000, 5000)
	if g.oneIn(30) && g.upload == plainUpload {
		g.length = 300_000 // more than a server discards
	}
	if g.oneIn(2) {
		g.json = true
		g.fields.Set("Content-Type", "application/json")
	}
	g.keyed = g.oneIn(4)
}

// answer makes the handler.
func (g *generator) answer() {
	if g.upload == pacedUpload {
		g.preamble()
		g.add(step{op: opEcho})
		g.finale()
		return
	}
	g.reading()
	g.preamble()
	switch g.IntN(14) {
	case 0:
		g.hijack()
		return
	case 1:
		g.add(step{op: opServeContent, n: g.size()})
		g.finale()
		return
	case 2:
		if g.oneIn(3) {
			g.add(step{op: opServeFile})
			return
		}
		g.add(step{op: opError, n: pick(g, 400, 404, 500, 503), value: "no"})
		return
	case 3:
		g.add(step{op: opRedirect, n: pick(g, 301, 302, 303, 307, 308), value: "/elsewhere"})
		return
	case 4:
		return // without a word
	}
	g.status()
	for range g.IntN(6) {
		g.piece()
	}
	g.finale()
}

// reading is what the handler makes of the request's body. Mostly before it answers, as HTTP/1.1 wants it.
func (g *generator) reading() {
	if g.oneIn(5) {
		g.add(step{op: pick(g, opReadDeadline, opDeadline), n: pick(g, 0, 1)})
	}
	if g.upload == noUpload && !g.oneIn(10) {
		return
	}
	switch g.IntN(6) {
	case 0: // not at all
	case 1:
		g.add(step{op: opRead, n: 1 + g.IntN(g.length+2)})
	case 2:
		g.add(step{op: opRead, n: 1 + g.IntN(g.length+2)})
		g.add(step{op: opClose})
		g.add(step{op: opRead, n: 1})
	default:
		g.add(step{op: opReadAll})
	}
}

// preamble is fields and informational answers.
func (g *generator) preamble() {
	for range g.IntN(4) {
		g.field()
	}
	if g.oneIn(10) {
		for range 1 + g.IntN(3) {
			g.add(step{op: opSet, name: "Link", value: fmt.Sprintf("</%d.css>; rel=preload", g.IntN(10))})
			g.add(step{op: opInfo, n: pick(g, 103, 103, 103, 102, 110, 199), wait: true})
		}
		if g.oneIn(2) {
			g.add(step{op: opDelete, name: "Link"})
		}
	}
	if g.oneIn(8) {
		g.add(step{op: opTrailerSoon, name: "X-Check"})
		if g.oneIn(3) {
			g.add(step{op: opTrailerSoon, name: "X-Never"})
		}
	}
	if g.upload != pacedUpload && g.oneIn(12) { // whose client would wait for the rest
		g.add(step{op: opSet, name: "Content-Length", value: fmt.Sprint(pick(g, 0, 1, 10, 100, 1000))})
	}
}

func (g *generator) field() {
	name, value := "X-A", "1"
	switch g.IntN(21) {
	case 0, 1, 2:
		name, value = "Content-Type", pick(g, "text/plain", "text/html; charset=utf-8", "application/json", "image/png", "application/grpc")
	case 3:
		name, value = "Content-Type", "text/event-stream"
	case 4:
		g.add(step{op: opNil, name: pick(g, "Content-Type", "Date", "X-Nil")})
		return
	case 5, 6:
		name, value = "Cache-Control", pick(g, "no-store", "max-age=60", "no-transform", "private", "public, max-age=5")
	case 7:
		name, value = "Etag", pick(g, `"v1"`, `W/"v1"`, `"v2"`, "bad")
	case 8:
		name, value = "Last-Modified", "Sun, 09 Sep 2001 01:46:40 GMT"
	case 9:
		name, value = "Vary", pick(g, "Accept", "Origin", "*", "Accept-Encoding")
	case 10:
		g.add(step{op: opAdd, name: "Set-Cookie", value: "a=1"})
		name, value = "Set-Cookie", "b=2"
	case 11:
		name, value = "Content-Encoding", pick(g, "gzip", "br", "identity")
	case 12:
		name, value = "Connection", "close"
	case 13:
		name, value = "Retry-After", "5"
	case 14:
		name, value = "X-Request-Id", "mine"
	case 15:
		name, value = "Accept-Ranges", "bytes"
	case 16:
		name, value = "Date", "Sun, 09 Sep 2001 01:46:40 GMT"
	case 17:
		name, value = pick(g, "X-Frame-Options", "Content-Security-Policy", "Referrer-Policy", "Access-Control-Allow-Origin"), "mine"
	case 18:
		name, value = "Server-Timing", "db;dur=1"
	}
	o := opSet
	if name == "Set-Cookie" || g.oneIn(10) {
		o = opAdd
	}
	g.add(step{op: o, name: name, value: value})
}

func (g *generator) status() {
	switch g.IntN(10) {
	case 0, 1, 2:
		return // implied
	case 3, 4, 5:
		g.add(step{op: opStatus, n: pick(g, 200, 200, 201, 202, 203)})
	case 6:
		g.add(step{op: opStatus, n: pick(g, 204, 304, 205)})
	case 7:
		g.add(step{op: opStatus, n: pick(g, 400, 401, 404, 409, 410, 412, 416, 418, 429)})
	case 8:
		g.add(step{op: opStatus, n: pick(g, 500, 501, 502, 503, 504, 599)})
	case 9:
		g.add(step{op: opStatus, n: pick(g, 206, 226, 299, 300, 399, 499, 600, 777, 999)})
	}
	if g.oneIn(40) {
		g.add(step{op: opStatus, n: pick(g, 0, 99, 1000, -1)}) // a mistake that net/http answers with a panic
	}
}

// piece is a part of the body, or what comes between two.
func (g *generator) piece() {
	kind := g.IntN(16)
	if kind >= 7 && kind <= 9 && declares(g.scenario) { // net/http copies more than was declared, see TestStandardLibrary
		kind = 0
	}
	switch kind {
	case 0, 1, 2, 3, 4:
		g.add(step{op: opWrite, n: g.size()})
	case 5, 6:
		g.add(step{op: opWriteString, n: g.size()})
	case 7:
		g.add(step{op: opCopy, n: g.size()})
	case 8:
		g.add(step{op: opCopyFile, n: g.size()})
	case 9:
		g.add(step{op: opReadFrom, n: g.size()})
	case 10, 11:
		g.add(step{op: opFlush, wait: g.waits})
	case 12:
		g.add(step{op: opFlushRC, wait: g.waits})
	case 13:
		g.add(step{op: opStatus, n: pick(g, 200, 404, 500)}) // superfluous, mostly
	case 14:
		g.field()
	case 15:
		if g.oneIn(4) && g.upload != expectUpload { // there the body comes after the answer
			g.add(step{op: opRead, n: 5}) // late
		} else {
			g.add(step{op: opInfo, n: 103}) // maybe too late
		}
	}
}

// finale is trailers, and how the handler ends.
func (g *generator) finale() {
	if g.has(opTrailerSoon) {
		g.add(step{op: opTrailer, name: "X-Check", value: "sum"})
	}
	if g.oneIn(12) {
		g.add(step{op: opTrailerLate, name: "X-Late", value: "1"})
	}
	switch g.IntN(24) {
	case 0:
		g.add(step{op: opPanic, value: "planted"})
	case 1:
		g.add(step{op: opAbort})
	case 2:
		if g.oneIn(3) {
			g.add(step{op: opGoexit})
		}
	case 3:
		g.add(step{op: opFlush, wait: g.waits})
		g.add(step{op: opPanic, value: "planted after a flush"})
	case 4:
		g.add(step{op: opFlush, wait: g.waits})
		g.add(step{op: opAbort})
	case 5:
		g.add(step{op: opFlush, wait: g.waits})
		g.add(step{op: opExpired})
		g.add(step{op: opWrite, n: 100})
	}
}

// hijack takes the connection.
func (g *generator) hijack() {
	answers := []string{
		"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\nanother protocol",
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 20\r\n\r\nshort",
		"",
	}
	if g.oneIn(6) {
		g.add(step{op: opWrite, n: 10})
		g.add(step{op: opFlush, wait: g.waits})
	}
	g.add(step{op: opHijack, n: g.IntN(2), value: answers[g.IntN(len(answers))]})
	if g.oneIn(4) {
		g.add(step{op: opWrite, n: 10})
	}
}

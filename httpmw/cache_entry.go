package httpmw

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/httpmw/internal/httpcache"
)

// cacheEntry is a response that is kept. Immutable but for the flag, so that any number of requests serve it at once.
type cacheEntry struct {
	status int
	header http.Header
	body   []byte
	route  string // the pattern that the handler was found by
	vary   []string
	asked  []string // the values of those fields in the request it answered

	born    time.Time     // when it came
	ageThen time.Duration // how old it was when it came
	life    CacheLife

	refreshing atomic.Bool // by one refresh in the background
}

// newEntry keeps a response that came at now, took delay to come and has the whole of its body. header becomes the
// entry's own.
func newEntry(r *http.Request, status int, header http.Header, body []byte, life CacheLife, now time.Time, delay time.Duration) *cacheEntry {
	e := &cacheEntry{status: status, body: body, life: life, born: now, ageThen: ageOnArrival(header, now, delay)}
	delete(header, "Age")
	if len(header["Date"]) == 0 {
		header["Date"] = []string{now.UTC().Format(http.TimeFormat)}
	}
	e.header = header
	e.vary = varyOf(header)
	for _, name := range e.vary {
		e.asked = append(e.asked, askedFor(r, name))
	}
	return e
}

// ageOnArrival is the corrected_initial_age of RFC 9111 section 4.2.3.
func ageOnArrival(h http.Header, now time.Time, delay time.Duration) time.Duration {
	age := delay
	if v := h["Age"]; len(v) > 0 {
		age += max(httpcache.Seconds(v[0]), 0)
	}
	if date, ok := dateOf(h["Date"]); ok {
		// A Date has no fractions, so what looks younger than a second is now.
		if apparent := now.Sub(date); apparent >= time.Second {
			age = max(age, apparent)
		}
	}
	return age
}

func (e *cacheEntry) age(now time.Time) time.Duration { return e.ageThen + max(now.Sub(e.born), 0) }

func (e *cacheEntry) stored(now time.Time) StoredResponse {
	return StoredResponse{Header: e.header, Life: e.life, Age: e.age(now)}
}

// coversError reports whether the entry may be given out in place of an error.
func (e *cacheEntry) coversError(now time.Time) bool {
	return e != nil && e.age(now)-e.life.Fresh < e.life.StaleIfError
}

// matches reports whether the entry answers what a request asks for, as far as Vary says.
func (e *cacheEntry) matches(r *http.Request) bool {
	for i, name := range e.vary {
		if e.asked[i] != askedFor(r, name) {
			return false
		}
	}
	return true
}

// varyOf lists the names of Vary, canonical and sorted.
func varyOf(h http.Header) (names []string) {
	for _, line := range h["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, http.CanonicalHeaderKey(name))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// askedFor is the value of a request's field, its lines joined and without the spaces that mean nothing.
func askedFor(r *http.Request, name string) string {
	if name == "Host" {
		return r.Host
	}
	lines := r.Header[name]
	if len(lines) == 1 {
		return strings.TrimSpace(lines[0])
	}
	trimmed := make([]string, len(lines))
	for i, line := range lines {
		trimmed[i] = strings.TrimSpace(line)
	}
	return strings.Join(trimmed, ", ")
}

// ownFields are of one connection, of one request or of a cache, and are not kept (RFC 9111 section 3.1).
var ownFields = [...]string{
	"Cache-Status", "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info",
	"Proxy-Authorization", "Proxy-Connection", "Set-Cookie", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// saidSince is what a handler has added to a header: without the fields that were there before, which are other
// layers'. The values are the header's.
func saidSince(h, before http.Header) http.Header {
	said := make(http.Header, len(h)+1)
	for name, values := range h {
		if was, ok := before[name]; !ok || !slices.Equal(was, values) {
			said[name] = values
		}
	}
	return said
}

// keptFields is the part of a header that is kept, as a copy. Age stays for newEntry to read.
func keptFields(said http.Header) http.Header {
	h := said.Clone()
	for _, line := range said["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			delete(h, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	for _, name := range ownFields {
		delete(h, name)
	}
	return h
}

// confirmed is the entry after a 304: with its fields, but for those of the body (RFC 9111 section 3.2).
func (e *cacheEntry) confirmed(r *http.Request, fields http.Header, rules CacheRules, now time.Time, delay time.Duration) (fresh *cacheEntry, ok bool) {
	h := e.header.Clone()
	delete(h, "Date")
	for name, values := range keptFields(fields) {
		switch name {
		case "Content-Length", "Content-Encoding", "Content-Type", "Content-Range":
		default:
			h[name] = values
		}
	}
	life, ok := rules.Keep(r, e.status, h)
	fresh = newEntry(r, e.status, h, e.body, life, now, delay)
	fresh.route = e.route
	return fresh, ok
}

// sameAs reports whether a 304 with these fields is about the entry.
func (e *cacheEntry) sameAs(fields http.Header) bool {
	tag := fields.Get("Etag")
	return tag == "" || e.header.Get("Etag") == "" || weakly(tag, e.header.Get("Etag"))
}

// size is what the entry takes of the cache's bytes.
func (e *cacheEntry) size() int64 {
	n := 512 + cap(e.body)
	for name, values := range e.header {
		n += len(name) + 64
		for _, v := range values {
			n += len(v) + 16
		}
	}
	for _, v := range e.asked {
		n += len(v)
	}
	return int64(n)
}

// fields copies the entry's fields into h, with one allocation for all values: whoever is further out may change them.
// aged adds Age, which tells that the response was not made for this request.
func (e *cacheEntry) fields(h http.Header, aged bool, now time.Time) {
	n := 1
	for _, values := range e.header {
		n += len(values)
	}
	copies := make([]string, 0, n)
	for name, values := range e.header {
		from := len(copies)
		copies = append(copies, values...)
		h[name] = copies[from:len(copies):len(copies)]
	}
	if !aged {
		return
	}
	copies = append(copies, strconv.FormatInt(int64(e.age(now)/time.Second), 10))
	h["Age"] = copies[n-1 : n : n]
}

// serve answers r with the entry: the whole, its header, or a 304.
func (e *cacheEntry) serve(w http.ResponseWriter, r *http.Request, aged bool, now time.Time) {
	h := w.Header()
	e.fields(h, aged, now)
	if r.Pattern == "" {
		r.Pattern = e.route
	}
	status := e.status
	if status == http.StatusOK && isConditional(r.Header) && precondition(r, validatorsOf(e.header)) == http.StatusNotModified {
		notModified(h)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	bodyless := status == http.StatusNoContent
	if !bodyless && len(h["Content-Length"]) == 0 {
		h["Content-Length"] = []string{strconv.Itoa(len(e.body))}
	}
	w.WriteHeader(status)
	if !bodyless && r.Method != http.MethodHead {
		_, _ = w.Write(e.body) // the client may be gone; there is nobody to tell
	}
}

// response is the entry as a transport's response to r.
func (e *cacheEntry) response(r *http.Request, aged bool, now time.Time) *http.Response {
	h := make(http.Header, len(e.header)+2)
	e.fields(h, aged, now)
	resp := &http.Response{
		Status: strconv.Itoa(e.status) + " " + http.StatusText(e.status), StatusCode: e.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, Request: r,
		ContentLength: int64(len(e.body)), Body: http.NoBody,
	}
	if r.Method != http.MethodHead && len(e.body) > 0 {
		resp.Body = io.NopCloser(&bodyReader{rest: e.body})
	}
	return resp
}

// bodyReader reads a body that must not be changed: it has no WriterTo that would hand it out.
type bodyReader struct{ rest []byte }

func (b *bodyReader) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

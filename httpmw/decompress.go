package httpmw

import (
	"io"
	"net/http"
	"strings"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// DecompressConfig is the Config of Decompress. The zero value is the default.
type DecompressConfig struct {
	// Max is how many bytes a body may have once it is decoded, and at each step if several codings were applied.
	// Default 8388608, 8 MiB. Range 1 to 1099511627776.
	Max int64 `default:"8388608" range:"1..1099511627776"`
	// Ratio is how many bytes may come out for each that came in, once the first 65536 are out. The text of a program
	// compresses to a tenth, a body of zeros to a thousandth. Default 100. Range 2 to 100000, or none (-1).
	Ratio core.Count `default:"100" range:"2..100000|none"`
	// Codings is how many codings may have been applied to one body. Default 2. Range 1 to 8.
	Codings int `default:"2" range:"1..8"`
	// Decoders are codings beyond gzip and deflate, such as Zstd of package httpmw/compress. One with the name of another
	// replaces it. Functions, so no configuration.
	Decoders []Decoder `key:"-"`
	// Mode says what happens to a body that is refused. In shadow mode one of an unknown coding is passed on as it
	// came, and Max and Ratio are watched only: a bomb goes off. In disabled mode nothing is decoded. Default enforce.
	Mode core.Mode `default:"enforce" range:"enforce|shadow|disabled"`
}

// Decoder is a content coding.
type Decoder struct {
	// Coding is its name in lower case, as in Content-Encoding.
	Coding string
	// New returns a reader of what src says once decoded. It may read from src. The reader ends with io.EOF only if src
	// has ended too and the coding was whole. It is not used after Close, nor by two goroutines at once.
	New func(src io.Reader) (io.ReadCloser, error)
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c DecompressConfig) Validate() error {
	var faults []error
	for i, d := range c.Decoders {
		path := schema.At("decoders", i)
		if !isToken(d.Coding) || d.Coding != strings.ToLower(d.Coding) || d.Coding == "identity" {
			faults = append(faults, schema.Fault(schema.Join(path, "coding"), d.Coding, "the name of a content coding in lower case"))
		}
		if d.New == nil {
			faults = append(faults, schema.Fault(schema.Join(path, "new"), nil, "is required"))
		}
	}
	return schema.Validate(c, faults...)
}

// Decompress returns a middleware that decodes the bodies of requests with a Content-Encoding: gzip, deflate (the zlib format,
// as RFC 9110 has it) and those in the Config. The handlers behind it see a request without Content-Encoding and without
// a length; Content-Digest and Content-MD5, which speak of the coded bytes, are left out as well, so that whoever checks
// them belongs outside.
//
// A body in another coding, or in more of them than Codings, gets a 415 with an Accept-Encoding field, before a byte of
// it is read. One that decodes to more than Max or Ratio allow ends with an *http.MaxBytesError, and one that is damaged,
// cut off or goes on after its end with another error; WriteError answers them with 413 and 400. If the handler sends
// nothing at all, that answer is sent for it. Nothing is decoded before the handler reads, and never more than it asks for.
//
// BodyLimit outside of it bounds what comes over the wire, inside of it what is decoded. A request without a
// Content-Encoding costs no allocation. It fails if the Config does not validate.
func Decompress(c DecompressConfig) (func(http.Handler) http.Handler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	m := &decompress{DecompressConfig: schema.Fill(c), decoders: map[string]Decoder{}}
	for _, d := range append([]Decoder{gzipDecoder(), deflateDecoder()}, c.Decoders...) {
		if _, known := m.decoders[d.Coding]; !known {
			m.accept = append(m.accept, d.Coding)
		}
		m.decoders[d.Coding] = d
	}
	return wrap("Decompress", m), nil
}

type decompress struct {
	DecompressConfig
	decoders map[string]Decoder
	accept   []string
}

func (m *decompress) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	if m.Mode == core.Disabled || r.Body == nil || r.Body == http.NoBody || len(r.Header["Content-Encoding"]) == 0 {
		next.ServeHTTP(w, r)
		return
	}
	codings, ok := m.codings(r.Header["Content-Encoding"])
	if !ok {
		if m.Mode == core.Enforce {
			w.Header()["Accept-Encoding"] = []string{strings.Join(m.accept, ", ")}
		}
		if x.refuse(w, r, m.Mode, problemMediaType, errorCoding) {
			return
		}
	}
	if !ok || len(codings) == 0 {
		next.ServeHTTP(w, r)
		return
	}
	m.decode(x, w, r, next, codings)
}

// decode passes on a copy of the request: its header says something else, and outer layers still look at theirs.
func (m *decompress) decode(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler, codings []Decoder) {
	body := &codedBody{m: m, codings: codings, wire: wireReader{ReadCloser: r.Body}}
	down := r.WithContext(r.Context())
	down.Header = r.Header.Clone()
	for _, name := range [...]string{"Content-Encoding", "Content-Length", "Content-Digest", "Content-Md5"} {
		delete(down.Header, name)
	}
	down.Body, down.ContentLength = body, -1
	x.deep = down
	defer func() {
		body.end()
		handBack(r, down)
	}()
	next.ServeHTTP(w, down)
	switch body.verdict.Load() {
	case verdictTooLarge:
		if m.Mode == core.Shadow {
			x.rec.shadow(errorTooLarge)
			return
		}
		x.rec.fail(errorTooLarge)
		writeProblem(w, r, problemTooLarge)
	case verdictBroken:
		x.rec.fail(errorBodyBroken)
		writeProblem(w, r, problemBodyBroken)
	}
}

// codings returns the decoders for a Content-Encoding, the last coding that was applied last; false if it cannot be
// decoded.
func (m *decompress) codings(lines []string) (list []Decoder, ok bool) {
	for _, line := range lines {
		for name := range strings.SplitSeq(line, ",") {
			switch name = strings.ToLower(strings.Trim(name, " \t")); name {
			case "", "identity":
				continue
			case "x-gzip": // RFC 9110 section 8.4.1.3
				name = "gzip"
			}
			d, known := m.decoders[name]
			if !known || len(list) == m.Codings {
				return nil, false
			}
			list = append(list, d)
		}
	}
	return list, true
}

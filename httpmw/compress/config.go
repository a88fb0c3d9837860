package compress

import (
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/mw-go/mw/core/schema"
)

// Config is the Config of Compress. The zero value is the default.
type Config struct {
	// Codings are what is offered, the one preferred among equals first. Of gzip and zstd; default zstd, gzip.
	Codings []string
	// Min is the shortest body that is encoded, in bytes. Default 1024: below, a packet is sent anyway. Range 1 to 1048576.
	Min int `default:"1024" range:"1..1048576"`
	// Gzip is the level of gzip, from fast to small. Default 5. Range 1 to 9.
	Gzip int `default:"5" range:"1..9"`
	// Zstd is the level of zstd, from fast to small, as that package counts: 1 is about level 1 of the reference, 2 is
	// 3, 3 is 7, 4 is 11. Default 2. Range 1 to 4.
	Zstd int `default:"2" range:"1..4"`
	// Types are the media types that are encoded, instead of those known to compress: "application/json", "text/*",
	// "+json" for any type with that suffix.
	Types []string
	// Streams encodes text/event-stream as well. An encoder is held for as long as a stream lives: some 1.1 MB for gzip,
	// some 2.2 MB for zstd. Default false.
	Streams bool
	// Skip exempts requests, such as those whose answer mixes secrets with what was asked. It must be safe for
	// concurrent use. nil exempts none.
	Skip func(*http.Request) bool `key:"-"`
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c Config) Validate() error {
	var faults []error
	for i, coding := range c.Codings {
		switch {
		case coding != "gzip" && coding != "zstd":
			faults = append(faults, schema.Fault(schema.At("codings", i), coding, "gzip or zstd"))
		case slices.Contains(c.Codings[:i], coding):
			faults = append(faults, schema.Fault(schema.At("codings", i), coding, "each coding once"))
		}
	}
	for i, pattern := range c.Types {
		if !validPattern(pattern) {
			faults = append(faults, schema.Fault(schema.At("types", i), pattern, `a media type in lower case without parameters, "text/*" or "+json"`))
		}
	}
	return schema.Validate(c, faults...)
}

func validPattern(pattern string) bool {
	kind := pattern
	if len(kind) > 1 && kind[0] == '+' {
		kind = "application/x" + kind
	}
	if top, all := strings.CutSuffix(kind, "/*"); all {
		kind = top + "/x"
	}
	bare, params, err := mime.ParseMediaType(kind)
	return err == nil && len(params) == 0 && bare == kind && strings.Contains(kind, "/") && !strings.Contains(kind, "*")
}

// fill returns c with its defaults.
func fill(c Config) Config {
	c = schema.Fill(c)
	if len(c.Codings) == 0 {
		c.Codings = []string{"zstd", "gzip"}
	}
	return c
}

// known are the types that compress, beyond text/* and the suffixes +json, +xml and +yaml.
var known = []string{
	"application/javascript", "application/json", "application/manifest", "application/ndjson", "application/rtf", "application/sql",
	"application/toml", "application/vnd.ms-fontobject", "application/wasm", "application/x-javascript", "application/x-ndjson",
	"application/x-yaml", "application/xhtml", "application/xml", "application/yaml", "font/otf", "font/ttf", "image/bmp",
	"image/vnd.microsoft.icon", "image/x-icon",
}

// compresses reports whether a body of this type is worth encoding. kind is in lower case, without parameters.
func (c *Config) compresses(kind string) bool {
	if kind == "text/event-stream" {
		return c.Streams
	}
	if len(c.Types) > 0 {
		return slices.ContainsFunc(c.Types, func(pattern string) bool {
			if top, all := strings.CutSuffix(pattern, "*"); all {
				return strings.HasPrefix(kind, top)
			}
			return kind == pattern || pattern[0] == '+' && strings.HasSuffix(kind, pattern)
		})
	}
	return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml") ||
		strings.HasSuffix(kind, "+yaml") || slices.Contains(known, kind)
}

// mediaType is the Content-Type without parameters, in lower case.
func mediaType(contentType string) string {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

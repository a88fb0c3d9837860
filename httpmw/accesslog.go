package httpmw

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/mw-go/mw/internal/jsonline"
)

// AccessLogConfig is the Config of AccessLog. The zero value is the default.
type AccessLogConfig struct {
	// Logger gets one record a request. nil means slog.Default(), looked up at each request.
	Logger *slog.Logger
	// JSON gets one line a request instead, as slog.NewJSONHandler(JSON, nil) would write it, for a third of the cost. Each
	// line is one Write, and there is one at a time. nil means that Logger is used; both are a mistake, and panic.
	JSON io.Writer
	// Skip tells which requests are not logged, such as health probes. It is asked after the response, with the request
	// that was passed on: its Pattern is set. nil skips none. It must be safe for concurrent use.
	Skip func(*http.Request) bool
}

// AccessLog returns a middleware that logs each request when its response is over, also when it panicked, was aborted
// or hijacked. The record is written by the outermost middleware of this package, so it says what the client got,
// wherever in the chain AccessLog stands. Attributes have the names of OpenTelemetry's semantic conventions:
//
//	http.request.method            GET, HEAD, ...; _OTHER for methods that no standard knows
//	http.route                     the pattern's path, "unmatched" without one
//	url.path                       the path, cut at 1024 bytes; never the query, which may hold secrets
//	http.response.status_code      absent if there was no answer
//	http.response.body.size        bytes of the body on the wire, before the framing of the protocol
//	http.server.request.duration   seconds
//	network.protocol.version       1.0, 1.1, 2
//	client.address                 if ClientIP found it
//	request.id                     if RequestID set it
//	user_agent.original            if sent; cut at 256 bytes
//	error.type                     panic, timeout, aborted, canceled (the client left), the reason of a rejection by
//	                               one of our guards, or the number of a 5xx status; absent otherwise
//	mw.outcome                     hijacked or aborted; absent for a response that was finished
//	mw.shadow                      the error.type that a middleware in shadow mode would have rejected the request with
//	mw.surplus_write_header        calls of WriteHeader that came too late; absent if there were none
//
// The level is error for a panic and for a status of 500 and above; warn for an aborted response, and if one of our
// own guards rejected the request, which is its purpose; info for the rest. 4xx is info, for it is the client's error,
// and so is whatever the handler answered to a client that had left. Control characters in what the client sent are
// replaced.
//
// If the logger does not take the level, nothing is gathered. The logger's handler runs in the serving goroutine and the
// time of the record is the end of the request. At most one Config.
func AccessLog(c ...AccessLogConfig) func(http.Handler) http.Handler {
	config := atMostOne("AccessLog", c)
	m := &accessLog{log: config.Logger, skip: config.Skip}
	if config.JSON != nil {
		if config.Logger != nil {
			panic("httpmw: AccessLog: a Logger and JSON given, one is meant")
		}
		m.json = jsonline.New(config.JSON)
	}
	return wrap("AccessLog", m)
}

// The attributes of the logs of this package.
const (
	attrMethod    = "http.request.method"
	attrRoute     = "http.route"
	attrPath      = "url.path"
	attrStatus    = "http.response.status_code"
	attrBytes     = "http.response.body.size"
	attrDuration  = "http.server.request.duration"
	attrProtocol  = "network.protocol.version"
	attrClient    = "client.address"
	attrRequestID = "request.id"
	attrAgent     = "user_agent.original"
	attrError     = "error.type"
	attrOutcome   = "mw.outcome"
	attrSurplus   = "mw.surplus_write_header"
	attrShadow    = "mw.shadow"

	maxPath  = 1024
	maxAgent = 256
)

type accessLog struct {
	log  *slog.Logger
	json *jsonline.Writer // instead of log
	skip func(*http.Request) bool
}

func (m *accessLog) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	x.rec.atEnd(m)
	next.ServeHTTP(w, r)
}

// ended writes the record. A slog.Handler gets it directly: Logger.LogAttrs would read the clock once more.
func (m *accessLog) ended(rec *record) {
	x := &rec.wire
	failure := errorType(rec)
	level := logLevel(rec, failure)
	log := m.handler()
	if log != nil && !log.Enabled(rec, level) || m.skip != nil && m.skip(x.req) {
		return
	}
	took := rec.duration()
	var buf [14]slog.Attr
	attrs := responseAttrs(requestAttrs(buf[:0], x), x, took)
	if failure != "" {
		attrs = append(attrs, slog.String(attrError, failure))
	}
	if rec.shadowed != "" {
		attrs = append(attrs, slog.String(attrShadow, rec.shadowed))
	}
	if log == nil {
		m.json.Write(rec.start.Add(took), level, "request", attrs)
		return
	}
	entry := slog.NewRecord(rec.start.Add(took), level, "request", 0)
	entry.AddAttrs(attrs...)   // once: each call may grow the record
	_ = log.Handle(rec, entry) // as Logger does
}

// handler returns where records go; nil if they are lines of JSON.
func (m *accessLog) handler() slog.Handler {
	switch {
	case m.json != nil:
		return nil
	case m.log != nil:
		return m.log.Handler()
	default:
		return slog.Default().Handler()
	}
}

func requestAttrs(attrs []slog.Attr, x *exchange) []slog.Attr {
	attrs = append(attrs,
		slog.String(attrMethod, method(x.method)),
		slog.String(attrRoute, x.route()),
		slog.String(attrPath, printable(x.req.URL.Path, maxPath)),
		slog.String(attrProtocol, protocol(x.req)),
	)
	if x.rec.client.IsValid() {
		attrs = append(attrs, slog.String(attrClient, x.rec.clientText(x.req)))
	}
	if x.rec.id != "" {
		attrs = append(attrs, slog.String(attrRequestID, x.rec.id))
	}
	if agent := x.req.Header["User-Agent"]; len(agent) > 0 {
		attrs = append(attrs, slog.String(attrAgent, printable(agent[0], maxAgent)))
	}
	return attrs
}

func responseAttrs(attrs []slog.Attr, x *exchange, took time.Duration) []slog.Attr {
	attrs = append(attrs,
		slog.Int64(attrBytes, x.bytes),
		slog.Float64(attrDuration, took.Seconds()),
	)
	if x.status != 0 {
		attrs = append(attrs, slog.Int(attrStatus, x.status))
	}
	if c := x.completion(); c != Complete {
		attrs = append(attrs, slog.String(attrOutcome, c.String()))
	}
	if x.surplus > 0 {
		attrs = append(attrs, slog.Int(attrSurplus, x.surplus))
	}
	return attrs
}

// clientText is the client's address in text. Mostly it is the peer's, which is there already as a part of RemoteAddr.
func (rec *record) clientText(r *http.Request) string {
	var buf [64]byte
	text := rec.client.AppendTo(buf[:0])
	if peer := strings.TrimPrefix(r.RemoteAddr, "["); len(peer) > len(text) && peer[:len(text)] == string(text) {
		return peer[:len(text)]
	}
	return string(text)
}

// errorType returns what went wrong in one word, "" if nothing did.
func errorType(rec *record) string {
	x := &rec.wire
	switch {
	case rec.failure != "":
		return rec.failure
	case x.aborted:
		return errorAborted
	case errors.Is(rec.Err(), context.Canceled) && !x.hijacked:
		return errorCanceled
	default:
		return statusErrorType(x.status, 500)
	}
}

func logLevel(rec *record, failure string) slog.Level {
	switch {
	case failure == errorPanic:
		return slog.LevelError
	case rec.rejected, rec.wire.aborted:
		return slog.LevelWarn
	case failure == errorCanceled:
		return slog.LevelInfo // whatever the handler made of it, nobody was there to read it
	case rec.wire.status >= 500:
		return slog.LevelError
	default:
		return slog.LevelInfo
	}
}

// protocol returns the version without the word HTTP, as network.protocol.version wants it.
func protocol(r *http.Request) string {
	switch r.ProtoMajor {
	case 1:
		if r.ProtoMinor == 0 {
			return "1.0"
		}
		return "1.1"
	case 2:
		return "2"
	case 3:
		return "3"
	default:
		return "_OTHER"
	}
}

package httpmw

import (
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// SlowLogConfig is the Config of SlowLog. The zero value is the default.
type SlowLogConfig struct {
	// Threshold is how long a request may take. Default 1s. Range 1ms to 24h.
	Threshold time.Duration `default:"1s" range:"1ms..24h"`
	// ThresholdFor gives some requests, such as reports, a threshold of their own: 0 means Threshold, and a negative one
	// that they are never slow. It is asked after the response, with the request that was passed on: its Pattern is set. nil
	// means Threshold for all. It must be safe for concurrent use.
	ThresholdFor func(*http.Request) time.Duration `key:"-"`
	// Running logs requests that are still running after this time, with the stack of their goroutine. Default none (-1).
	// Range 10ms to 24h, or none.
	Running time.Duration `default:"none" range:"10ms..24h|none"`
	// Rate is how many records a second are written, with bursts of as many; those above it are counted in the next record. Stacks
	// are taken once a second at most. Default 10. Range 1 to 1000.
	Rate int `default:"10" range:"1..1000"`
	// Logger gets the records. nil means slog.Default(), looked up at each.
	Logger *slog.Logger `key:"-"`
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c SlowLogConfig) Validate() error { return schema.Validate(c) }

// SlowLog returns a middleware that logs requests which took longer than a threshold, at level warn, with the attributes of
// AccessLog and
//
//	mw.slow.threshold    seconds
//	mw.slow.queue        seconds in the queues of guards, if there were any
//	mw.slow.header       seconds until the header of the response; absent if none was sent
//	mw.slow.suppressed   records left out since the last one, if any were
//
// The time is that from the first middleware of this package to the end of the response. For a stream it is that to the
// header, for a stream lives as long as it is meant to: a response of type text/event-stream or application/grpc, one that the
// handler flushed, or a hijacked connection.
//
// With Running a request that is still at work after that time is logged once as "request still running", unless its header was
// sent: with method, path and id as known on the way in, and the stack of the goroutine that serves it, cut at 8 KiB. A handler
// that runs in another goroutine, as under http.TimeoutHandler, is not on that stack. Taking it stops the program for as
// long as it takes to write the stacks of all goroutines, at most 1 MiB; so once a second at most, and with none if the
// goroutine is not among the first MiB.
//
// Put it outside the guards, so that the time in their queues counts. It does not allocate for a request that is not slow; Running
// costs a timer and some allocations for each. It fails if the Config does not validate.
func SlowLog(c SlowLogConfig) (func(http.Handler) http.Handler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = schema.Fill(c)
	m := &slowLog{SlowLogConfig: c}
	m.records.every = time.Second / time.Duration(c.Rate)
	m.records.burst = time.Second - m.records.every
	m.stacks.every = time.Second
	return wrap("SlowLog", m), nil
}

// The attributes that SlowLog adds.
const (
	attrSlowThreshold  = "mw.slow.threshold"
	attrSlowQueue      = "mw.slow.queue"
	attrSlowHeader     = "mw.slow.header"
	attrSlowSuppressed = "mw.slow.suppressed"
)

type slowLog struct {
	SlowLogConfig
	records    pace
	stacks     pace
	suppressed atomic.Int64
}

func (m *slowLog) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	x.rec.atEnd(m)
	if m.Running <= 0 {
		x.beforeHeader(m)
		next.ServeHTTP(w, r)
		return
	}
	watch := m.watch(x, r)
	x.beforeHeader(watch)
	defer watch.stop()
	next.ServeHTTP(w, r)
}

// beforeHeader takes the time of the header.
func (m *slowLog) beforeHeader(x *exchange, _ int) {
	if x.rec.begun == 0 {
		x.rec.begun = max(time.Since(x.rec.start), 1)
	}
}

func (m *slowLog) afterHijack() {}

// ended judges the request.
func (m *slowLog) ended(rec *record) {
	x := &rec.wire
	took := rec.duration()
	judged := took
	switch {
	case x.hijacked:
		judged = 0
	case x.streams():
		judged = rec.begun
	}
	threshold := m.Threshold
	if m.ThresholdFor != nil {
		if t := m.ThresholdFor(x.req); t != 0 {
			threshold = t
		}
	}
	if threshold < 0 || judged <= threshold {
		return
	}
	if log := m.logger(); log.Handler().Enabled(rec, slog.LevelWarn) && m.admits() {
		m.log(rec, log, took, threshold)
	}
}

func (m *slowLog) logger() *slog.Logger {
	if m.Logger != nil {
		return m.Logger
	}
	return slog.Default()
}

func (m *slowLog) admits() bool {
	if m.records.admits(core.Now()) {
		return true
	}
	m.suppressed.Add(1)
	return false
}

func (m *slowLog) log(rec *record, log *slog.Logger, took, threshold time.Duration) {
	x := &rec.wire
	attrs := responseAttrs(requestAttrs(nil, x), x, took)
	if failure := errorType(rec); failure != "" {
		attrs = append(attrs, slog.String(attrError, failure))
	}
	attrs = append(attrs, slog.Float64(attrSlowThreshold, threshold.Seconds()))
	if rec.waited > 0 {
		attrs = append(attrs, slog.Float64(attrSlowQueue, rec.waited.Seconds()))
	}
	if rec.begun > 0 {
		attrs = append(attrs, slog.Float64(attrSlowHeader, rec.begun.Seconds()))
	}
	if n := m.suppressed.Swap(0); n > 0 {
		attrs = append(attrs, slog.Int64(attrSlowSuppressed, n))
	}
	log.LogAttrs(rec, slog.LevelWarn, "slow request", attrs...)
}

// streams reports whether the response is meant to be read while it is made.
func (x *exchange) streams() bool {
	if x.flushed {
		return true
	}
	kind, _, _ := mime.ParseMediaType(first(x.Header()["Content-Type"]))
	return kind == "text/event-stream" || kind == "application/grpc" || strings.HasPrefix(kind, "application/grpc+")
}

// pace admits one event every so often, and burst/every more at once. The zero pace admits all.
type pace struct {
	every, burst time.Duration
	next         atomic.Int64 // the core.Time from which on the next event is due; 0 before the first
}

func (p *pace) admits(now core.Time) bool {
	for {
		old := p.next.Load()
		due := core.Time(old)
		if old == 0 || due < now.Add(-p.burst) {
			due = now.Add(-p.burst) // idle time is not saved up beyond the burst
		}
		if due > now {
			return false
		}
		if p.next.CompareAndSwap(old, int64(due.Add(p.every))) {
			return true
		}
	}
}

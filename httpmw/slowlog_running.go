package httpmw

import (
	"bytes"
	"log/slog"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
)

// slowWatch waits for one request. It copies what it may have to log, for the rest of the record belongs to the goroutine that
// serves.
type slowWatch struct {
	m            *slowLog
	req          *http.Request // its context alone is used
	goroutine    []byte        // the head line of its stack, up to the state
	method, path string
	id           string
	timer        *time.Timer
	over         atomic.Bool // the header is sent, or the handler is done
}

func (m *slowLog) watch(x *exchange, r *http.Request) *slowWatch {
	s := &slowWatch{m: m, req: r, goroutine: goroutineHead(), method: method(r.Method), path: r.URL.Path, id: x.rec.id}
	s.timer = time.AfterFunc(m.Running, s.fire)
	return s
}

func (s *slowWatch) beforeHeader(x *exchange, status int) {
	s.m.beforeHeader(x, status)
	s.stop()
}

func (s *slowWatch) afterHijack() { s.stop() }

// stop may come more than once. A fire that runs at this moment logs a request that was running when it began.
func (s *slowWatch) stop() {
	s.over.Store(true)
	s.timer.Stop()
}

// fire runs in a goroutine of its own.
func (s *slowWatch) fire() {
	log, ctx := s.m.logger(), s.req.Context()
	if s.over.Load() || !log.Handler().Enabled(ctx, slog.LevelWarn) || !s.m.admits() {
		return
	}
	attrs := []slog.Attr{
		slog.String(attrMethod, s.method),
		slog.String(attrPath, printable(s.path, maxPath)),
		slog.Float64("mw.slow.running", s.m.Running.Seconds()),
	}
	if s.id != "" {
		attrs = append(attrs, slog.String(attrRequestID, s.id))
	}
	if s.m.stacks.admits(core.Now()) {
		if stack := stackOf(s.goroutine); stack != "" {
			attrs = append(attrs, slog.String("mw.slow.stack", stack))
		}
	}
	log.LogAttrs(ctx, slog.LevelWarn, "request still running", attrs...)
}

const (
	maxStacks = 1 << 20 // bytes looked through
	maxStack  = 8 << 10 // bytes logged
)

// goroutineHead returns "goroutine 123 [", by which the stack of the calling goroutine is found among all.
func goroutineHead() []byte {
	var buf [64]byte
	head := buf[:runtime.Stack(buf[:], false)]
	if i := bytes.IndexByte(head, '['); i >= 0 {
		head = head[:i+1]
	}
	return bytes.Clone(head)
}

// stackOf returns the stack that begins with head; empty if it is not among what fits.
func stackOf(head []byte) string {
	all := make([]byte, maxStacks)
	all = all[:runtime.Stack(all, true)]
	i := bytes.Index(all, append([]byte("\n\n"), head...))
	if i < 0 {
		return ""
	}
	stack := all[i+2:]
	if end := bytes.Index(stack, []byte("\n\n")); end >= 0 {
		stack = stack[:end]
	}
	return string(stack[:min(len(stack), maxStack)])
}

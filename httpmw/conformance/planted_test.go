package conformance

import (
	"bytes"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// plain is a ResponseWriter with nothing but the three methods that every one has. It does not even unwrap.
type plain struct{ w http.ResponseWriter }

func (p plain) Header() http.Header         { return p.w.Header() }
func (p plain) Write(b []byte) (int, error) { return p.w.Write(b) }
func (p plain) WriteHeader(status int)      { p.w.WriteHeader(status) }

// full passes everything on; the planted wrappers embed it and break one thing.
type full struct{ http.ResponseWriter }

func (f full) Unwrap() http.ResponseWriter { return f.ResponseWriter }
func (f full) Flush()                      { _ = http.NewResponseController(f.ResponseWriter).Flush() }

// noUnwrap can flush, and nothing else that a http.ResponseController asks for.
type noUnwrap struct{ plain }

func (n noUnwrap) Flush() { n.w.(http.Flusher).Flush() }

// latched takes the first status for the last, informational or not.
type latched struct {
	full
	done *bool
}

func (l latched) WriteHeader(status int) {
	if !*l.done {
		*l.done = true
		l.full.WriteHeader(status)
	}
}

// deaf passes no informational answer on.
type deaf struct{ full }

func (d deaf) WriteHeader(status int) {
	if status >= 200 || status < 100 {
		d.full.WriteHeader(status)
	}
}

// buffered is what http.TimeoutHandler and many others do: the response goes out when the handler is done.
type buffered struct {
	plain
	body   *bytes.Buffer
	status *int
}

func (b buffered) Write(p []byte) (int, error) { return b.body.Write(p) }
func (b buffered) Flush()                      {}
func (b buffered) WriteHeader(status int) {
	if *b.status == 0 && status >= 200 && status <= 999 {
		*b.status = status
	}
}

// forgetful has a Flush that does nothing.
type forgetful struct{ full }

func (forgetful) Flush()            {}
func (forgetful) FlushError() error { return nil }

// miscounting returns as many bytes again as it has copied.
type miscounting struct{ full }

func (m miscounting) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(onlyWriter{m.ResponseWriter}, r)
	return 2 * n, err
}

// generous says that it has written all, whatever became of it.
type generous struct{ full }

func (g generous) Write(p []byte) (int, error) {
	_, _ = g.full.Write(p)
	return len(p), nil
}

// private has a header map of its own, which it copies when the status comes: trailers stay behind.
type private struct {
	full
	own  http.Header
	sent *bool
}

func (p private) Header() http.Header { return p.own }
func (p private) WriteHeader(status int) {
	if !*p.sent {
		for name, values := range p.own {
			p.ResponseWriter.Header()[name] = values
		}
		*p.sent = status >= 200 || *p.sent
	}
	p.full.WriteHeader(status)
}

func (p private) Write(b []byte) (int, error) {
	if !*p.sent {
		p.WriteHeader(http.StatusOK)
	}
	return p.full.Write(b)
}

// around makes a middleware of a wrapper.
func around(wrap func(w http.ResponseWriter, r *http.Request) http.ResponseWriter) middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(wrap(w, r), r) })
	}
}

// afterwards makes one of what is done when the handler has returned, or panicked.
func afterwards(end func(w http.ResponseWriter, r *http.Request, panicked any)) middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { end(w, r, recover()) }()
			next.ServeHTTP(w, r)
		})
	}
}

func again(p any) {
	if p != nil {
		panic(p)
	}
}

// planted are the known ways of wrapping badly.
var planted = []struct {
	name string
	wrap middleware
}{
	{"loses Flusher", around(func(w http.ResponseWriter, _ *http.Request) http.ResponseWriter { return plain{w} })},
	{"does not unwrap", around(func(w http.ResponseWriter, _ *http.Request) http.ResponseWriter { return noUnwrap{plain{w}} })},
	{"hides Hijacker from type assertions", around(func(w http.ResponseWriter, _ *http.Request) http.ResponseWriter { return full{w} })},
	{"latches 1xx", around(func(w http.ResponseWriter, _ *http.Request) http.ResponseWriter { return latched{full{w}, new(bool)} })},
	{"drops 1xx", around(func(w http.ResponseWriter, _ *http.Request) http.ResponseWriter { return deaf{full{w}} })},
	{"flushes nothing", around(func(w http.ResponseWriter, _ *http.Request) http.ResponseWriter { return forgetful{full{w}} })},
	{"ReadFrom returns a wrong number", around(func(w http.ResponseWriter, _ *http.Request) http.ResponseWriter { return miscounting{full{w}} })},
	{"Write hides errors", around(func(w http.ResponseWriter, _ *http.Request) http.ResponseWriter { return generous{full{w}} })},
	{"drops trailers", around(func(w http.ResponseWriter, _ *http.Request) http.ResponseWriter {
		return private{full{w}, http.Header{}, new(bool)}
	})},
	{"buffers all", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b := buffered{plain{w}, &bytes.Buffer{}, new(int)}
			next.ServeHTTP(b, r)
			if *b.status != 0 {
				w.WriteHeader(*b.status)
			}
			_, _ = w.Write(b.body.Bytes())
		})
	}},
	{"swallows http.ErrAbortHandler", afterwards(func(_ http.ResponseWriter, _ *http.Request, p any) {
		if p != error(http.ErrAbortHandler) {
			again(p)
		}
	})},
	{"ends a truncated message cleanly", afterwards(func(w http.ResponseWriter, _ *http.Request, p any) {
		if p != nil && p != error(http.ErrAbortHandler) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, "internal server error")
		}
		if p == error(http.ErrAbortHandler) {
			panic(p)
		}
	})},
	{"writes a status of its own before the handler", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			next.ServeHTTP(w, r)
		})
	}},
	{"writes after the handler", afterwards(func(w http.ResponseWriter, _ *http.Request, p any) {
		again(p)
		_, _ = io.WriteString(w, "\n")
	})},
	{"declares a length that is wrong", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "7")
			next.ServeHTTP(w, r)
		})
	}},
	{"sends a body to HEAD's client's account", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				r = r.Clone(r.Context())
				r.Method = http.MethodGet
			}
			next.ServeHTTP(w, r)
		})
	}},
	{"changes the request's header", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Range")
			next.ServeHTTP(w, r)
		})
	}},
	{"shares a header value between responses", func(next http.Handler) http.Handler {
		var shared atomic.Pointer[[]string]
		shared.Store(&[]string{"1"})
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["X-A"] = *shared.Load()
			next.ServeHTTP(w, r)
		})
	}},
	{"reads the body first", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
			r.Body = io.NopCloser(bytes.NewReader(b))
			next.ServeHTTP(w, r)
		})
	}},
	{"makes one line of several", around(func(w http.ResponseWriter, _ *http.Request) http.ResponseWriter { return joining{full{w}} })},
	{"http.TimeoutHandler", func(next http.Handler) http.Handler { return http.TimeoutHandler(next, time.Minute, "late") }},
}

// joining keeps the last line of a field.
type joining struct{ full }

func (j joining) WriteHeader(status int) {
	for name, values := range j.Header() {
		if len(values) > 1 {
			j.Header()[name] = values[len(values)-1:]
		}
	}
	j.full.WriteHeader(status)
}

// TestEveryBadWrapperIsFound shows that the comparison sees what it is for: it finds each planted fault within the seeds
// that every run has.
func TestEveryBadWrapperIsFound(t *testing.T) {
	const (
		seeds = 3000
		short = 250 * time.Millisecond // waits that end early only make a fault look worse
	)
	for _, p := range planted {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			h := &harness{}
			control := h.serve(t, "bare", hang, func(next http.Handler) http.Handler { return next }).visitor()
			bad := h.serve(t, p.name, short, p.wrap).visitor()
			defer control.close()
			defer bad.close()
			for seed := range uint64(seeds) {
				s := generate(seed)
				for _, h2 := range protocols(s) {
					if all := differences(s, h2, control.view(s, h2), bad.view(s, h2)); len(all) > 0 {
						d := all[0]
						t.Logf("%s\n  %s: bare %s, got %s", s, d.key, brief(d.bare[d.key]), brief(d.got[d.key]))
						return
					}
				}
			}
			t.Errorf("not found in %d scenarios", seeds)
		})
	}
}

// TestHarnessAgreesWithItself: two bare servers show no difference, twice, so what the tests find is not chance.
func TestHarnessAgreesWithItself(t *testing.T) {
	h := &harness{}
	bare := func(next http.Handler) http.Handler { return next }
	a, b := h.serve(t, "a", hang, bare).visitor(), h.serve(t, "b", hang, bare).visitor()
	defer a.close()
	defer b.close()
	for i := range min(scenarios(), 2000) {
		s := generate(seedOf(i))
		for _, h2 := range protocols(s) {
			all := differences(s, h2, a.view(s, h2), b.view(s, h2))
			if len(all) > 0 { // as the differential test does
				t.Logf("%s\n  %s: %s", s, all[0].key, all[0].got["~error"])
				s := *s
				s.again = 1
				all = differences(&s, h2, a.view(&s, h2), b.view(&s, h2))
			}
			for _, d := range all {
				t.Errorf("%s\n  %s: %s and %s", s, d.key, brief(d.bare[d.key]), brief(d.got[d.key]))
			}
		}
	}
}

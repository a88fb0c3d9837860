package httpmw

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/bulkhead"
)

// slow returns a SlowLog that logs to the sink.
func slow(sink logSink, c SlowLogConfig) layerFunc {
	c.Logger = slog.New(sink)
	return mw.Must(SlowLog(c))
}

// sleeper sleeps for the duration in the query, before or after its answer.
func sleeper(w http.ResponseWriter, r *http.Request) {
	d, _ := time.ParseDuration(r.URL.Query().Get("d"))
	if r.URL.Query().Has("after") {
		fmt.Fprint(w, "x")
	}
	time.Sleep(d)
}

func TestSlowLog(t *testing.T) {
	for _, tc := range []struct {
		name, path string
		threshold  any // that was exceeded; nil if none was
	}{
		{"quick", "/x?d=100ms", nil},
		{"just in time", "/x?d=1s", nil},
		{"slow", "/x?d=1001ms", 1.0},
		{"slow body", "/x?d=2s&after", 1.0},
		{"a route that may be slow", "/report?d=5s", nil},
		{"and was slower than that", "/report?d=11s", 10.0},
		{"a route that is never slow", "/poll?d=1h", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := newLogSink()
				mux := http.NewServeMux()
				mux.HandleFunc("GET /x", sleeper)
				mux.HandleFunc("GET /report", sleeper)
				mux.HandleFunc("GET /poll", sleeper)
				h := mw.Chain(Recover(), slow(sink, SlowLogConfig{ThresholdFor: func(r *http.Request) time.Duration {
					switch RouteOf(r) {
					case "/report":
						return 10 * time.Second
					case "/poll":
						return -1
					default:
						return 0
					}
				}}))(mux)
				do(h, httptest.NewRequest("GET", tc.path, nil))
				if tc.threshold == nil {
					equal(t, "records", len(sink), 0)
					return
				}
				entry := sink.first(t)
				equal(t, "message", entry["msg"], any("slow request"))
				equal(t, "level", entry["level"], any(slog.LevelWarn))
				equal(t, "threshold", entry[attrSlowThreshold], tc.threshold)
				equal(t, "route", entry[attrRoute], any(strings.Split(tc.path, "?")[0]))
				equal(t, "status", entry[attrStatus], any(int64(200)))
			})
		})
	}
}

// A stream lives as long as it is meant to. What counts is the time to its header.
func TestSlowLogExemptsStreams(t *testing.T) {
	flush := func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }
	for name, begin := range map[string]func(http.ResponseWriter){
		"event stream": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			w.WriteHeader(200)
		},
		"gRPC": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/grpc+proto")
			w.WriteHeader(200)
		},
		"flushed":  flush,
		"asserted": func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := newLogSink()
				before, after := time.Duration(0), time.Hour
				h := slow(sink, SlowLogConfig{})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					time.Sleep(before)
					begin(w)
					time.Sleep(after)
				}))
				do(h, anyRequest())
				equal(t, "records of a long stream", len(sink), 0)
				before = 2 * time.Second
				do(h, anyRequest())
				equal(t, "records of a late one", len(sink), 1)
				equal(t, "header after", (<-sink)[attrSlowHeader], any(2.0))
			})
		})
	}
}

func TestSlowLogExemptsHijackedConnections(t *testing.T) {
	sink := newLogSink()
	s := serve(t, slow(sink, SlowLogConfig{Threshold: time.Millisecond})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		_, _ = io.Copy(io.Discard, buf) // until the client leaves
	})), false)
	conn, in := dial(t, s)
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	_, _ = http.ReadResponse(in, nil)
	conn.Close()
	s.Close()
	equal(t, "records", len(sink), 0)
}

func TestSlowLogCountsTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newLogSink()
		room := newBulkhead(bulkhead.Config{Limit: 1, MaxWait: time.Minute, Queue: 10})
		h := mw.Chain(slow(sink, SlowLogConfig{}), Bulkhead(room))(http.HandlerFunc(sleeper))
		go do(h, httptest.NewRequest("GET", "/?d=900ms", nil))
		synctest.Wait()
		do(h, httptest.NewRequest("GET", "/?d=500ms", nil))
		entry := sink.first(t)
		equal(t, "queue", entry[attrSlowQueue], any(0.9))
		equal(t, "took", entry[attrDuration], any(1.4))
	})
}

// Slow requests come by the thousand when a backend is slow: the log must not make it worse.
func TestSlowLogIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newLogSink()
		h := slow(sink, SlowLogConfig{Rate: 5})(http.HandlerFunc(sleeper))
		flood := func(n int) {
			for range n {
				go do(h, httptest.NewRequest("GET", "/?d=2s", nil))
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
		}
		flood(50)
		equal(t, "at once", len(sink), 5)
		flood(50)
		equal(t, "two seconds later", len(sink), 10)
		for range 5 {
			equal(t, "suppressed", (<-sink)[attrSlowSuppressed], nil)
		}
		equal(t, "suppressed", (<-sink)[attrSlowSuppressed], any(int64(45)))
	})
}

func TestSlowLogOfARunningRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newLogSink()
		h := mw.Chain(RequestID(), slow(sink, SlowLogConfig{Running: 5 * time.Second, ThresholdFor: func(*http.Request) time.Duration { return -1 }}))(
			http.HandlerFunc(sleeper))
		do(h, httptest.NewRequest("GET", "/quick?d=4s", nil))
		do(h, httptest.NewRequest("GET", "/stream?d=1h&after", nil))
		equal(t, "records", len(sink), 0)
		w := do(h, httptest.NewRequest("GET", "/stuck%0a?d=6s", nil))
		equal(t, "records", len(sink), 1)
		entry := sink.first(t)
		equal(t, "message", entry["msg"], any("request still running"))
		equal(t, "path", entry[attrPath], any("/stuck�"))
		equal(t, "id", entry[attrRequestID], any(w.Header().Get("X-Request-ID")))
		stack, _ := entry["mw.slow.stack"].(string)
		if !strings.HasPrefix(stack, "goroutine ") || !strings.Contains(stack, "httpmw.sleeper") || strings.Contains(stack, "\n\n") {
			t.Errorf("not the stack of the handler's goroutine:\n%s", stack)
		}
	})
}

// All stacks are looked through for one, which stops the program: once a second at most.
func TestSlowLogTakesFewStacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newLogSink()
		h := slow(sink, SlowLogConfig{Rate: 10, Running: time.Second, ThresholdFor: func(*http.Request) time.Duration { return -1 }})(http.HandlerFunc(sleeper))
		for range 20 {
			go do(h, httptest.NewRequest("GET", "/?d=2s", nil))
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		equal(t, "records", len(sink), 10)
		stacks := 0
		for range 10 {
			if _, ok := (<-sink)["mw.slow.stack"]; ok {
				stacks++
			}
		}
		equal(t, "stacks", stacks, 1)
	})
}

func TestSlowLogAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newLogSink()
		h := mw.Chain(slow(sink, SlowLogConfig{Running: time.Minute}), Recover(RecoverConfig{Logger: quiet}))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			time.Sleep(2 * time.Second)
			panic("x")
		}))
		do(h, anyRequest())
		entry := sink.first(t)
		equal(t, "error.type", entry[attrError], any("panic"))
		equal(t, "status", entry[attrStatus], any(int64(500)))
	})
}

func TestSlowLogConfig(t *testing.T) {
	_, err := SlowLog(SlowLogConfig{Threshold: 1, Running: 1, Rate: 1001})
	refused(t, "all", err, "threshold: 1ns is not allowed; allowed: 1ms..24h\n"+
		"running: 1ns is not allowed; allowed: 10ms..24h|none\nrate: 1001 is not allowed; allowed: 1..1000")
	_, err = SlowLog(SlowLogConfig{Running: core.None})
	equal(t, "none", err, nil)
}

package intercept

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// behindGate runs h in another goroutine behind a gate, and what it holds in front of it, as the enforced Timeout does.
func behindGate(limit int, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := NewGate(w, r)
		var caught any
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() { caught = recover() }()
			(&script{header: Hold, later: Pass}).wrap(limit, h).ServeHTTP(g.Writer(), r)
			g.Finish()
		}()
		<-done
		g.Shut()
		if caught != nil {
			panic(caught)
		}
	})
}

func TestTheClientSeesNoDifferenceBehindAGate(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		for name, h := range handlers(t) {
			bare := serve(t, h, h2)
			for _, limit := range []int{4, 1 << 20} {
				gated := serve(t, behindGate(limit, h), h2)
				for _, method := range []string{"GET", "HEAD"} {
					t.Run(fmt.Sprintf("%s/%d/%s/h2=%v", name, limit, method, h2), func(t *testing.T) {
						want, got := observe(t, bare, method), observe(t, gated, method)
						if got != want {
							t.Errorf("got\n%.500s\nwant\n%.500s", got, want)
						}
					})
				}
			}
		}
	}
}

func TestShutGateFailsEverything(t *testing.T) {
	rec := httptest.NewRecorder()
	rec.Header().Set("Kept", "1")
	g := NewGate(rec, httptest.NewRequest("GET", "/", nil))
	w := g.Writer()
	equal(t, "inherited", w.Header().Get("Kept"), "1")
	w.WriteHeader(103)
	equal(t, "begun", g.Shut(), false)
	w.Header().Set("Late", "1")
	w.WriteHeader(500)
	if _, err := w.Write([]byte("late")); err != http.ErrHandlerTimeout {
		t.Errorf("write: %v", err)
	}
	if _, err := io.WriteString(w, "late"); err != http.ErrHandlerTimeout {
		t.Errorf("write string: %v", err)
	}
	if err := http.NewResponseController(w).Flush(); err != http.ErrHandlerTimeout {
		t.Errorf("flush: %v", err)
	}
	if err := http.NewResponseController(w).EnableFullDuplex(); err != http.ErrHandlerTimeout {
		t.Errorf("full duplex: %v", err)
	}
	g.Finish()
	equal(t, "body", rec.Body.String(), "")
	equal(t, "late field", rec.Header().Get("Late"), "")
}

func TestGateTellsThatTheResponseHasBegun(t *testing.T) {
	g := NewGate(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	text(g.Writer(), "x")
	equal(t, "begun", g.Shut(), true)
}

// The goroutine that was left behind writes on while the serving one answers: the race detector watches.
func TestGateAfterShutLeavesTheInnerWriterAlone(t *testing.T) {
	rec := httptest.NewRecorder()
	g := NewGate(rec, httptest.NewRequest("GET", "/", nil))
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		w := g.Writer()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				w.Header().Set("X", fmt.Sprint(i))
				w.WriteHeader(103)
			}
		}
	}()
	g.Shut()
	rec.Header().Set("Answer", "timeout")
	rec.WriteHeader(503)
	text(rec, "timeout")
	close(stop)
	<-done
	equal(t, "body", rec.Body.String(), "timeout")
}

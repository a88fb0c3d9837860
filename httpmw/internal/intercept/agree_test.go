package intercept

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// What a handler sent with 103 and took away again must not come back with the answer of somebody else.
func TestGateLeavesNoFieldOfAnInformationalAnswer(t *testing.T) {
	rec := httptest.NewRecorder()
	rec.Header().Set("Outer", "1")
	g := NewGate(rec, httptest.NewRequest("GET", "/", nil))
	w := g.Writer()
	w.Header().Set("Link", "</a>")
	w.Header().Del("Outer")
	w.WriteHeader(http.StatusEarlyHints)
	g.Shut()
	equal(t, "link", rec.Header().Get("Link"), "")
	equal(t, "of a layer outside", rec.Header().Get("Outer"), "1")
}

// net/http takes an empty write after 204 for nothing, not for a fault.
func TestHeldEmptyWriteIsNoFault(t *testing.T) {
	for _, status := range []int{http.StatusNoContent, http.StatusNotModified, http.StatusOK} {
		s := &script{header: Hold, later: Pass}
		w := s.w.Begin(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), 10, s)
		w.WriteHeader(status)
		if _, err := w.Write(nil); err != nil {
			t.Errorf("%d: %v", status, err)
		}
		if _, err := io.WriteString(w, ""); err != nil {
			t.Errorf("%d by string: %v", status, err)
		}
	}
}

// A connection that was taken in the middle of a response takes no more of it, whatever the layer was doing.
func TestWriteAfterHijackIsTheServersToRefuse(t *testing.T) {
	for name, action := range map[string]Action{"pass": Pass, "transform": Transform, "hold": Hold, "drop": Drop} {
		said := make(chan error, 2)
		srv := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := &script{header: action, later: action}
			h := s.w.Begin(w, r, 100, s)
			text(h, "begun")
			conn, _, err := h.(http.Hijacker).Hijack()
			if err != nil {
				said <- err
				return
			}
			defer conn.Close()
			_, err = h.Write([]byte("late"))
			said <- err
			_, err = io.WriteString(h, "late")
			said <- err
		}), false)
		if resp, err := srv.Client().Get(srv.URL); err == nil {
			_ = resp.Body.Close()
		}
		for range 2 {
			if err := <-said; !errors.Is(err, http.ErrHijacked) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

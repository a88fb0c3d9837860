package intercept

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// run lets f answer through s without a network.
func run(s *script, limit int, method string, f func(w http.ResponseWriter)) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h := s.wrap(limit, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { f(w) }))
	h.ServeHTTP(rec, httptest.NewRequest(method, "/", nil))
	return rec
}

func text(w io.Writer, s string) { _, _ = io.WriteString(w, s) }

// TestMoments walks the table of the package comment.
func TestMoments(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(w http.ResponseWriter)
		want []Moment
	}{
		{"return", func(http.ResponseWriter) {}, []Moment{Header, End}},
		{"status", func(w http.ResponseWriter) { w.WriteHeader(201) }, []Moment{Header, End}},
		{"fits", func(w http.ResponseWriter) { text(w, "1234"); text(w, "5678") }, []Moment{Header, End}},
		{"full", func(w http.ResponseWriter) { text(w, "1234"); text(w, "56789"); text(w, "0") }, []Moment{Header, Full}},
		{"flush first", func(w http.ResponseWriter) { w.(http.Flusher).Flush() }, []Moment{Header, Stream}},
		{
			"flush by controller",
			func(w http.ResponseWriter) { text(w, "1"); _ = http.NewResponseController(w).Flush() },
			[]Moment{Header, Stream},
		},
		{
			"event stream",
			func(w http.ResponseWriter) { w.Header().Set("Content-Type", "Text/Event-Stream; x=y"); text(w, "1") },
			[]Moment{Header, Stream},
		},
		{
			"grpc",
			func(w http.ResponseWriter) { w.Header().Set("Content-Type", "application/grpc+proto"); text(w, "1") },
			[]Moment{Header, Stream},
		},
		{"103 decides nothing", func(w http.ResponseWriter) { w.WriteHeader(103); w.WriteHeader(201) }, []Moment{Header, End}},
		{"101 ends it", func(w http.ResponseWriter) { w.WriteHeader(101) }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &script{header: Hold, later: Hold} // a second Hold is Pass
			run(s, 8, "GET", tc.do)
			if !slices.Equal(s.asked, tc.want) {
				t.Errorf("asked at %v, want %v", s.asked, tc.want)
			}
			if !s.w.Sent() {
				t.Error("nothing was sent")
			}
		})
	}
}

func TestSecondStatusIsCountedAndNotPassedOn(t *testing.T) {
	for _, a := range []Action{Hold, Pass, Copy, Transform, Drop} {
		s := &script{header: a, later: Pass}
		rec := run(s, 8, "GET", func(w http.ResponseWriter) {
			w.WriteHeader(201)
			w.WriteHeader(500)
			w.WriteHeader(103)
		})
		equal(t, "status", rec.Code, 201)
		equal(t, "surplus", s.w.Surplus(), 2)
	}
}

func TestHeldResponseCanBecomeAnother(t *testing.T) {
	s := &script{header: Hold, later: Drop}
	s.decide = func(w *Writer, m Moment) {
		if m == End {
			equal(t, "held", string(w.Held()), "body")
			w.SetStatus(304)
			w.Header().Set("Etag", `"x"`)
		}
	}
	rec := run(s, 8, "GET", func(w http.ResponseWriter) { text(w, "body") })
	equal(t, "status", rec.Code, 304)
	equal(t, "body", rec.Body.String(), "")
	equal(t, "ETag", rec.Header().Get("Etag"), `"x"`)
}

func TestDroppedBodyIsNoErrorOfTheHandler(t *testing.T) {
	s := &script{header: Drop}
	rec := run(s, 8, "GET", func(w http.ResponseWriter) {
		if n, err := w.Write([]byte("body")); n != 4 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
	})
	equal(t, "body", rec.Body.String(), "")
}

func TestCopyGetsWhatIsWritten(t *testing.T) {
	s := &script{header: Hold, later: Copy}
	rec := run(s, 4, "GET", func(w http.ResponseWriter) {
		text(w, "1234")
		text(w, "5678")
		_, _ = w.Write([]byte("9"))
	})
	equal(t, "sent", rec.Body.String(), "123456789")
	equal(t, "copied", s.copied.String(), "123456789")
}

func TestTransformGetsTheHeldBodyFirst(t *testing.T) {
	s := &script{header: Hold, later: Transform}
	s.decide = func(w *Writer, m Moment) {
		if m == Full {
			equal(t, "next", string(w.Next()), "efgh")
			w.Header().Set("Content-Encoding", "upper")
		}
	}
	rec := run(s, 5, "GET", func(w http.ResponseWriter) {
		text(w, "abcd")
		text(w, "efgh")
		w.(http.Flusher).Flush()
		text(w, "i")
	})
	equal(t, "body", rec.Body.String(), "ABCDEFGHI!")
	equal(t, "coding", rec.Result().Header.Get("Content-Encoding"), "upper")
	equal(t, "flushes", s.flushes, 1)
}

func TestTransformOfNoBodyIsPass(t *testing.T) {
	s := &script{header: Transform}
	run(s, 8, "GET", func(w http.ResponseWriter) { w.WriteHeader(204) })
	equal(t, "closed", s.closed, false)
}

func TestAnswerReplacesTheResponse(t *testing.T) {
	for _, header := range []Action{Answer, Hold} {
		s := &script{header: header, later: Answer}
		rec := run(s, 8, "GET", func(w http.ResponseWriter) {
			text(w, "body")
			text(w, "more than fits")
		})
		equal(t, "status", rec.Code, 409)
		equal(t, "body", rec.Body.String(), "answer\n")
	}
}

func TestPanicSendsNothingThatIsHeldAndEndsNothing(t *testing.T) {
	for _, a := range []Action{Hold, Transform} {
		s := &script{header: a}
		rec := httptest.NewRecorder()
		func() {
			defer func() { equal(t, "panic", recover(), any("oops")) }()
			s.wrap(8, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				text(w, "body")
				panic("oops")
			})).ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
		}()
		equal(t, "sent", s.w.Sent(), a == Transform)
		equal(t, "closed", s.closed, false)
		if a == Hold {
			equal(t, "body", rec.Body.String(), "")
		}
	}
}

// A body that is longer than declared is left to the server, which refuses it; one that no status allows is refused here.
func TestHeldBodyObeysItsLengthAndStatus(t *testing.T) {
	s := &script{header: Hold, later: Pass}
	run(s, 8, "GET", func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", "3")
		text(w, "ab")
		equal(t, "whole", s.w.Whole(), false)
		text(w, "cd")
		equal(t, "sent", s.w.Sent(), true)
	})
	s = &script{header: Hold, later: Pass}
	run(s, 8, "GET", func(w http.ResponseWriter) {
		w.WriteHeader(304)
		if _, err := io.WriteString(w, "ab"); !errors.Is(err, http.ErrBodyNotAllowed) {
			t.Errorf("304: %v", err)
		}
	})
}

// What is set after the status is too late for the header, held or not; it is still in the map afterwards, and trailers
// are what that is for.
func TestLateFieldsAreTrailersOnly(t *testing.T) {
	s := &script{header: Hold, later: Pass}
	rec := run(s, 8, "GET", func(w http.ResponseWriter) {
		h := w.Header()
		h.Set("A", "1")
		h.Set("B", "1")
		h.Set("Trailer", "T")
		text(w, "x")
		h.Set("A", "2")
		h["A"][0] = "3"
		h.Del("B")
		h.Set("C", "1")
		h.Set("T", "end")
		h.Set(http.TrailerPrefix+"U", "end")
	})
	res := rec.Result()
	for name, want := range map[string]string{"A": "1", "B": "1", "C": ""} {
		equal(t, name, res.Header.Get(name), want)
	}
	equal(t, "T", res.Trailer.Get("T"), "end")
	equal(t, "U", res.Trailer.Get("U"), "end")
	equal(t, "A afterwards", rec.Header().Get("A"), "3")
	equal(t, "B afterwards", rec.Header().Get("B"), "")
}

func TestReadFromNothingLeavesTheStatusOpen(t *testing.T) {
	for _, a := range []Action{Hold, Pass, Copy} {
		s := &script{header: a, later: Pass}
		h := s.wrap(8, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader(""))
			w.WriteHeader(404)
		}))
		srv := serve(t, h, false)
		resp, err := srv.Client().Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		equal(t, "status", resp.StatusCode, 404)
	}
}

func TestInvalidStatusPanicsWithNothingDecided(t *testing.T) {
	s := &script{header: Hold, later: Pass}
	run(s, 8, "GET", func(w http.ResponseWriter) {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			w.WriteHeader(42)
		}()
		equal(t, "decisions", len(s.asked), 0)
	})
}

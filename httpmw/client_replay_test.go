package httpmw

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/retry"
)

// sink answers each attempt with 503 after it has read so much of the body (-1 all), and keeps what it read.
type sink struct {
	reads []int
	got   []string
}

func (s *sink) RoundTrip(r *http.Request) (*http.Response, error) {
	n := s.reads[min(len(s.got), len(s.reads)-1)]
	var b []byte
	var err error
	if n < 0 {
		b, err = io.ReadAll(r.Body)
	} else {
		b, err = io.ReadAll(io.LimitReader(r.Body, int64(n)))
	}
	r.Body.Close()
	s.got = append(s.got, string(b))
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: 503, Header: http.Header{}, Body: http.NoBody}, nil
}

// http.md section 2, body replay.
func TestClientRetryReplaysBodies(t *testing.T) {
	long := strings.Repeat("x", defaultMaxReplay+1)
	broken := errors.New("disk")
	for _, c := range []struct {
		name  string
		body  io.Reader
		conf  ClientRetryConfig
		reads []int
		want  []string
	}{
		{"whole", strings.NewReader("abcdef"), ClientRetryConfig{}, []int{-1}, []string{"abcdef", "abcdef", "abcdef"}},
		{"parts", strings.NewReader("abcdef"), ClientRetryConfig{}, []int{2, 4, -1}, []string{"ab", "abcd", "abcdef"}},
		{"less", strings.NewReader("abcdef"), ClientRetryConfig{}, []int{4, 2, -1}, []string{"abcd", "ab", "abcdef"}},
		{"none", strings.NewReader("abcdef"), ClientRetryConfig{}, []int{0, 0, -1}, []string{"", "", "abcdef"}},
		{"empty", strings.NewReader(""), ClientRetryConfig{}, []int{-1}, []string{"", "", ""}},
		{"the limit", strings.NewReader(long[1:]), ClientRetryConfig{}, []int{-1}, []string{long[1:], long[1:], long[1:]}},
		{"beyond the limit", strings.NewReader(long), ClientRetryConfig{}, []int{-1}, []string{long}},
		{"beyond the limit, unread", strings.NewReader(long), ClientRetryConfig{}, []int{3, -1}, []string{"xxx", long}},
		{"another limit", strings.NewReader("abc"), ClientRetryConfig{MaxReplay: 2}, []int{-1}, []string{"abc"}},
		{"nothing is kept", strings.NewReader("abc"), ClientRetryConfig{MaxReplay: core.None}, []int{0}, []string{""}},
		{"broken", io.MultiReader(strings.NewReader("abc"), &brokenReader{broken}), ClientRetryConfig{}, []int{-1}, []string{"abc"}},
	} {
		body := &bare{Reader: c.body}
		s := &sink{reads: c.reads}
		_, _ = ClientRetry(newRetry(t, retry.Config{}), c.conf)(s).RoundTrip(request(t.Context(), "PUT", body))
		equal(t, c.name, strings.Join(s.got, "|"), strings.Join(c.want, "|"))
		equal(t, c.name+": closed", body.closed.Load(), 1)
	}
}

type brokenReader struct{ err error }

func (b *brokenReader) Read([]byte) (int, error) { return 0, b.err }

// failsafehttp: the whole body was read into memory before the first attempt, GetBody was not used and there was no bound. A
// body that is written as the response comes in never arrived.
func TestD9_BodiesAreNotReadAhead(t *testing.T) {
	in, out := io.Pipe()
	answered := false
	rt := ClientRetry(newRetry(t, retry.Config{}))(trip(func(r *http.Request) (*http.Response, error) {
		p := make([]byte, 5)
		if _, err := io.ReadFull(r.Body, p); err != nil || string(p) != "hello" {
			t.Errorf("%q, %v", p, err)
		}
		answered = true
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: r.Body}, nil // an echo
	}))
	go func() { _, _ = io.WriteString(out, "hello") }()
	resp, err := rt.RoundTrip(request(t.Context(), "PUT", in))
	if err != nil || !answered {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(out, "world"); out.Close() }()
	if b, err := io.ReadAll(resp.Body); string(b) != "world" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	resp.Body.Close()

	asked := 0
	r := request(t.Context(), "PUT", &bare{Reader: strings.NewReader("x")})
	r.GetBody = func() (io.ReadCloser, error) { asked++; return io.NopCloser(strings.NewReader("x")), nil }
	s := &sink{reads: []int{-1}}
	_, _ = ClientRetry(newRetry(t, retry.Config{}))(s).RoundTrip(r)
	equal(t, "GetBody", asked, 2)
	equal(t, "sent", strings.Join(s.got, "|"), "x|x|x")
}

func TestClientRetryGetBodyThatFails(t *testing.T) {
	gone := errors.New("file is gone")
	r := request(t.Context(), "PUT", &bare{Reader: strings.NewReader("x")})
	r.GetBody = func() (io.ReadCloser, error) { return nil, gone }
	s := &sink{reads: []int{-1}}
	resp, err := ClientRetry(newRetry(t, retry.Config{}))(s).RoundTrip(r)
	if resp != nil || !errors.Is(err, gone) {
		t.Errorf("%v, %v", resp, err)
	}
	equal(t, "attempts", len(s.got), 1)
}

// A transport may go on reading the body after it has answered. The next attempt must not share what it reads, nor lose it.
func TestReplayOfABodyThatIsStillRead(t *testing.T) {
	in, out := io.Pipe()
	r := &replay{limit: 100, src: in}
	first := r.next()
	read := make(chan string)
	go func() {
		p := make([]byte, 3)
		n, err := first.Read(p)
		if err != nil {
			t.Error(err)
		}
		read <- string(p[:n])
	}()
	_, _ = io.WriteString(out, "abc")
	equal(t, "first", <-read, "abc")
	go func() { // it is in the middle of this one when the second attempt begins
		p := make([]byte, 3)
		n, _ := first.Read(p)
		read <- string(p[:n])
	}()
	second := r.next()
	go func() { _, _ = io.WriteString(out, "def"); out.Close() }()
	b, err := io.ReadAll(second)
	<-read
	equal(t, "second", string(b), "abcdef")
	if err != nil {
		t.Error(err)
	}
	if n, err := first.Read(make([]byte, 1)); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("the first reads on: %d, %v", n, err)
	}
}

// HTTP/2 closes the body to end a Read of it, and that Read is in the caller's body.
func TestReplayCloseEndsARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, _ := io.Pipe()
		r := &replay{limit: 100, src: in}
		body := r.next()
		done := make(chan error)
		go func() {
			_, err := body.Read(make([]byte, 1))
			done <- err
		}()
		synctest.Wait()
		body.Close()
		synctest.Wait()
		r.finish()
		if err := <-done; err == nil {
			t.Error("no error")
		}
	})
}

func TestReplayLeavesTheBodyToTheLastAttempt(t *testing.T) {
	src := &bare{Reader: strings.NewReader("abc")}
	r := &replay{limit: 100, src: src}
	first := r.next()
	first.Close()
	equal(t, "closed by the first attempt", src.closed.Load(), 0)
	second := r.next()
	r.finish()
	equal(t, "closed while the last attempt sends", src.closed.Load(), 0)
	if b, err := io.ReadAll(second); string(b) != "abc" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	first.Close()
	equal(t, "closed by an earlier attempt", src.closed.Load(), 0)
	second.Close()
	second.Close()
	equal(t, "closed", src.closed.Load(), 1)
}

func TestClientRetryBodiesOverTheWire(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		s := newFaultyServer(t, h2)
		client, counting := clientOf(t, s, ClientRetry(newRetry(t, retry.Config{}), ClientRetryConfig{IdempotencyKeys: true}))
		payload := strings.Repeat("0123456789", 5000)
		body := &bare{Reader: bytes.NewReader([]byte(payload))}
		resp, err := client.Do(s.request(t.Context(), "POST", "wire", body, "503", "reset", "ok"))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		equal(t, "answer", string(b), faultyBody)
		s.mu.Lock()
		equal(t, "executions", s.seen["wire"], 3)
		for i, got := range s.bodies["wire"] {
			equal(t, "whole", got == payload, true)
			equal(t, "key", s.keys["wire"][i], s.keys["wire"][0])
		}
		equal(t, "length of the key", len(s.keys["wire"][0]), 34)
		s.mu.Unlock()
		for end := time.Now().Add(hang); body.closed.Load() != 1 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		equal(t, "closed", body.closed.Load(), 1)
		counting.none(t)
	}
}

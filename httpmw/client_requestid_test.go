package httpmw

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/throttle"
	"github.com/mw-go/mw/internal/reqid"
)

func TestClientRequestID(t *testing.T) {
	var sent []*http.Request
	rt := trip(func(r *http.Request) (*http.Response, error) {
		sent = append(sent, r)
		return &http.Response{StatusCode: 503, Header: http.Header{}, Body: http.NoBody}, nil
	})
	client := ClientRequestID()(ClientRetry(newRetry(t, retry.Config{}))(rt))
	var id string
	h := RequestID()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		id = RequestIDFrom(r.Context())
		out := outgoing(r.Context())
		out.Header.Set("X-Other", "1")
		_, _ = client.RoundTrip(out)
		equal(t, "the caller's header", len(out.Header), 1)
		own := outgoing(r.Context())
		own.Header.Set(headerRequestID, "own")
		_, _ = client.RoundTrip(own)
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	equal(t, "attempts", len(sent), 6)
	for i, r := range sent {
		want := id
		if i >= 3 {
			want = "own"
		}
		equal(t, "id", r.Header.Get(headerRequestID), want)
	}
	equal(t, "other fields", sent[0].Header.Get("X-Other"), "1")

	sent = nil
	r := outgoing(t.Context())
	_, _ = client.RoundTrip(r)
	equal(t, "outside of a request", sent[0], r)
	_, _ = ClientRequestID(ClientRequestIDConfig{Generate: true})(rt).RoundTrip(r)
	equal(t, "generated", reqid.Sane(sent[len(sent)-1].Header.Get(headerRequestID)), true)
	equal(t, "the caller's header", len(r.Header), 0)
}

func TestClientThrottle(t *testing.T) {
	m, err := throttle.New("test", throttle.Config{}, throttle.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	rt := ClientThrottle(m)(trip(func(*http.Request) (*http.Response, error) {
		sent++
		return &http.Response{StatusCode: 429, Header: http.Header{}, Body: http.NoBody}, nil
	}))
	for range 500 {
		resp, err := rt.RoundTrip(outgoing(t.Context()))
		if err == nil {
			resp.Body.Close()
		}
	}
	if sent < 6 || sent > 100 {
		t.Errorf("%d of 500 requests to a server that accepts none", sent)
	}
	if named, ok := rt.(interface{ Layer() string }); !ok || named.Layer() != "ClientThrottle" {
		t.Errorf("%T", rt)
	}
}

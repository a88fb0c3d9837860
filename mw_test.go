package mw_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/mw-go/mw"
)

// tag returns a middleware on slices that puts its name in front.
func tag(name string) func([]string) []string {
	return func(s []string) []string { return append([]string{name}, s...) }
}

func TestChainOrder(t *testing.T) {
	for _, c := range []struct {
		name  string
		chain func([]string) []string
		want  []string
	}{
		{"none", mw.Chain[[]string](), []string{"h"}},
		{"one", mw.Chain(tag("a")), []string{"a", "h"}},
		{"the first is outermost", mw.Chain(tag("a"), tag("b"), tag("c")), []string{"a", "b", "c", "h"}},
		{"nil entries are skipped", mw.Chain(nil, tag("a"), nil, tag("b"), nil), []string{"a", "b", "h"}},
		{"nothing but nil", mw.Chain[[]string](nil, nil), []string{"h"}},
		{"chains nest", mw.Chain(tag("a"), mw.Chain(tag("b"), tag("c")), tag("d")), []string{"a", "b", "c", "d", "h"}},
	} {
		if got := c.chain([]string{"h"}); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestChainKeepsItsOwnCopy(t *testing.T) {
	ms := []func([]string) []string{tag("a"), tag("b")}
	chain := mw.Chain(ms...)
	ms[0] = tag("changed")
	for range 2 { // and serves any number of handlers
		if got, want := chain([]string{"h"}), []string{"a", "b", "h"}; !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

// header returns a middleware for handlers and one for RoundTrippers that note their name.
func header(name string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("Seen-By", name)
			next.ServeHTTP(w, r)
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func clientHeader(name string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			r.Header.Add("Sent-By", name)
			return next.RoundTrip(r)
		})
	}
}

func TestChainOfHandlersAndRoundTrippers(t *testing.T) {
	var sent []string
	srv := httptest.NewServer(mw.Chain(header("a"), header("b"))(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { sent = r.Header["Sent-By"] })))
	defer srv.Close()
	client := &http.Client{Transport: mw.Chain(clientHeader("x"), clientHeader("y"))(http.DefaultTransport)}
	resp, err := client.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if want := []string{"a", "b"}; !slices.Equal(resp.Header["Seen-By"], want) {
		t.Errorf("handlers: got %v, want %v", resp.Header["Seen-By"], want)
	}
	if want := []string{"x", "y"}; !slices.Equal(sent, want) {
		t.Errorf("round trippers: got %v, want %v", sent, want)
	}
}

func TestMust(t *testing.T) {
	if got := mw.Must(7, nil); got != 7 {
		t.Errorf("got %d, want 7", got)
	}
	refused := errors.New("refused")
	defer func() {
		if got := recover(); got != refused {
			t.Errorf("panicked with %v, want the error itself", got)
		}
	}()
	mw.Must(0, refused)
	t.Error("Must returned although there was an error")
}

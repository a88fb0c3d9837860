package httpmw_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/httpmw"
)

func ExampleCache() {
	pages := mw.Must(httpmw.NewResponseCache("pages", httpmw.CacheShared, httpmw.CacheConfig{}))
	runs := 0
	h := httpmw.Cache(pages)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		runs++
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, "page ", runs)
	}))

	for range 2 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		fmt.Println(w.Body, "| hits:", pages.Snapshot().Hits)
	}
	// Output:
	// page 1 | hits: 0
	// page 1 | hits: 1
}

func ExampleClientCache() {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "private, max-age=60")
		fmt.Fprint(w, "rates")
	}))
	defer s.Close()

	kept := mw.Must(httpmw.NewResponseCache("rates", httpmw.CachePrivate, httpmw.CacheConfig{}))
	client := &http.Client{Transport: httpmw.ClientCache(kept)(http.DefaultTransport)}
	defer client.CloseIdleConnections()
	for range 2 {
		resp, err := client.Get(s.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = resp.Body.Close()
	}
	fmt.Println(kept.Snapshot().Hits, "hit,", kept.Snapshot().Stored, "stored")
	// Output: 1 hit, 1 stored
}

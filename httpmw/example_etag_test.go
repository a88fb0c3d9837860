package httpmw_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/httpmw"
)

func ExampleETag() {
	h := mw.Must(httpmw.ETag(httpmw.ETagConfig{}))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
	}))

	first, again := httptest.NewRecorder(), httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/", nil)
	h.ServeHTTP(first, r)
	r.Header.Set("If-None-Match", first.Header().Get("ETag"))
	h.ServeHTTP(again, r)

	fmt.Println(first.Code, first.Body.Len(), first.Header().Get("ETag"))
	fmt.Println(again.Code, again.Body.Len())
	// Output:
	// 200 5 "LPJNul-wow4m6Dsqxbning"
	// 304 0
}

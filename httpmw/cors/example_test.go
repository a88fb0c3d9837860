package cors_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/httpmw/cors"
)

func ExampleNew() {
	h := mw.Must(cors.New(cors.Config{
		Origins:        []string{"https://shop.example"},
		Methods:        []string{"PUT"},
		RequestHeaders: []string{"Authorization", "Content-Type"},
	}))(http.NotFoundHandler())
	r := httptest.NewRequest("OPTIONS", "/cart", nil)
	r.Header.Set("Origin", "https://shop.example")
	r.Header.Set("Access-Control-Request-Method", "PUT")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("Access-Control-Allow-Methods"), w.Header().Get("Access-Control-Max-Age"))

	_, err := cors.New(cors.Config{Origins: []string{"*"}, Credentials: true})
	fmt.Println(err)
	// Output:
	// 204 PUT 600
	// origins: "*" is not allowed; allowed: origins by name, with credentials
}

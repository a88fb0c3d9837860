package httpmw_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/httpmw"
)

type transfer struct {
	To     string `json:"to"`
	Amount int64  `json:"amount"`
}

func (t transfer) Validate() error {
	var faults []error
	if t.To == "" {
		faults = append(faults, &httpmw.FieldError{Names: []string{"to"}, Detail: "is required"})
	}
	if t.Amount <= 0 {
		faults = append(faults, &httpmw.FieldError{Names: []string{"amount"}, Detail: "must be above 0"})
	}
	return errors.Join(faults...)
}

func ExampleValidate() {
	h := mw.Must(httpmw.Validate[transfer](httpmw.ValidateConfig{}))(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			t, _ := httpmw.Valid[transfer](r.Context())
			fmt.Fprintf(w, "%d to %s\n", t.Amount, t.To)
		}))
	for _, body := range []string{`{"to":"ada","amount":5}`, `{"to":"ada","amount":5,"amount":5000}`, `{"amount":-5}`} {
		r := httptest.NewRequest("POST", "/transfers", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		resp := serve(h, r)
		answer, _ := io.ReadAll(resp.Body)
		fmt.Print(resp.StatusCode, " ", string(answer))
	}
	// Output:
	// 200 5 to ada
	// 400 {"title":"Bad Request","status":400,"detail":"the body is not well-formed JSON","errors":[{"pointer":"#/amount","detail":"a name twice"}]}
	// 422 {"title":"Unprocessable Content","status":422,"detail":"the body is not what is expected","errors":[{"pointer":"#/to","detail":"is required"},{"pointer":"#/amount","detail":"must be above 0"}]}
}

func ExampleValidHandler() {
	mux := http.NewServeMux()
	mux.Handle("POST /transfers", mw.Must(httpmw.ValidHandler(httpmw.ValidateConfig{},
		func(w http.ResponseWriter, r *http.Request, t transfer) { fmt.Fprintf(w, "%d to %s\n", t.Amount, t.To) })))
	r := httptest.NewRequest("POST", "/transfers", strings.NewReader(`{"to":"ada","amount":5}`))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	answer, _ := io.ReadAll(serve(mux, r).Body)
	fmt.Print(string(answer))
	// Output: 5 to ada
}

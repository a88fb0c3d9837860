package httpmw_test

import (
	"bytes"
	"compress/gzip"
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

func ExampleDecompress() {
	h := mw.Must(httpmw.Decompress(httpmw.DecompressConfig{Max: 1 << 20}))(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			if err != nil {
				httpmw.WriteError(w, r, err)
				return
			}
			fmt.Fprintln(w, n, "bytes")
		}))
	send := func(body []byte, coding string) {
		r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
		r.Header.Set("Content-Encoding", coding)
		resp := serve(h, r)
		answer, _ := io.ReadAll(resp.Body)
		fmt.Print(resp.StatusCode, " ", string(answer))
	}
	zip := func(n int) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(make([]byte, n))
		_ = w.Close()
		return b.Bytes()
	}
	send(zip(1000), "gzip")
	send(zip(100_000_000), "gzip") // a bomb
	send([]byte("?"), "br")
	// Output:
	// 200 1000 bytes
	// 413 {"title":"Content Too Large","status":413}
	// 415 {"title":"Unsupported Media Type","status":415}
}

func ExampleIdempotencyKey() {
	user := func(r *http.Request) string { name, _, _ := r.BasicAuth(); return name } // whom somebody outside has checked
	paid := 0
	h := mw.Must(httpmw.IdempotencyKey(user, httpmw.IdempotencyKeyConfig{Required: true}))(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			paid++
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintln(w, "payment", paid)
		}))
	for _, key := range []string{`"8e03978e"`, `"8e03978e"`, `"94a57f93"`, ""} {
		r := httptest.NewRequest("POST", "/payments", strings.NewReader(`{"amount":5}`))
		r.SetBasicAuth("ada", "")
		if key != "" {
			r.Header.Set("Idempotency-Key", key)
		}
		resp := serve(h, r)
		answer, _ := io.ReadAll(resp.Body)
		fmt.Print(resp.StatusCode, " ", resp.Header.Get("Idempotency-Replayed"), " ", string(answer))
	}
	// Output:
	// 201  payment 1
	// 201 true payment 1
	// 201  payment 2
	// 400  {"title":"Idempotency-Key is missing","status":400}
}

package httpmw

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

type order struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
	Lines []struct {
		Price float64 `json:"price"`
	} `json:"lines"`
}

func (o order) Validate() error {
	var faults []error
	if o.Item == "secret-item" {
		faults = append(faults, fmt.Errorf("item %q: %w", o.Item, &FieldError{Names: []string{"item"}, Detail: "is not for sale"}))
	}
	for i, line := range o.Lines {
		if line.Price < 0 {
			faults = append(faults, &FieldError{Names: []string{"lines", fmt.Sprint(i), "price"}, Detail: "must not be negative"})
		}
	}
	if o.Count == 13 {
		faults = append(faults, errors.New("count 13 brings bad luck"))
	}
	return errors.Join(faults...)
}

// post makes a request with a JSON body.
func post(body string, header ...string) *http.Request {
	r := httptest.NewRequest("POST", "/orders", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header[header[i]] = append(r.Header[header[i]], header[i+1])
	}
	return r
}

// problemOf decodes the answer into status, detail and "pointer detail; ...".
func problemOf(t *testing.T, w *httptest.ResponseRecorder) (detail, faults string) {
	t.Helper()
	equal(t, "type", w.Header().Get("Content-Type"), "application/problem+json")
	var doc struct {
		Status int
		Detail string
		Errors []fault
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || doc.Status != w.Code {
		t.Errorf("%s: %v", w.Body, err)
	}
	var all []string
	for _, f := range doc.Errors {
		all = append(all, f.Pointer+" "+f.Detail)
	}
	return doc.Detail, strings.Join(all, "; ")
}

// TestValidate mirrors the table of Validate's documentation.
func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		r      *http.Request
		status int
		faults string
	}{
		{"right", post(`{"item":"tea","count":2,"lines":[{"price":1.5}]}`), 200, ""},
		{"right, with a charset", withType(post(`{}`), "application/json; charset=UTF-8"), 200, ""},
		{"right, identity", post(`{}`, "Content-Encoding", "identity"), 200, ""},
		{"empty", post(``), 400, "# nothing"},
		{"no body", withBody(post(``), nil), 400, "# nothing"},
		{"no JSON", post(`{"item":}`), 400, "#/item not JSON"},
		{"two values", post(`{}{}`), 400, "# more than one value"},
		{"not UTF-8", post("{\"item\":\"\xff\"}"), 400, "# not UTF-8"},
		{"mark", post("\xef\xbb\xbf{}"), 400, "# a byte order mark"},
		{"half a pair", post(`{"item":"\ud800"}`), 400, "#/item half of a surrogate pair"},
		{"a name twice", post(`{"item":"tea","item":"gold"}`), 400, "#/item a name twice"},
		{"deep", post(`{"lines":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}`), 400,
			"#/lines" + strings.Repeat("/0", 63) + " too deep"},
		{"broken off", withBody(post(``), io.MultiReader(strings.NewReader(`{`), failing{io.ErrUnexpectedEOF})), 400, ""},
		{"slow", withBody(post(``), failing{os.ErrDeadlineExceeded}), 408, ""},
		{"limited outside", withBody(post(``), failing{&http.MaxBytesError{Limit: 1}}), 413, ""},
		{"too large, announced", post(`{"item":"` + strings.Repeat("x", 300) + `"}`), 413, ""},
		{"too large", withLength(post(`{"item":"`+strings.Repeat("x", 300)+`"}`), -1), 413, ""},
		{"as large as may be", withLength(post(`{"item":"`+strings.Repeat("x", 256-11)+`"}`), -1), 200, ""},
		{"no type", withType(post(`{}`), ""), 415, ""},
		{"two types", post(`{}`, "Content-Type", "application/json"), 415, ""},
		{"another type", withType(post(`{}`), "text/plain"), 415, ""},
		{"no type at all", withType(post(`{}`), ";"), 415, ""},
		{"another charset", withType(post(`{}`), "application/json; charset=latin1"), 415, ""},
		{"coded", post(`{}`, "Content-Encoding", "gzip"), 415, ""},
		{"unknown name", post(`{"Item":"tea"}`), 422, "#/Item is not known"},
		{"another kind", post(`{"item":7,"count":"secret"}`), 422, "#/item must be a string; #/count must be an integer"},
		{"range", post(`{"count":1e3,"lines":[{"price":1},{"price":1e400}]}`), 422, "#/count must be an integer; #/lines/1/price is out of range"},
		{"null", post(`null`), 422, "# must not be null"},
		{"own rules", post(`{"item":"secret-item","lines":[{"price":1},{"price":-1}]}`), 422,
			"#/item is not for sale; #/lines/1/price must not be negative"},
		{"own rule without a field", post(`{"count":13}`), 422, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			called := false
			h := mw.Must(Validate[order](ValidateConfig{Max: 256}))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				called = true
				if _, ok := Valid[order](r.Context()); !ok {
					t.Error("no value")
				}
			}))
			w := do(h, tc.r)
			equal(t, "status", w.Code, tc.status)
			equal(t, "called", called, tc.status == 200)
			if tc.status == 200 {
				return
			}
			_, faults := problemOf(t, w)
			equal(t, "faults", faults, tc.faults)
			for _, leak := range []string{"secret", "luck"} {
				if strings.Contains(w.Body.String(), leak) {
					t.Errorf("the answer says %q: %s", leak, w.Body)
				}
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func withBody(r *http.Request, body io.Reader) *http.Request {
	r.Body, r.ContentLength = nil, 0
	if body != nil {
		r.Body, r.ContentLength = io.NopCloser(body), -1
	}
	return r
}

func withLength(r *http.Request, n int64) *http.Request {
	r.ContentLength = n
	return r
}

func withType(r *http.Request, kind string) *http.Request {
	r.Header.Del("Content-Type")
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	return r
}

func TestValidateSaysWhatItWouldAccept(t *testing.T) {
	h := mw.Must(Validate[order](ValidateConfig{Types: []string{"application/json", "application/merge-patch+json"}}))(okHandler)
	w := do(h, withType(post(`{}`), "text/plain"))
	equal(t, "Accept", w.Header().Get("Accept"), "application/json, application/merge-patch+json")
	w = do(h, post(`{}`, "Content-Encoding", "br"))
	equal(t, "Accept-Encoding", w.Header().Get("Accept-Encoding"), "identity")
	equal(t, "status", do(h, withType(post(`{}`), "application/merge-patch+json")).Code, 200)
}

// The handler gets the value and may read the body again; the body that came is closed.
func TestValidateHandsOverValueAndBody(t *testing.T) {
	const text = `{"item":"tea","count":2}`
	body := &closeSpy{Reader: strings.NewReader(text)}
	r := post("")
	r.Body, r.ContentLength = body, -1
	h := mw.Must(Validate[order](ValidateConfig{}))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		v, ok := Valid[order](r.Context())
		if !ok || v.Item != "tea" || v.Count != 2 {
			t.Errorf("%+v, %v", v, ok)
		}
		if _, ok := Valid[int](r.Context()); ok {
			t.Error("a value of another type")
		}
		again, err := io.ReadAll(r.Body)
		if string(again) != text || err != nil || r.ContentLength != int64(len(text)) {
			t.Errorf("body %q, %v, length %d", again, err, r.ContentLength)
		}
		_ = r.Body.Close()
		if _, err := r.Body.Read(make([]byte, 1)); err != http.ErrBodyReadAfterClose {
			t.Errorf("read after close: %v", err)
		}
	}))
	do(h, r)
	equal(t, "closed", body.closed, true)
	if _, ok := Valid[order](context.Background()); ok {
		t.Error("a value without a request")
	}
}

// A second type and a handler in a goroutine of its own (http.TimeoutHandler) see what was decoded outside.
func TestValidateValuesReachNestedHandlers(t *testing.T) {
	type named struct {
		Item string `json:"item"`
	}
	inner := mw.Must(Validate[named](ValidateConfig{}))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		a, okA := Valid[order](r.Context())
		b, okB := Valid[named](r.Context())
		if !okA || !okB || a.Item != "tea" || b.Item != "tea" {
			t.Errorf("%+v %v, %+v %v", a, okA, b, okB)
		}
	}))
	h := mw.Must(Validate[order](ValidateConfig{}))(http.TimeoutHandler(inner, hang, ""))
	equal(t, "status", do(h, post(`{"item":"tea"}`)).Code, 200)
}

func TestValidatePointerTypesAndPointerMethods(t *testing.T) {
	h := mw.Must(Validate[*order](ValidateConfig{}))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if v, ok := Valid[*order](r.Context()); !ok || v.Item != "tea" {
			t.Errorf("%+v, %v", v, ok)
		}
	}))
	equal(t, "status", do(h, post(`{"item":"tea"}`)).Code, 200)
	equal(t, "method of the value", do(h, post(`{"item":"secret-item"}`)).Code, 422)
	h = mw.Must(Validate[byPointer](ValidateConfig{}))(okHandler)
	equal(t, "method of the pointer", do(h, post(`{}`)).Code, 422)
}

type byPointer struct{}

func (*byPointer) Validate() error { return errors.New("never") }

// The faults of package schema become members, without the values they hold.
func TestValidateTakesFaultsOfSchema(t *testing.T) {
	h := mw.Must(Validate[limits](ValidateConfig{}))(okHandler)
	w := do(h, post(`{"size":77,"named":{"a.b":{"size":78}},"list":[{"size":1},{"size":79}]}`))
	equal(t, "status", w.Code, 422)
	_, faults := problemOf(t, w)
	equal(t, "faults", faults, "#/size is not allowed; allowed: 1..9; #/named/a.b/size is not allowed; allowed: 1..9; "+
		"#/list/1/size is not allowed; allowed: 1..9; #/named has a bad name")
	for _, value := range []string{"77", "78", "79"} {
		if strings.Contains(w.Body.String(), value) {
			t.Errorf("the value %s is in %s", value, w.Body)
		}
	}
}

type limits struct {
	Size  int               `json:"size" default:"1" range:"1..9"`
	Named map[string]limit1 `json:"named"`
	List  []limit1          `json:"list"`
}

type limit1 struct {
	Size int `json:"size" default:"1" range:"1..9"`
}

func (l limits) Validate() error {
	return schema.Validate(l, schema.Fault("named", nil, "has a bad name"))
}

func TestValidateModes(t *testing.T) {
	for mode, want := range map[core.Mode]string{core.Shadow: `{"item":7} false body_invalid`, core.Disabled: `{"item":7} false `} {
		var x *exchange
		h := watch(&x, mw.Must(Validate[order](ValidateConfig{Mode: mode}))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, ok := Valid[order](r.Context())
			body, _ := io.ReadAll(r.Body)
			fmt.Fprint(w, string(body), " ", ok, " ", x.rec.shadowed)
		})))
		equal(t, mode.String(), do(h, post(`{"item":7}`)).Body.String(), want)
	}
	// In shadow mode a body that is too large, or breaks off, arrives as it came.
	h := mw.Must(Validate[order](ValidateConfig{Mode: core.Shadow, Max: 10}))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprint(w, string(body), " ", err)
	}))
	long := strings.Repeat("x", 5000)
	equal(t, "too large", do(h, withLength(post(long), -1)).Body.String(), long+" <nil>")
	equal(t, "announced", do(h, post(long)).Body.String(), long+" <nil>")
	broken := withBody(post(""), io.MultiReader(strings.NewReader("half"), failing{io.ErrUnexpectedEOF}))
	equal(t, "broken", do(h, broken).Body.String(), "half unexpected EOF")
}

func TestValidateRefusesItsConfig(t *testing.T) {
	for _, c := range []ValidateConfig{
		{Max: -1},
		{Max: 1 << 31},
		{Depth: 20_000},
		{Types: []string{"json"}},
		{Types: []string{"application/json; charset=utf-8"}},
		{Types: []string{"Application/JSON"}},
		{Mode: core.ForcedOpen},
	} {
		if _, err := Validate[order](c); err == nil {
			t.Errorf("%+v: accepted", c)
		}
	}
	if _, err := Validate[chan int](ValidateConfig{}); err == nil || !strings.Contains(err.Error(), "chan int") {
		t.Errorf("a channel: %v", err)
	}
	if _, err := ValidHandler(ValidateConfig{Mode: core.Shadow}, func(http.ResponseWriter, *http.Request, order) {}); err == nil {
		t.Error("ValidHandler in shadow mode: accepted")
	}
}

// A Validate method that panics or exits is a fault of the program, and goes on to Recover or the server.
func TestValidateMethodThatPanics(t *testing.T) {
	h := Recover(RecoverConfig{Logger: quiet})(mw.Must(Validate[panics](ValidateConfig{}))(okHandler))
	equal(t, "status", do(h, post(`{}`)).Code, 500)
}

type panics struct{}

func (panics) Validate() error { panic("no database") }

// TestValidateRefusesBeforeTheBodyIsSent: whoever asks with Expect: 100-continue is told before it sends anything.
func TestValidateRefusesBeforeTheBodyIsSent(t *testing.T) {
	s := serve(t, mw.Must(Validate[order](ValidateConfig{Max: 100}))(okHandler), false)
	for name, head := range map[string]string{
		"413": "Content-Type: application/json\r\nContent-Length: 1000\r\n",
		"415": "Content-Type: text/plain\r\nContent-Length: 10\r\n",
	} {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n%s\r\n", head)
		line, _ := bufio.NewReader(conn).ReadString('\n')
		if !strings.Contains(line, name) {
			t.Errorf("the first line is %q, want a %s", line, name)
		}
	}
}

// After a refusal the connection goes on with the next request, or is closed if there is too much of the body left.
func TestValidateLeavesTheConnectionSane(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, serve func(http.Handler) *httptest.Server) {
		s := serve(mw.Must(Validate[order](ValidateConfig{Max: 1000}))(okHandler))
		for _, tc := range []struct {
			body   io.Reader
			status int
		}{
			{strings.NewReader(`{"item":`), 400},
			{strings.NewReader(`{"item":"` + strings.Repeat("x", 5000) + `"}`), 413},
			{io.LimitReader(endless{}, 4<<20), 413}, // of unknown length: chunked
			{strings.NewReader(`{"item":"tea"}`), 200},
		} {
			resp, err := s.Client().Post(s.URL, "application/json", tc.body)
			if err != nil {
				// Over HTTP/1.1 a client that is still sending may see the connection close before it reads the answer.
				if tc.status == 413 {
					continue
				}
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			equal(t, "status", resp.StatusCode, tc.status)
		}
	})
}

// The rest of a body of unknown length is not waited for.
func TestValidateClosesTheConnectionOfABodyWithoutEnd(t *testing.T) {
	s := serve(t, mw.Must(Validate[order](ValidateConfig{Max: 1000}))(okHandler), false)
	resp, err := s.Client().Post(s.URL, "application/json", io.LimitReader(endless{}, 2000))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	equal(t, "status", resp.StatusCode, 413)
	equal(t, "close", resp.Close, true)
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// A promise of a gigabyte costs nothing until it comes.
func TestValidateHoldsWhatHasCome(t *testing.T) {
	r := withLength(post(`{"item":"tea"}`), 1<<30)
	data, err := readBody(httptest.NewRecorder(), r, 1<<30)
	if err != nil || cap(data) > 4096 {
		t.Errorf("%d bytes held, %v", cap(data), err)
	}
}

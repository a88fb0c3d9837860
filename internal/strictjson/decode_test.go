package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

type inner struct {
	Price int8 `json:"price"`
}

type Base struct {
	ID   string `json:"id"`
	Note string
}

type doc struct {
	Base
	Name   string             `json:"name"`
	OK     bool               `json:"ok"`
	Small  uint8              `json:"small"`
	Share  float32            `json:"share"`
	Exact  json.Number        `json:"exact"`
	Items  []inner            `json:"items"`
	Pair   [2]int             `json:"pair"`
	Tags   map[string]string  `json:"tags"`
	Count  map[int]int        `json:"count"`
	Next   *doc               `json:"next"`
	Any    any                `json:"any"`
	Raw    json.RawMessage    `json:"raw"`
	At     time.Time          `json:"at"`
	Addr   netip.Addr         `json:"addr"`
	Bytes  []byte             `json:"bytes"`
	Quoted int                `json:"quoted,string"`
	Secret string             `json:"-"`
	Hosts  map[netip.Addr]int `json:"hosts"`
	hidden int
}

func shapeOf[T any](t testing.TB) *Shape {
	t.Helper()
	s, err := Of(reflect.TypeFor[T]())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestDecode mirrors the table of the package's documentation.
func TestDecode(t *testing.T) {
	s := shapeOf[doc](t)
	for _, tc := range []struct{ text, want string }{
		{`{"id":"7","Note":"n","name":"a","ok":true,"small":255,"share":0.5,"exact":1e400,"items":[{"price":-128}],"pair":[1,2]}`, ""},
		{`{"tags":{"a":"b","A":"c"},"count":{"-1":2},"next":{"next":null},"any":{"x":[1,"two",null]},"raw":{"y":{}}}`, ""},
		{`{"at":"2026-01-02T03:04:05Z","addr":"::1","bytes":"AQID","quoted":"7","hosts":{"::1":1}}`, ""},
		{" \t\r\n{}\n", ""},
		{`{"\u006eame":"\ud83d\ude00 \"\\\/\b\f\n\r\t"}`, ""},
		{`{"name":null,"items":null,"small":null}`, ""},

		{``, "nothing 0 #"},
		{` `, "nothing 1 #"},
		{`{`, "not JSON 1 #"},
		{`{"name"`, "not JSON 7 #/name"},
		{`{"name":"a}`, "not JSON 11 #/name"},
		{`{"name":'a'}`, "not JSON 8 #/name"},
		{`{"name":"a",}`, "not JSON 12 #"},
		{`{"items":[{},]}`, "not JSON 13 #/items/1"},
		{`{"items":[1 2]}`, "not JSON 12 #/items/0"},
		{`{"small":01}`, "not JSON 10 #/small"},
		{`{"share":1.}`, "not JSON 11 #/share"},
		{`{"share":1e}`, "not JSON 11 #/share"},
		{`{"share":-}`, "not JSON 10 #/share"},
		{`{"ok":tru}`, "not JSON 9 #/ok"},
		{`{"name":"\x"}`, "not JSON 10 #/name"},
		{`{"name":"\u00g0"}`, "not JSON 10 #/name"},
		{`NaN`, "not JSON 0 #"},
		{"{\"name\":\"a\nb\"}", "a control character in a string 10 #/name"},
		{"{\"name\":\"\\n\nb\"}", "a control character in a string 11 #/name"},
		{`{} {}`, "more than one value 3 #"},
		{`{}]`, "more than one value 2 #"},
		{"\xef\xbb\xbf{}", "a byte order mark 0 #"},
		{"{\"name\":\"a\xff\"}", "not UTF-8 10 #"},
		{`{"name":"\ud800"}`, "half of a surrogate pair 15 #/name"},
		{`{"name":"\ud800\u0041"}`, "half of a surrogate pair 21 #/name"},
		{`{"name":"\udc00\ud800"}`, "half of a surrogate pair 21 #/name"},
		{`{"name":"a","name":"b"}`, "a name twice 12 #/name"},
		{`{"name":"a","n\u0061me":"b"}`, "a name twice 12 #/name"},
		{`{"any":{"x":1,"x":1}}`, "a name twice 14 #/any/x"},
		{`{"raw":[{"x":1,"x":1}]}`, "a name twice 15 #/raw/0/x"},
		{`{"next":{"next":{"next":{"next":{}}}}}`, "too deep 32 #/next/next/next/next"},

		{`null`, "#: must not be null"},
		{`[]`, "#: must be an object"},
		{`{"NAME":"a","name":"b"}`, "#/NAME: is not known"},
		{`{"Secret":"a","hidden":1,"-":2}`, "#/Secret: is not known; #/hidden: is not known; #/-: is not known"},
		{`{"items":[{"price":1},{"price":128,"x":[1]}]}`, "#/items/1/price: is out of range; #/items/1/x: is not known"},
		{`{"a/b~c d%":1}`, "#/a~1b~0c%20d%25: is not known"},
		{`{"name":1,"ok":"true","small":"1","share":[],"exact":"1","items":{},"tags":[]}`, "#/name: must be a string; " +
			"#/ok: must be true or false; #/small: must be an integer; #/share: must be a number; #/exact: must be a number; " +
			"#/items: must be an array; #/tags: must be an object"},
		{`{"small":256,"share":1e39,"any":1e309}`, "#/small: is out of range; #/share: is out of range; #/any: is out of range"},
		{`{"small":1.0,"pair":[1]}`, "#/small: must be an integer; #/pair: must have 2 elements"},
		{`{"small":-1,"name":true,"ok":1}`, "#/small: is out of range; #/name: must be a string; #/ok: must be true or false"},
		{`{"count":{"1":1,"01":2}}`, "#/count/01: is not an integer as it is written shortest, or out of range"},
		{`{"at":"yesterday"}`, "#/at: is not what is expected"},
		{`{"next":{"addr":"nowhere"}}`, "#/next/addr: is not what is expected"},
		{`{"bytes":"*","at":7}`, "#/bytes: is not what is expected; #/at: is not what is expected"},
		{`{"bytes":"*"}`, "#/bytes: is not what is expected"},
		{`{"addr":7,"quoted":7}`, "#/addr: must be a string; #/quoted: must be a string"},
		{`{"quoted":"x"}`, "#: is not what is expected"},
		{`{"hosts":{"nowhere":1}}`, "#: is not what is expected"},
	} {
		var v doc
		got := describe(s.Decode([]byte(tc.text), &v, 4))
		if got != tc.want {
			t.Errorf("%s: %q, want %q", tc.text, got, tc.want)
		}
	}
}

func describe(err error) string {
	var syntax *SyntaxError
	var faults Faults
	switch {
	case err == nil:
		return ""
	case errors.As(err, &syntax):
		return fmt.Sprint(syntax.Reason, " ", syntax.Offset, " ", syntax.Pointer)
	case errors.As(err, &faults):
		return strings.TrimPrefix(faults.Error(), "strictjson: ")
	default:
		return "another error: " + err.Error()
	}
}

func TestDecodeFillsTheValue(t *testing.T) {
	var v doc
	if err := shapeOf[doc](t).Decode([]byte(`{"id":"7","next":{"items":[{"price":3}]}}`), &v, 64); err != nil {
		t.Fatal(err)
	}
	if v.ID != "7" || v.Next == nil || v.Next.Items[0].Price != 3 || v.hidden != 0 {
		t.Errorf("got %+v", v)
	}
}

// What does not belong in the answer to a stranger: his values, a fault for each of a million, a name of a megabyte.
func TestFaultsAreBounded(t *testing.T) {
	s := shapeOf[[]int8](t)
	var v []int8
	err := s.Decode([]byte("["+strings.Repeat(`"secret",`, 1000)+"1]"), &v, 4)
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != MaxFaults || strings.Contains(err.Error(), "secret") {
		t.Errorf("%d faults: %v", len(faults), err)
	}
	if p := Pointer("a", strings.Repeat("b", 1<<20), "c"); p != "#/a" {
		t.Errorf("pointer of %d bytes", len(p))
	}
}

// A name costs the same in an object of two and in one of a hundred thousand.
func TestManyNames(t *testing.T) {
	for _, n := range []int{few - 1, few, few + 1, 100_000} {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"%d":{"a":1,"b":2},`, i)
		}
		var v map[string]any
		s := shapeOf[map[string]any](t)
		if err := s.Decode([]byte("{"+b.String()+`"x":1}`), &v, 4); err != nil {
			t.Errorf("%d names: %v", n, err)
		}
		if err := s.Decode([]byte("{"+b.String()+`"0":1}`), &v, 4); err == nil {
			t.Errorf("%d names and one of them again: accepted", n)
		}
	}
}

func TestOfRefuses(t *testing.T) {
	type recursive *recursive
	for _, typ := range []reflect.Type{
		reflect.TypeFor[chan int](), reflect.TypeFor[func()](), reflect.TypeFor[complex128](), reflect.TypeFor[struct{ E error }](),
		reflect.TypeFor[map[bool]int](), reflect.TypeFor[map[[2]int]int](), reflect.TypeFor[[]struct{ F func() }](), reflect.TypeFor[recursive](),
	} {
		if _, err := Of(typ); err == nil {
			t.Errorf("%v: accepted", typ)
		}
	}
}

type (
	Left    struct{ Same, L string }
	Right   struct{ Same, R string }
	deep    struct{ Only string }
	Tagged  struct{ T string }
	Mixed   struct{ X string }
	MixedBy struct {
		Y int `json:"X"`
	}
	Twice1 struct{ Left }
	Twice2 struct{ Left }
)

// Among fields of one depth the one with a tag is meant, whichever comes first.
func TestTagWins(t *testing.T) {
	var one struct {
		Mixed
		MixedBy
	}
	var other struct {
		MixedBy
		Mixed
	}
	for _, v := range []any{&one, &other} {
		s, err := Of(reflect.TypeOf(v).Elem())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Decode([]byte(`{"X":7}`), v, 4); err != nil {
			t.Error(err)
		}
	}
	if one.Y != 7 || other.Y != 7 {
		t.Errorf("%+v, %+v", one, other)
	}
}

// The names that a struct has are those of encoding/json, whose rules on embedding are many: each type is asked of both.
func TestNamesAreThoseOfEncodingJSON(t *testing.T) {
	for _, typ := range []reflect.Type{
		reflect.TypeFor[doc](),
		reflect.TypeFor[struct {
			Left
			Right
			deep
			*Tagged `json:"tagged"`
		}](),
		reflect.TypeFor[struct {
			Left
			Same int `json:",omitempty"`
		}](),
		reflect.TypeFor[struct {
			Mixed
			MixedBy
		}](),
		reflect.TypeFor[struct {
			Twice1
			Twice2
		}](),
		reflect.StructOf([]reflect.StructField{ // made here, because vet knows that these tags are bad
			{Name: "A", Type: reflect.TypeFor[string](), Tag: `json:"bad\"name"`},
			{Name: "B", Type: reflect.TypeFor[string](), Tag: `json:"good-name!"`},
			{Name: "C", Type: reflect.TypeFor[string](), Tag: `json:"-,"`},
		}),
	} {
		s, err := Of(typ)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{
			"Same", "L", "R", "Only", "T", "tagged", "Tagged", "X", "Y", "A", "B", "C", "-", "good-name!", `bad"name`, "id", "Note", "Base",
			"Left", "Mixed", "hidden", "Secret", "next", "quoted",
		} {
			key, _ := json.Marshal(name)
			dec := json.NewDecoder(strings.NewReader("{" + string(key) + ":null}"))
			dec.DisallowUnknownFields()
			// Its names match whatever the case; those asked for here differ in more.
			want := dec.Decode(reflect.New(typ).Interface()) == nil
			if name == "Tagged" || name == "T" && s.fields["tagged"] != nil {
				want = false
			}
			if got := s.fields[name] != nil; got != want {
				t.Errorf("%v: %q known: %v, want %v", typ, name, got, want)
			}
		}
	}
}

package strictjson

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"testing"
)

// FuzzDecode holds the scanner against encoding/json: what it takes, a decoder that refuses unknown fields takes too and
// understands alike; what is no JSON, or says a name twice, it does not take.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"id":"7","items":[{"price":-1}],"any":{"x":[1,"two",null,true]},"at":"2026-01-02T03:04:05Z"}`,
		`{"next":{"next":{"name":"\ud83d\ude00"}}}`, `{"name":"a","name":"b"}`, `{"tags":{"a":"b"},"count":{"1":2}}`,
		`[1e5,-0.5]`, `{"bytes":"AQID","quoted":"7"}`, "\xef\xbb\xbf{}", `{"NAME":1}`, `"\u0000"`, `{} x`,
	} {
		f.Add([]byte(seed))
	}
	shape := shapeOf[doc](f)
	free := shapeOf[any](f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var mine, std doc
		if shape.Decode(data, &mine, 64) == nil {
			dec := json.NewDecoder(bytes.NewReader(data))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&std); err != nil {
				t.Fatalf("taken, though encoding/json says %v", err)
			}
			if !reflect.DeepEqual(mine, std) {
				t.Fatalf("%+v, want %+v", mine, std)
			}
		}
		var v any
		err := free.Decode(data, &v, 1000)
		if err == nil && (!json.Valid(data) || repeats(json.NewDecoder(bytes.NewReader(data)))) {
			t.Fatal("taken, though it is no JSON or has a name twice")
		}
		if _, syntax := err.(*SyntaxError); syntax && json.Valid(data) && err.Error() == "" {
			t.Fatal("an error without words")
		}
	})
}

// repeats reads tokens, as a reference that shares nothing with the scanner.
func repeats(dec *json.Decoder) bool {
	type level struct {
		names map[string]bool
		key   bool // a name comes next
	}
	var open []*level
	value := func() {
		if n := len(open); n > 0 && open[n-1].names != nil {
			open[n-1].key = true
		}
	}
	for {
		token, err := dec.Token()
		if err == io.EOF || err != nil {
			return false
		}
		switch token := token.(type) {
		case json.Delim:
			switch token {
			case '{':
				open = append(open, &level{names: map[string]bool{}, key: true})
			case '[':
				open = append(open, &level{})
			default:
				open = open[:len(open)-1]
				value()
			}
		case string:
			if n := len(open); n > 0 && open[n-1].key {
				if open[n-1].names[token] {
					return true
				}
				open[n-1].names[token] = true
				open[n-1].key = false
				continue
			}
			value()
		default:
			value()
		}
	}
}

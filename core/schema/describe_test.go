package schema

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestSnake(t *testing.T) {
	for name, want := range map[string]string{
		"Limit": "limit", "MaxOpenFor": "max_open_for", "UserID": "user_id", "UserIDs": "user_ids", "TTLJitter": "ttl_jitter",
		"HTTPPort": "http_port", "P99": "p99", "P99Latency": "p99_latency", "SHA256Sum": "sha256_sum", "TTL": "ttl",
		"A": "a", "AB": "ab", "ABc": "a_bc", "URLs": "urls", "Get_It": "get_it", "OpenIDs2": "open_ids2",
	} {
		if got := snake(name); got != want {
			t.Errorf("snake(%s) = %s, want %s", name, got, want)
		}
	}
}

// level is a number with a word of its own, as core.Count is.
type level int

func (l *level) UnmarshalText(text []byte) error {
	if string(text) == "none" {
		*l = -1
		return nil
	}
	v, err := parse(reflect.TypeFor[int](), string(text))
	*l = level(v.Int())
	return err
}

func (l level) MarshalText() ([]byte, error) {
	if l == -1 {
		return []byte("none"), nil
	}
	return []byte(Show(reflect.ValueOf(int(l)))), nil
}

// color is an enumeration whose zero value is its first word.
type color uint8

var colors = []string{"red", "green"}

func (c *color) UnmarshalText(text []byte) error {
	for i, name := range colors {
		if name == string(text) {
			*c = color(i)
			return nil
		}
	}
	return errUnknownColor
}

func (c color) MarshalText() ([]byte, error) { return []byte(colors[c]), nil }

var errUnknownColor = reflectError("unknown color")

type reflectError string

func (e reflectError) Error() string { return string(e) }

type inner struct {
	OpenFor time.Duration `default:"5s" range:"1ms..1h"`
	Limit   int           `required:"true" range:"1..1000000000"`
}

type base struct {
	Host string `default:"localhost"`
}

type all struct {
	base
	Wait    time.Duration `default:"none" range:"1ms..1h|none"`
	Ratio   float64       `default:"0.5" range:"0.01..1|none"`
	Level   level         `default:"10" range:"1..100|none"`
	Color   color         `default:"red" range:"red|green"`
	Kind    string        `key:"sort" default:"a" range:"a|b"`
	Small   uint8         `default:"7"`
	On      bool
	Addr    netip.Addr
	Token   string `secret:"true"`
	Ports   []int  `range:"1..65535"`
	Inner   inner
	Named   map[string]inner
	Rows    []inner
	Skipped func() `key:"-"`
	hidden  chan int
}

func TestDescribe(t *testing.T) {
	_ = all{}.hidden // there to be skipped
	fields, err := Describe(reflect.TypeFor[all]())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	want := "host wait ratio level color sort small on addr token ports inner named rows"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("names: %s\nwant:  %s", got, want)
	}
	if host := reflect.ValueOf(all{base: base{Host: "h"}}).FieldByIndex(fields[0].Index); host.String() != "h" {
		t.Errorf("the index of an embedded field leads to %v", host)
	}
	if f := fields[10]; f.Shape() != List || f.Elem().Range.String() != "1..65535" || f.Elem().Type.Kind() != reflect.Int {
		t.Errorf("ports: %+v", f)
	}
	if f := fields[9]; !f.Secret {
		t.Error("token is not secret")
	}
}

type loop struct {
	Next map[string]loop
}

func TestDescribeRefusesBadTags(t *testing.T) {
	for want, c := range map[string]any{
		"bad range": struct {
			A int `range:"1..b"`
		}{},
		"5 is above 1": struct {
			A int `range:"5..1"`
		}{},
		"an alternative is empty": struct {
			A int `range:"0..1|"`
		}{},
		"cannot be none": struct {
			A uint `range:"0..1|none"`
		}{},
		"excludes the zero value": struct {
			A int `range:"1..5"`
		}{},
		"includes the zero value": struct {
			A int `range:"0..5" required:"true"`
		}{},
		"has no default": struct {
			A int `default:"1" required:"true"`
		}{},
		"default: 9 is not allowed": struct {
			A int `default:"9" range:"1..5"`
		}{},
		`default: "x" is not a whole`: struct {
			A int `default:"x"`
		}{},
		"default to true": struct {
			A bool `default:"true"`
		}{},
		"cannot be required": struct {
			A bool `required:"true"`
		}{},
		"must be true or false": struct {
			A int `required:"yes"`
		}{},
		"cannot be configured": struct{ A *int }{},
		"a func() cannot be":   struct{ A map[string]func() }{},
		"must be strings":      struct{ A map[int]int }{},
		"is taken by": struct {
			A int
			B int `key:"a"`
		}{},
		"joined by single": struct {
			A int `key:"a__b"`
		}{},
		"contains itself": loop{},
		"belong on the fields of": struct {
			A inner `required:"true"`
		}{},
		"a list or map has no": struct {
			A []int `default:"1"`
		}{},
		"example: 9 is not allowed": struct {
			A int `example:"9" range:"0..5"`
		}{},
		"is not a struct": 1,
		"struct { B int": struct {
			A struct {
				B int `range:"x"`
			}
		}{},
	} {
		want = strings.TrimPrefix(want, "bad range")
		_, err := Describe(reflect.TypeOf(c))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%T: %v, want %q in it", c, err, want)
		}
	}
}

func TestABadTagPanicsWithTheNameOfTheField(t *testing.T) {
	type bad struct {
		Depth int `range:"1..x"`
	}
	for name, f := range map[string]func(){
		"Fill":     func() { Fill(bad{}) },
		"Validate": func() { _ = Validate(bad{}) },
	} {
		func() {
			defer func() {
				if err, _ := recover().(error); err == nil || !strings.Contains(err.Error(), "bad.Depth") {
					t.Errorf("%s: %v", name, err)
				}
			}()
			f()
		}()
	}
}

func TestPaths(t *testing.T) {
	for want, got := range map[string]string{
		"a":                   Join("", "a"),
		"a.b-c":               Join("a", "b-c"),
		`routes["/v1.2"]`:     Join("routes", "/v1.2"),
		`routes["/v1.2"].rps`: Join(Join("routes", "/v1.2"), "rps"),
		"servers[0].host":     Join(At("servers", 0), "host"),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

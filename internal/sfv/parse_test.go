package sfv

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func item(v Value, params ...Param) Item { return Item{Value: v, Params: params} }

// same compares what was read with what was meant; an empty list of Parameters may be nil.
func same(a, b []Item) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		if x.Value != y.Value || len(x.Params) != len(y.Params) || (x.Inner == nil) != (y.Inner == nil) || !same(x.Inner, y.Inner) {
			return false
		}
		for j := range x.Params {
			if x.Params[j] != y.Params[j] {
				return false
			}
		}
	}
	return true
}

// TestListsOfTheRFC reads the examples of RFC 9651 section 3.1 and of the fields that this package is for.
func TestListsOfTheRFC(t *testing.T) {
	inner := func(items []Item, params ...Param) Item { return Item{Inner: items, Params: params} }
	for _, c := range []struct {
		lines []string
		want  []Item
	}{
		{nil, nil},
		{[]string{""}, nil},
		{[]string{"   "}, nil},
		{[]string{"sugar, tea, rum"}, []Item{item(Tok("sugar")), item(Tok("tea")), item(Tok("rum"))}},
		{[]string{"sugar, tea", "rum"}, []Item{item(Tok("sugar")), item(Tok("tea")), item(Tok("rum"))}},
		{[]string{`("foo" "bar"), ("baz"), ("bat" "one"), ()`}, []Item{
			inner([]Item{item(Text("foo")), item(Text("bar"))}), inner([]Item{item(Text("baz"))}),
			inner([]Item{item(Text("bat")), item(Text("one"))}), inner([]Item{}),
		}},
		{[]string{`("foo"; a=1;b=2);lvl=5, ("bar" "baz");lvl=1`}, []Item{
			inner([]Item{item(Text("foo"), Param{"a", Int(1)}, Param{"b", Int(2)})}, Param{"lvl", Int(5)}),
			inner([]Item{item(Text("bar")), item(Text("baz"))}, Param{"lvl", Int(1)}),
		}},
		{[]string{"abc;a=1;b=2; cde_456, (ghi;jk=4 l);q=\"9\";r=w"}, []Item{
			item(Tok("abc"), Param{"a", Int(1)}, Param{"b", Int(2)}, Param{"cde_456", Bool(true)}),
			inner([]Item{item(Tok("ghi"), Param{"jk", Int(4)}), item(Tok("l"))}, Param{"q", Text("9")}, Param{"r", Tok("w")}),
		}},
		{[]string{"(  a   b  )"}, []Item{inner([]Item{item(Tok("a")), item(Tok("b"))})}},
		{[]string{"a\t ,\tb  "}, []Item{item(Tok("a")), item(Tok("b"))}},
		{[]string{`"burst";q=100;w=60, "daily";q=1000;w=86400;pk=:dGVuYW50:`}, []Item{
			item(Text("burst"), Param{"q", Int(100)}, Param{"w", Int(60)}),
			item(Text("daily"), Param{"q", Int(1000)}, Param{"w", Int(86400)}, Param{"pk", Binary("tenant")}),
		}},
		{[]string{`ExampleCache; hit; ttl=376, "edge"; fwd=uri-miss; collapsed=?0`}, []Item{
			item(Tok("ExampleCache"), Param{"hit", Bool(true)}, Param{"ttl", Int(376)}),
			item(Text("edge"), Param{"fwd", Tok("uri-miss")}, Param{"collapsed", Bool(false)}),
		}},
	} {
		var p Parser
		got, err := p.List(c.lines)
		if err != nil || !same(got, c.want) {
			t.Errorf("%q:\n got %v, %v\nwant %v", c.lines, got, err, c.want)
		}
	}
}

func TestListsMalformed(t *testing.T) {
	for _, line := range []string{
		"a,", "a,,b", ",a", "a b", "a;", "a;;b", "a; ", "a;B=1", "a;1=1", "a;b=", "a ;b", "a,b;c=,d", "\ta",
		"(a", "(a b", "a)", "(a,b)", "(a;b=(c))", "((a))", `("a""b")`, "(a\tb)", "a=1", "a;b =1", "a;b= 1", "é", "{", "a, ",
	} {
		var p Parser
		if got, err := p.List([]string{line}); !errors.Is(err, ErrSyntax) || got != nil {
			t.Errorf("%q: %v, %v, want ErrSyntax", line, got, err)
		}
	}
	var p Parser
	if _, err := p.List([]string{"1", "", "42"}); err == nil {
		t.Error("an empty line between two members is an empty member")
	}
}

// TestItemsOfTheRFC reads the examples of RFC 9651 section 3.3 and the edges of what they stand for.
func TestItemsOfTheRFC(t *testing.T) {
	for _, c := range []struct {
		line string
		want Value
	}{
		{"5", Int(5)}, {"42", Int(42)}, {"-0", Int(0)}, {"00", Int(0)}, {"999999999999999", Int(maxInteger)},
		{"-999999999999999", Int(-maxInteger)},
		{"4.5", Thousandths(4500)}, {"-1.05", Thousandths(-1050)}, {"0.001", Thousandths(1)},
		{"999999999999.999", Thousandths(maxInteger)},
		{`"hello world"`, Text("hello world")}, {`""`, Text("")}, {`"a\"b\\c"`, Text(`a"b\c`)}, {`" ~"`, Text(" ~")},
		{"foo123/456", Tok("foo123/456")}, {"*a", Tok("*a")}, {"a:b", Tok("a:b")}, {"a!#$%&'*+-.^_`|~", Tok("a!#$%&'*+-.^_`|~")},
		{":cHJldGVuZCB0aGlzIGlzIGJpbmFyeSBjb250ZW50Lg==:", Binary("pretend this is binary content.")},
		{"::", Binary("")}, {":aGk=:", Binary("hi")}, {":aGk:", Binary("hi")}, {":aGl=:", Binary("hi")},
		{"?1", Bool(true)}, {"?0", Bool(false)},
		{"@1659578233", At(time.Unix(1659578233, 0))}, {"@-1", At(time.Unix(-1, 0))},
		{`%"This is intended for display to %c3%bcsers."`, Display("This is intended for display to üsers.")}, {`%""`, Display("")},
		{"  1  ", Int(1)},
	} {
		var p Parser
		if got, err := p.Item([]string{c.line}); err != nil || got.Value != c.want || got.Inner != nil {
			t.Errorf("%q: %v, %v, want %v", c.line, got, err, c.want)
		}
	}
}

func TestItemsMalformed(t *testing.T) {
	lines := []string{
		"", " ", "1, 2", "(1)", "1 2", "\t1", "1\t",
		"-", "--1", "1000000000000000", "1.", ".1", "1.2345", "1000000000000.1", "1.2.3", "+1", "1e3", "-a",
		`"`, `"a`, `"a\"`, `"\n"`, `"a\`, "\"\x7f\"", "\"\t\"", `"é"`,
		":", ":a", ":=:", ":a:", ":aGk==:", ":aG k=:", ":aGk=a:", ":====:", ":aGk=\n:", ":_-8=:", ":é:",
		"?", "?2", "?true", "?11",
		"@", "@1.5", "@a", "@1000000000000000", "@ 1",
		`%"`, `%`, `%a`, `%"%C3%BC"`, `%"%c3"`, `%"%c"`, `%"%"`, `%"%zz"`, `%"ü"`, "%\"\x00\"",
		"!a", "/a", ":a", "a=b", "=", "A;A",
	}
	for _, line := range lines {
		var p Parser
		if got, err := p.Item([]string{line}); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: %v, %v, want ErrSyntax", line, got, err)
		}
	}
	var p Parser
	if _, err := p.Item(nil); err == nil {
		t.Error("a field without lines is an Item")
	}
	if _, err := p.Item([]string{"a", "b"}); err == nil {
		t.Error("two lines are one Item")
	}
}

func TestLaterParameterCounts(t *testing.T) {
	var p Parser
	it, err := p.Item([]string{"a;x=1;y;x=2"})
	want := []Param{{"x", Int(2)}, {"y", Bool(true)}}
	if err != nil || !reflect.DeepEqual(it.Params, want) {
		t.Errorf("got %v, %v, want %v", it.Params, err, want)
	}
	if n, ok := it.Param("x").Integer(); n != 2 || !ok {
		t.Errorf("Param x: %d, %v", n, ok)
	}
	if it.Param("z").Kind() != None {
		t.Error("an absent Parameter has a kind")
	}
}

// TestBounds holds what every parser must support, and that more is refused rather than worked on for ever.
func TestBounds(t *testing.T) {
	params := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, ";k%d", i)
		}
		return b.String()
	}
	for _, c := range []struct {
		line string
		ok   bool
	}{
		{strings.Repeat("a,", maxMembers-1) + "a", true}, {strings.Repeat("a,", maxMembers) + "a", false},
		{"(" + strings.Repeat("a ", maxInner) + ")", true}, {"(" + strings.Repeat("a ", maxInner+1) + ")", false},
		{"a" + params(maxParams), true}, {"a" + params(maxParams+1), false},
		{"a" + params(maxParams) + ";k7=1", true},
		{`"` + strings.Repeat("a", 1<<16) + `"`, true},
	} {
		var p Parser
		if _, err := p.List([]string{c.line}); (err == nil) != c.ok {
			t.Errorf("%.20s... of %d bytes: %v", c.line, len(c.line), err)
		}
	}
}

func TestParserIsUsedAgain(t *testing.T) {
	var p Parser
	for range 3 {
		for _, n := range []int{1, 40, 3} {
			list, err := p.List([]string{strings.Repeat("(a;x=1 b);y=2, ", n) + "c;z"})
			if err != nil || len(list) != n+1 {
				t.Fatal(list, err)
			}
			for _, it := range list[:n] {
				if len(it.Inner) != 2 || it.Inner[0].Param("x") != Int(1) || it.Param("y") != Int(2) || len(it.Params) != 1 {
					t.Fatalf("got %v", it)
				}
			}
		}
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	var p Parser
	lines := []string{`"burst";r=50;t=30, "daily";r=1000;t=86400`}
	sum := int64(0)
	if n := testing.AllocsPerRun(100, func() {
		list, err := p.List(lines)
		if err != nil {
			t.Fatal(err)
		}
		left, _ := list[1].Param("r").Integer()
		sum += left
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	_ = sum
}

func TestKindsDoNotMix(t *testing.T) {
	all := []Value{Int(1), Thousandths(1), Text("a"), Tok("a"), Binary("a"), Bool(true), At(time.Unix(1, 0)), Display("a"), {}}
	for i, v := range all {
		var oks []bool
		_, ok := v.Integer()
		oks = append(oks, ok)
		_, ok = v.Thousandths()
		oks = append(oks, ok && v.Kind() == Decimal)
		_, ok = v.Text()
		oks = append(oks, ok)
		_, ok = v.Token()
		oks = append(oks, ok)
		_, ok = v.Bytes()
		oks = append(oks, ok)
		_, ok = v.Boolean()
		oks = append(oks, ok)
		_, ok = v.Date()
		oks = append(oks, ok)
		_, ok = v.Display()
		oks = append(oks, ok)
		for j, ok := range oks {
			if ok != (i == j) {
				t.Errorf("value %d of kind %d, getter %d: %v", i, v.Kind(), j, ok)
			}
		}
	}
	if n, ok := Int(3).Thousandths(); n != 3000 || !ok {
		t.Errorf("an Integer where a Decimal is meant: %d, %v", n, ok)
	}
	if d, _ := At(time.Unix(5, 0)).Date(); !d.Equal(time.Unix(5, 0)) {
		t.Errorf("Date: %v", d)
	}
}

package sfv

import (
	"errors"
	"math"
	"testing"
	"time"
)

func TestAppend(t *testing.T) {
	list := []Item{
		item(Text(`a"b\`), Param{"r", Int(-5)}, Param{"*k_-.1", Bool(true)}, Param{"f", Bool(false)}),
		{Inner: []Item{item(Tok("*t/:")), item(Binary("hi"))}, Params: []Param{{"d", At(time.Unix(7, 0))}}},
		{Inner: []Item{}},
		item(Display("ü %\"")),
	}
	const want = `x: "a\"b\\";r=-5;*k_-.1;f=?0, (*t/: :aGk=:);d=@7, (), %"%c3%bc %25%22"`
	if got, err := AppendList([]byte("x: "), list); string(got) != want || err != nil {
		t.Errorf("\n got %s, %v\nwant %s", got, err, want)
	}
}

func TestAppendDecimals(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0.0", 1: "0.001", 10: "0.01", 100: "0.1", 1000: "1.0", -1: "-0.001", -1050: "-1.05", 101: "0.101",
		maxInteger: "999999999999.999", -maxInteger: "-999999999999.999",
	} {
		if got, err := AppendItem(nil, item(Thousandths(n))); string(got) != want || err != nil {
			t.Errorf("%d: %s, %v, want %s", n, got, err, want)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	for _, it := range []Item{
		{}, item(Int(maxInteger + 1)), item(Int(math.MinInt64)), item(Thousandths(-maxInteger - 1)), item(Thousandths(math.MinInt64)),
		item(Text("é")), item(Text("\n")), item(Text("\x7f")), item(Tok("")), item(Tok("1a")), item(Tok("a b")), item(Display("\xff")),
		item(At(time.Unix(maxInteger+1, 0))),
		item(Int(1), Param{"", Int(1)}), item(Int(1), Param{"A", Int(1)}), item(Int(1), Param{"a b", Int(1)}), item(Int(1), Param{"a", Value{}}),
		{Value: Int(1), Inner: []Item{}}, {Inner: []Item{{Inner: []Item{}}}}, {Inner: []Item{{}}},
	} {
		got, err := AppendList([]byte("as it was"), []Item{item(Int(1)), it})
		if !errors.Is(err, ErrValue) || string(got) != "as it was" {
			t.Errorf("%v: %q, %v", it, got, err)
		}
		if it.Inner == nil {
			if got, err := AppendItem([]byte("as it was"), it); !errors.Is(err, ErrValue) || string(got) != "as it was" {
				t.Errorf("%v: %q, %v", it, got, err)
			}
		}
	}
	if _, err := AppendItem(nil, Item{Inner: []Item{}}); !errors.Is(err, ErrValue) {
		t.Errorf("an Inner List as an Item: %v", err)
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 128)
	if n := testing.AllocsPerRun(100, func() {
		params := [2]Param{{"r", Int(50)}, {"t", Int(30)}}
		list := [1]Item{{Value: Text("burst"), Params: params[:]}}
		if _, err := AppendList(buf, list[:]); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzList holds that what is read can be written, and what is written is read as the same.
func FuzzList(f *testing.F) {
	for _, seed := range []string{
		"", `"burst";r=50;t=30, "daily";r=1000`, "a;x=1;y;x=2.5", "(a b;c);d, ()", ":aGk:, ?0, @-5, -0.10", `%"%c3%bc", "\\\""`, "a,",
	} {
		f.Add(seed, "")
	}
	f.Fuzz(func(t *testing.T, line, more string) {
		var p, q Parser
		lines := []string{line}
		if more != "" {
			lines = append(lines, more)
		}
		list, err := p.List(lines)
		if err != nil {
			if list != nil {
				t.Fatalf("half of a field: %v", list)
			}
			return
		}
		text, err := AppendList(nil, list)
		if err != nil {
			t.Fatalf("%q is read and cannot be written: %v", lines, list)
		}
		again, err := q.List([]string{string(text)})
		if err != nil || !same(list, again) {
			t.Fatalf("%q became %q:\n %v\n %v, %v", lines, text, list, again, err)
		}
		if len(list) == 1 && list[0].Inner == nil {
			it, err := q.Item([]string{string(text)})
			if err != nil || !same(list, []Item{it}) {
				t.Fatalf("%q is a member and no Item: %v, %v", text, it, err)
			}
		}
	})
}

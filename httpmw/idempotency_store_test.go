package httpmw

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/internal/sfv"
)

func TestParseIdempotencyKey(t *testing.T) {
	for _, tc := range []struct {
		field string
		bare  bool
		key   string
	}{
		{`"8e03978e-40d5-43dd-bc93-6894a57f9324"`, false, "8e03978e-40d5-43dd-bc93-6894a57f9324"},
		{`"a\"b\\c"`, false, `a"b\c`},
		{`"k";p=1`, false, "k"},
		{` "k" `, false, "k"},
		{`8e03978e-40d5-43dd-bc93-6894a57f9324`, true, "8e03978e-40d5-43dd-bc93-6894a57f9324"},
		{`"k"`, true, "k"},
		{`token`, true, "token"},
		{strings.Repeat("k", 36), true, strings.Repeat("k", 36)},

		{``, true, ""},
		{`""`, true, ""},
		{`token`, false, ""},
		{`12`, false, ""},
		{`"k`, true, ""},
		{`"k", "l"`, true, ""},
		{`"k" x`, true, ""},
		{"\"k\x00\"", true, ""},
		{"\"k\u00e9\"", true, ""},
		{"k\u00e9", true, ""},
		{`a b`, true, ""},
		{`a,b`, true, ""},
		{`"` + strings.Repeat("k", 37) + `"`, false, ""},
		{strings.Repeat("k", 37), true, ""},
		{`"k"` + strings.Repeat(" ", 1<<20), true, ""},
	} {
		key, ok := parseIdempotencyKey([]string{tc.field}, 36, tc.bare)
		if key != tc.key && ok || ok != (tc.key != "") {
			t.Errorf("%.40q, bare %v: %q, %v", tc.field, tc.bare, key, ok)
		}
	}
}

// FuzzIdempotencyKey: what is taken is a key within bounds, and the String of it is taken for the same.
func FuzzIdempotencyKey(f *testing.F) {
	for _, seed := range []string{`"k"`, `"a\"b"`, `token`, `"k";p=?1`, `"k", "l"`, "\"\x7f\""} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, field string, bare bool) {
		key, ok := parseIdempotencyKey([]string{field}, 64, bare)
		if !ok {
			return
		}
		if key == "" || len(key) > 64 || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("took %q", key)
		}
		written, err := sfv.AppendItem(nil, sfv.Item{Value: sfv.Text(key)})
		if err != nil {
			t.Fatal(err)
		}
		if again, ok := parseIdempotencyKey([]string{string(written)}, 64, false); !ok || again != key {
			t.Fatalf("%q became %q", key, again)
		}
	})
}

// No two requests that differ may have one name or one fingerprint for lack of a boundary.
func TestIdempotencyNamesHaveBoundaries(t *testing.T) {
	if storeKey("ab", "c") == storeKey("a", "bc") || storeKey("", "a") == storeKey("a", "") {
		t.Error("two keys of one name")
	}
	a, b := elsewhere(post(""), "/x?y"), elsewhere(post(""), "/x")
	if fingerprint(a, nil) == fingerprint(b, []byte("y")) {
		t.Error("two requests with one fingerprint")
	}
}

// FuzzIdempotencyEntry: a damaged entry is refused or read, never more; what is read can be written.
func FuzzIdempotencyEntry(f *testing.F) {
	whole := entry{state: kept, status: 201, header: http.Header{"A": {"1", "2"}, "B": {}}, body: []byte("body")}
	for _, e := range []entry{whole, {state: notKept}, {}} {
		f.Add(e.encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, ok := decodeEntry(b)
		if !ok {
			return
		}
		again, ok := decodeEntry(e.encode())
		if !ok || !reflect.DeepEqual(e, again) {
			t.Fatalf("%+v became %+v", e, again)
		}
	})
}

func TestIdempotencyEntry(t *testing.T) {
	e := entry{state: kept, owner: [16]byte{1}, fingerprint: [32]byte{2}, status: 201, header: http.Header{"A": {"1", "2"}}, body: []byte("body")}
	b := e.encode()
	if back, ok := decodeEntry(b); !ok || !reflect.DeepEqual(back, e) {
		t.Errorf("%+v, %v", back, ok)
	}
	for n := range len(b) - len(e.body) {
		if _, ok := decodeEntry(b[:n]); ok {
			t.Errorf("the first %d bytes were taken", n)
		}
	}
	b[0]++
	if _, ok := decodeEntry(b); ok {
		t.Error("another version was taken")
	}
}

// The memory is bounded: the oldest replies go, and what is in progress stays.
func TestIdempotencyMemoryIsBounded(t *testing.T) {
	s := newIdempotencyMemory(10_000)
	ctx := context.Background()
	_, _ = s.Claim(ctx, "busy", []byte("mine"), time.Hour)
	for i := range 1000 {
		key := fmt.Sprint(i)
		_, _ = s.Claim(ctx, key, []byte("mine"), time.Hour)
		_ = s.Settle(ctx, key, []byte("mine"), make([]byte, 1000), time.Hour)
		if s.bytes > 10_000 || len(s.entries) > 8 {
			t.Fatalf("%d bytes, %d entries", s.bytes, len(s.entries))
		}
	}
	if found, _ := s.Claim(ctx, "busy", []byte("other"), time.Hour); string(found) != "mine" {
		t.Errorf("what was in progress is %q", found)
	}
	if found, _ := s.Claim(ctx, "999", []byte("other"), time.Hour); len(found) != 1000 {
		t.Errorf("the last reply is %q", found)
	}
	if found, _ := s.Claim(ctx, "0", []byte("other"), time.Hour); found != nil {
		t.Errorf("the first reply is %q", found)
	}
	_ = s.Settle(ctx, "0", []byte("other"), make([]byte, 20_000), time.Hour) // larger than all
	equal(t, "bytes", s.bytes, 0)
}

// The store against a map that knows no bounds and is asked the same.
func TestIdempotencyMemoryIsAMap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type told struct {
			data    string
			until   time.Time
			settled bool
		}
		s, model := newIdempotencyMemory(1<<30), map[string]told{}
		ctx := context.Background()
		rnd := rand.New(rand.NewPCG(1, 2))
		for range 20_000 {
			key, mine := fmt.Sprint(rnd.IntN(5)), fmt.Sprint(rnd.IntN(3))
			now := time.Now()
			there, ok := model[key]
			over := ok && !now.Before(there.until)
			if over && there.settled {
				delete(model, key)
				ok = false
			}
			mineToEnd := ok && there.data == mine && !there.settled // also when the lease is over and nobody came
			switch rnd.IntN(4) {
			case 0:
				found, _ := s.Claim(ctx, key, []byte(mine), 5*time.Second)
				if !ok || over {
					there.data = ""
					model[key] = told{mine, now.Add(5 * time.Second), false}
				}
				equal(t, "found", string(found), there.data)
			case 1:
				_ = s.Settle(ctx, key, []byte(mine), []byte("r"+mine), 7*time.Second)
				if mineToEnd {
					model[key] = told{"r" + mine, now.Add(7 * time.Second), true}
				}
			case 2:
				_ = s.Release(ctx, key, []byte(mine))
				if mineToEnd {
					delete(model, key)
				}
			default:
				time.Sleep(time.Duration(rnd.IntN(3)) * time.Second)
			}
		}
	})
}

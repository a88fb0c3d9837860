package httpcache

import (
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	none := Parse(nil)
	with := func(f func(d *Directives)) Directives {
		d := none
		d.AnyAtAll = true
		f(&d)
		return d
	}
	for line, want := range map[string]Directives{
		"":                                  none,
		" , ,":                              none,
		"max-age=5":                         with(func(d *Directives) { d.MaxAge = 5 * time.Second }),
		"MAX-AGE=5":                         with(func(d *Directives) { d.MaxAge = 5 * time.Second }),
		`max-age="5"`:                       with(func(d *Directives) { d.MaxAge = 5 * time.Second }),
		"max-age = 5":                       with(func(d *Directives) { d.MaxAge = 5 * time.Second }),
		"max-age=5, max-age=3":              with(func(d *Directives) { d.MaxAge = 3 * time.Second }),
		"max-age=-5":                        with(func(d *Directives) { d.MaxAge = 0 }),
		"max-age=5.5":                       with(func(d *Directives) { d.MaxAge = 0 }),
		"max-age=x":                         with(func(d *Directives) { d.MaxAge = 0 }),
		"max-age":                           with(func(d *Directives) { d.MaxAge = 0 }),
		"max-age=":                          with(func(d *Directives) { d.MaxAge = 0 }),
		"max-age=99999999999999999999":      with(func(d *Directives) { d.MaxAge = longest }),
		"max-stale":                         with(func(d *Directives) { d.MaxStale = longest }),
		"max-stale=7":                       with(func(d *Directives) { d.MaxStale = 7 * time.Second }),
		"private, no-store":                 with(func(d *Directives) { d.Private, d.NoStore = true, true }),
		`private="set-cookie, x"`:           with(func(d *Directives) { d.Private = true }),
		`ext="no-store, \"private", public`: with(func(d *Directives) { d.Public = true }),
		`ext="no-store`:                     with(func(*Directives) {}),
		"no-cache=x y, immutable":           with(func(d *Directives) { d.NoCache, d.Immutable = true, true }),
		"s-maxage=1,stale-while-revalidate=2,stale-if-error=3": with(func(d *Directives) {
			d.SMaxAge, d.StaleWhileRevalidate, d.StaleIfError = time.Second, 2*time.Second, 3*time.Second
		}),
		"must-revalidate,proxy-revalidate,must-understand,only-if-cached,no-transform,min-fresh=1": with(func(d *Directives) {
			d.MustRevalidate, d.ProxyRevalidate, d.MustUnderstand, d.OnlyIfCached, d.NoTransform = true, true, true, true, true
			d.MinFresh = time.Second
		}),
	} {
		if got := Parse([]string{line}); got != want {
			t.Errorf("%q: %+v, want %+v", line, got, want)
		}
	}
	if got := Parse([]string{"public", "max-age=5"}); !got.Public || got.MaxAge != 5*time.Second {
		t.Errorf("two lines: %+v", got)
	}
}

// FuzzParse: no crash, no duration beyond the bounds, and what is forbidden stays forbidden whatever is in front of it,
// unless it is inside of a quoted string.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"max-age=5", `private="x, y"`, `a="b\"`, "no-store,,", "=", "\"", "max-age=99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		d := Parse([]string{line})
		for _, v := range []time.Duration{d.MaxAge, d.SMaxAge, d.StaleWhileRevalidate, d.StaleIfError, d.MinFresh, d.MaxStale} {
			if v < -1 || v > longest || v > 0 && v%time.Second != 0 {
				t.Errorf("%q: %v", line, v)
			}
		}
		if !strings.Contains(line, `"`) && !Parse([]string{line + ", no-store"}).NoStore {
			t.Errorf("%q hides no-store", line)
		}
		if !Parse([]string{line, "no-store"}).NoStore {
			t.Errorf("%q hides no-store of the next line", line)
		}
		if d != Parse([]string{strings.ToUpper(line)}) && !strings.ContainsFunc(line, func(r rune) bool { return r > 127 }) {
			t.Errorf("%q depends on the case", line)
		}
	})
}

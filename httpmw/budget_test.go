package httpmw

import (
	"net/http"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

func TestBudgetSyntax(t *testing.T) {
	for _, tt := range []struct {
		field, text string
		want        time.Duration // core.Never: unreadable
	}{
		{fieldRequestTimeout, "1500", 1500 * time.Millisecond},
		{fieldRequestTimeout, "1500ms", 1500 * time.Millisecond},
		{fieldRequestTimeout, "1.5s", 1500 * time.Millisecond},
		{fieldRequestTimeout, "1m30s", 90 * time.Second},
		{fieldRequestTimeout, "0", 0},
		{fieldRequestTimeout, "007", 7 * time.Millisecond},
		{fieldRequestTimeout, "99999999999999999999", core.Never},
		{fieldRequestTimeout, "9999999999999999999s", core.Never},
		{fieldRequestTimeout, "", core.Never},
		{fieldRequestTimeout, "-1", core.Never},
		{fieldRequestTimeout, "-1s", core.Never},
		{fieldRequestTimeout, "+1s", core.Never},
		{fieldRequestTimeout, "1e3", core.Never},
		{fieldRequestTimeout, "1.5", core.Never},
		{fieldRequestTimeout, " 1s", core.Never},
		{fieldRequestTimeout, "soon", core.Never},
		{fieldRequestTimeout, "0.000000000000000000000000000000001s", core.Never},
		{fieldGRPCTimeout, "1H", time.Hour},
		{fieldGRPCTimeout, "2M", 2 * time.Minute},
		{fieldGRPCTimeout, "3S", 3 * time.Second},
		{fieldGRPCTimeout, "4m", 4 * time.Millisecond},
		{fieldGRPCTimeout, "5u", 5 * time.Microsecond},
		{fieldGRPCTimeout, "6n", 6},
		{fieldGRPCTimeout, "99999999H", core.Never},
		{fieldGRPCTimeout, "123456789n", core.Never}, // nine digits
		{fieldGRPCTimeout, "S", core.Never},
		{fieldGRPCTimeout, "1", core.Never},
		{fieldGRPCTimeout, "1s", core.Never},
		{fieldGRPCTimeout, "-1S", core.Never},
		{fieldGRPCTimeout, "1.5S", core.Never},
		{fieldGRPCTimeout, "", core.Never},
	} {
		h := http.Header{tt.field: {tt.text}}
		equal(t, tt.field+" "+tt.text, budgetOf(h, tt.field, parserOf(tt.field)), tt.want)
	}
	twice := http.Header{fieldRequestTimeout: {"1s", "2s"}}
	equal(t, "twice", budgetOf(twice, fieldRequestTimeout, parseBudget), core.Never)
}

// What is written is read as the same or a little less, never more: a budget must not grow on its way.
func FuzzBudget(f *testing.F) {
	for _, s := range []string{"1500", "1.5s", "1m30s", "99999999H", "3S", "99999999999999999999", "-1", ""} {
		f.Add(s, int64(1500))
	}
	f.Add("1", int64(1)<<62)
	f.Fuzz(func(t *testing.T, text string, ns int64) {
		for _, field := range []string{fieldRequestTimeout, fieldGRPCTimeout} {
			if d := budgetOf(http.Header{field: {text}}, field, parserOf(field)); d < 0 {
				t.Errorf("%s %q: %v", field, text, d)
			}
		}
		d := time.Duration(ns)
		if d < 0 {
			return
		}
		got, ok := parseBudget(formatBudget(d))
		if !ok || got > max(d, time.Millisecond) || d-got > time.Millisecond {
			t.Errorf("%v: %q, %v", d, formatBudget(d), got)
		}
		written := formatGRPCTimeout(d)
		got, ok = parseGRPCTimeout(written)
		if !ok || got > max(d, 1) || d < 3*time.Hour && d-got > max(1, d/10_000_000) {
			t.Errorf("%v: %q, %v", d, written, got)
		}
	})
}

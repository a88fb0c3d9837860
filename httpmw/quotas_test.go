package httpmw

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// TestQuotas walks the table above the type.
func TestQuotas(t *testing.T) {
	const sec = time.Second
	var s quotas
	at := func(d time.Duration) core.Time { return core.Time(-1000 * sec).Add(d) }
	take := func(row string, now, wait time.Duration, number uint64) {
		t.Helper()
		n, w := s.take(at(now))
		equal(t, row+": number", n, number)
		equal(t, row+": wait", w, wait)
	}
	learn := func(now time.Duration, name string, sent uint64, r int64, reset time.Duration, q int64, w time.Duration) {
		s.learn(at(now), quota{name: name, left: r, sent: sent, reset: at(now + reset), amount: q, window: w})
	}
	take("T3", 0, 0, 1)
	learn(0, "burst", 1, 2, 10*sec, 0, 0)
	take("T3", sec, 0, 2)
	take("T3", sec, 0, 3)
	take("T2", sec, 9*sec, 0)
	learn(2*sec, "burst", 3, 1, 8*sec, 0, 0)
	take("L2", 2*sec, 0, 4)
	learn(2*sec, "burst", 2, 9, 8*sec, 0, 0)
	take("L3", 2*sec, 8*sec, 0)
	learn(2*sec, "burst", 3, 2, 8*sec, 0, 0) // one of the two is under way
	take("L2", 2*sec, 0, 5)
	take("L2", 2*sec, 8*sec, 0)
	learn(3*sec, "burst", 5, 0, 0, 0, 0)
	take("L4", 3*sec, 0, 6)
	learn(4*sec, "burst", 6, 0, 6*sec, 0, 0)
	take("R2", 10*sec, 0, 7)
	equal(t, "R2: policies", len(s.policies), 0)

	learn(10*sec, "burst", 7, 0, 5*sec, 2, 10*sec)
	learn(10*sec, "daily", 7, 5, 3*sec, 0, 0)
	take("R1", 15*sec, 0, 8)
	take("R1", 15*sec, 0, 9)
	take("R1", 15*sec, 10*sec, 0)
	take("R1, windows later", 47*sec, 0, 10)
	equal(t, "reset", s.policies[0].reset, at(55*sec))
	equal(t, "idle", s.idle(at(55*sec)), false)
	equal(t, "idle after a window of nothing", s.idle(at(65*sec)), true)

	learn(70*sec, "burst", 10, 0, 100*sec, 0, 0)
	s.hold(at(70*sec), 20*sec)
	take("T1", 75*sec, 15*sec, 0)
	s.hold(at(75*sec), sec)
	take("T1, a shorter one", 75*sec, 15*sec, 0)
	take("L1", 90*sec, 0, 11)
}

func TestQuotasClockRunsBackwards(t *testing.T) {
	var s quotas
	s.learn(100, quota{name: "a", left: 0, reset: 200})
	if _, wait := s.take(50); wait != 150 {
		t.Errorf("wait %v", wait)
	}
	if _, wait := s.take(199); wait != 1 {
		t.Errorf("wait %v", wait)
	}
}

func TestQuotasAreBounded(t *testing.T) {
	var s quotas
	for i := range 100 {
		s.learn(1, quota{name: fmt.Sprint(i), left: 1, reset: 100})
	}
	equal(t, "policies", len(s.policies), maxPolicies)
}

func quotaFields(limit, policy string) http.Header {
	h := http.Header{}
	if limit != "" {
		h[fieldRateLimit] = []string{limit}
	}
	if policy != "" {
		h[fieldRateLimitPolicy] = []string{policy}
	}
	return h
}

func TestRateLimitFields(t *testing.T) {
	for _, c := range []struct {
		limit, policy string
		ok            bool
		want          string // name left reset amount window
	}{
		{`"burst";r=50;t=30`, `"burst";q=100;w=60, "daily";q=1000;w=86400`, true, "burst 50 30s 100 1m0s"},
		{`"burst";r=50;t=30, "daily";r=7;t=100`, `"burst";q=100;w=60;pk=:dA==:`, true, "burst 50 30s 100 1m0s|daily 7 1m40s 0 0s"},
		{`"b";r=0;t=5;vendor-x="y"`, "", true, "b 0 5s 0 0s"},
		{`"b";r=0;t=5`, `"b";q=10;qu="requests";w=5`, true, "b 0 5s 10 5s"},
		{`"b";r=0;t=5`, `"b";q=10;qu="content-bytes";w=5`, true, ""},
		{`"b";r=0;t=5`, `"b";q=10;qu="concurrent-requests"`, true, ""},
		{`"b";r=0;t=99999999999`, "", true, "b 0 5m0s 0 0s"},
		{`"b";r=0;t=999999999999999`, `"b";q=1;w=999999999999999`, true, "b 0 5m0s 0 0s"},
		{`"b";r=0`, "", true, ""},
		{`"b";r=0;t=0`, "", true, ""},
		{`"b";r=0;t=5`, `"b";q=0;w=-1`, true, "b 0 5s 0 0s"},
		{"", "", true, ""},
		{`"b";t=5`, "", false, ""}, {`"b";r=-1;t=5`, "", false, ""}, {`"b";r=1.5;t=5`, "", false, ""}, {`"b";r="1";t=5`, "", false, ""},
		{`"b";r=1;t=-1`, "", false, ""}, {`"b";r=1;t=x`, "", false, ""}, {`b;r=1;t=1`, "", false, ""}, {`"";r=1;t=1`, "", false, ""},
		{`("b");r=1;t=1`, "", false, ""}, {`"a";r=0;t=5, "b"`, "", false, ""}, {`"a";r=0;t=5`, `"a`, false, ""},
		{`"a";r=1;t=5, "` + strings.Repeat("b", maxFieldBytes) + `";r=1;t=5`, "", false, ""},
		{`limit=100, remaining=50, reset=5`, "", false, ""}, {`100`, "", false, ""},
	} {
		var d said
		var s quotas
		equal(t, c.limit+" ok", d.read(&s, 1, 0, quotaFields(c.limit, c.policy), 5*time.Minute), c.ok)
		var got []string
		for _, p := range s.policies {
			got = append(got, fmt.Sprintf("%s %d %v %d %v", p.name, p.left, p.reset.Sub(1), p.amount, p.window))
		}
		equal(t, c.limit+" with "+c.policy, strings.Join(got, "|"), c.want)
	}
}

// FuzzRateLimitFields holds that whatever servers say, nobody waits longer than MaxHold, and a field is believed whole or not
// at all.
func FuzzRateLimitFields(f *testing.F) {
	f.Add(`"burst";r=50;t=30`, `"burst";q=100;w=60, "daily";q=1000;w=86400`, int64(7), uint8(3))
	f.Add(`"b";r=0;t=99999999999`, `"b";q=1;w=1`, int64(-7), uint8(9))
	f.Fuzz(func(t *testing.T, limit, policy string, start int64, sends uint8) {
		const most = 5 * time.Minute
		var d said
		var s quotas
		now := core.Time(start)
		for range 3 {
			before := len(s.policies)
			ok := d.read(&s, now, s.sent, quotaFields(limit, policy), most)
			if !ok && len(s.policies) != before {
				t.Fatalf("%q: half of it is believed", limit)
			}
			for range sends {
				if _, wait := s.take(now); wait < 0 || wait > most {
					t.Fatalf("%q, %q: wait %v", limit, policy, wait)
				}
				now = now.Add(time.Second)
			}
			if len(s.policies) > maxPolicies {
				t.Fatalf("%d policies", len(s.policies))
			}
		}
	})
}

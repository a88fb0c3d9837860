package budget

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// step is one thing that happens at a time, and the balance and the answer after it.
type step struct {
	at      time.Duration
	do      string
	balance float64
	ok      bool // of a withdrawal
}

// rows are those of the table in doc.go, in its order: the text in front of the effect, and steps that show it.
var rows = []struct {
	text  string
	c     Config
	steps []step
}{
	{"success    End(Success)", Config{Size: 2}, []step{
		{0, "withdraw", 1, true}, {0, "success", 1.1, false}, {time.Hour, "success", 1.2, false},
	}},
	{"success    Withdraw, 1 token or more", Config{Size: 2}, []step{{0, "withdraw", 1, true}, {0, "withdraw", 0, true}}},
	{"success    Withdraw, less than 1 token", Config{Size: 1}, []step{
		{0, "withdraw", 0, true}, {0, "withdraw", 0, false}, {0, "9 success", 0.9, false}, {0, "withdraw", 0.9, false},
		{0, "success", 1, false}, {0, "withdraw", 0, true},
	}},
	{"success    Refund", Config{Size: 2}, []step{
		{0, "withdraw", 1, true}, {0, "success", 1.1, false}, {0, "refund", 2, false}, {0, "success", 2, false},
	}},
	{"window     Begin", Config{Rule: Window, Reserve: core.None}, []step{
		{0, "begin", 0.1, false}, {5 * time.Second, "9 begin", 1, false}, {10 * time.Second, "look", 0.9, false},
		{15 * time.Second, "look", 0, false},
	}},
	{"window     Withdraw, 1 token or more", Config{Rule: Window}, []step{
		{0, "10 withdraw", 0, true}, {10 * time.Second, "look", 10, false},
	}},
	{"window     Withdraw, less than 1 token", Config{Rule: Window}, []step{
		{0, "10 withdraw", 0, true}, {0, "withdraw", 0, false}, {0, "9 begin", 0.9, false}, {0, "withdraw", 0.9, false},
		{0, "begin", 1, false}, {0, "withdraw", 0, true},
	}},
	{"window     Refund within TTL", Config{Rule: Window}, []step{
		{0, "withdraw", 9, true}, {5 * time.Second, "refund", 10, false}, {10 * time.Second, "look", 10, false},
	}},
	{"window     Refund later", Config{Rule: Window}, []step{
		{0, "withdraw", 9, true}, {10 * time.Second, "refund", 10, false}, {10 * time.Second, "look", 10, false},
	}},
	{"throttle   End(Success)", Config{Rule: Throttle}, []step{
		{0, "success", 10, false}, {0, "failure", 9, false}, {0, "success", 9.1, false},
	}},
	{"throttle   End(Failure, Timeout, Overload)", Config{Rule: Throttle}, []step{
		{0, "failure", 9, false}, {0, "timeout", 8, false}, {0, "overload", 7, false}, {0, "9 failure", 0, false},
	}},
	{"throttle   Withdraw, more than Size/2", Config{Rule: Throttle}, []step{
		{0, "5 failure", 5, false}, {0, "success", 5.1, false}, {0, "9 withdraw", 5.1, true}, {0, "refund", 5.1, false},
	}},
	{"throttle   Withdraw, Size/2 or less", Config{Rule: Throttle}, []step{
		{0, "4 failure", 6, false}, {0, "withdraw", 6, true}, {0, "failure", 5, false}, {0, "withdraw", 5, false},
	}},
	{"unlimited  Withdraw", Config{Rule: Unlimited}, []step{{0, "99 withdraw", 0, true}, {0, "refund", 0, false}}},
}

func outcomeOf(name string) (o core.Outcome) {
	for o.String() != name {
		o++
	}
	return o
}

// do plays a step's operation, repeated as often as the number before it says.
func (m *model) do(op string, now core.Time, at *core.Time) (ok bool) {
	n, name := 1, op
	if _, err := fmt.Sscanf(op, "%d %s", &n, &name); err != nil {
		n, name = 1, op
	}
	for range n {
		switch name {
		case "look":
		case "begin":
			m.begin(now)
		case "withdraw":
			*at = now
			if ok = m.withdraw(now); !ok {
				return false
			}
		case "refund":
			m.refund(*at)
		default:
			m.end(outcomeOf(name))
		}
	}
	return ok
}

func TestMachine(t *testing.T) {
	for _, row := range rows {
		for _, start := range []core.Time{0, -1 << 62, 1 << 61} {
			m, at := newModel(t, row.c, start), start
			for i, s := range row.steps {
				now := start.Add(s.at)
				ok := m.do(s.do, now, &at)
				if got := m.balance(now); math.Abs(got-s.balance) > 1e-9 || ok != s.ok {
					t.Errorf("%s: step %d, %s: balance %v, %v; want %v, %v", row.text, i, s.do, got, ok, s.balance, s.ok)
				}
			}
		}
	}
}

// The rows of the test are those of doc.go, and what is not in its table moves nothing.
func TestMachineHasTheRowsOfTheDoc(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(doc)) {
		for rule := range Unlimited + 1 {
			if text, ok := strings.CutPrefix(line, "//\t"+rule.String()+" "); ok && !strings.HasPrefix(line, "//\tRule") {
				lines = append(lines, rule.String()+" "+text)
			}
		}
	}
	if len(lines) != len(rows) {
		t.Fatalf("%d rows in doc.go, %d here", len(lines), len(rows))
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, rows[i].text) {
			t.Errorf("row %d is %q here and in doc.go %q", i, rows[i].text, line)
		}
	}
	for _, c := range tunings {
		for _, o := range []core.Outcome{core.Canceled, core.Expired, core.Ignored} {
			m := newModel(t, c, 0)
			m.withdraw(0)
			before := m.balance(0)
			if m.end(o); m.balance(0) != before {
				t.Errorf("%v: %v moved tokens", c.Rule, o)
			}
		}
	}
}

func TestRatesAreExact(t *testing.T) {
	for _, tt := range []struct {
		c    Config
		want rates
	}{
		{Config{}, rates{Success, 100_000, 10_000_000, 10_000_000}},
		{Config{Rule: Throttle, Ratio: 0.001, Size: 1_000_000}, rates{Throttle, 1000, 1e12, 10_000_000}},
		{Config{Rule: Window, Ratio: 1, TTL: time.Hour, Reserve: 1_000_000}, rates{Window, token, 10_000_000, 3_600_000_000 * token}},
		{Config{Rule: Window, Ratio: 0.29, TTL: 1500 * time.Millisecond, Reserve: core.None}, rates{Window, 290_000, 10_000_000, 0}},
	} {
		full, err := prepare(tt.c)
		if err != nil {
			t.Fatal(err)
		}
		if got := full.rates(); got != tt.want {
			t.Errorf("%+v: %+v, want %+v", tt.c, got, tt.want)
		}
	}
	r := rates{rule: Window, ratio: token, reserve: 3_600_000_000 * token}
	if got := (&spending{}).balance(&r, math.MaxInt64, 0); got < math.MaxInt64/4 {
		t.Errorf("a balance of %d: it wrapped", got)
	}
}

// strides are how far one op moves the time; some go back.
var strides = []time.Duration{
	1, time.Millisecond, 100 * time.Millisecond, time.Second, 9 * time.Second, 10 * time.Second, time.Hour, -1, -time.Second,
	-time.Hour, 400 * 24 * time.Hour,
}

// FuzzMachine plays op bytes on the model. Whatever the ops, the checks hold after each.
func FuzzMachine(f *testing.F) {
	for i := range byte(9) {
		r := rand.New(rand.NewPCG(uint64(i), 3))
		ops := make([]byte, 400)
		for k := range ops {
			ops[k] = byte(r.Uint32())
		}
		f.Add(i, ops)
	}
	f.Fuzz(func(t *testing.T, start byte, ops []byte) {
		g := &game{t: t, now: core.Time(start) << 50}
		g.model = newModel(t, tunings[int(start)%len(tunings)], g.now)
		for ops = ops[:min(len(ops), 2000)]; len(ops) >= 2; ops = ops[2:] {
			g.op(ops[0], int(ops[1]))
		}
	})
}

// game is a model being fuzzed.
type game struct {
	*model
	t   *testing.T
	now core.Time
	out []core.Time // withdrawals not refunded
}

func (g *game) op(op byte, arg int) {
	before, late := g.parts(g.now), g.now < g.spent.last
	switch op % 8 {
	case 0, 1:
		ok := g.withdraw(g.now)
		if ok {
			g.out = append(g.out, g.now)
		}
		g.judge(before, ok, late)
	case 2:
		if len(g.out) == 0 {
			return
		}
		at := g.out[arg%len(g.out)]
		g.out[arg%len(g.out)] = g.out[len(g.out)-1]
		g.out = g.out[:len(g.out)-1]
		g.refund(at)
		if got := g.parts(g.now); got > before+token && !late {
			g.t.Fatalf("a refund gave %d", got-before)
		}
	case 3:
		g.begin(g.now)
	case 4:
		g.end(core.Outcome(arg % core.Outcomes))
		if got := g.parts(g.now); got > before+g.r.ratio || got < before-token {
			g.t.Fatalf("an outcome moved the balance from %d to %d", before, got)
		}
	case 5, 6:
		g.now = g.now.Add(strides[arg%len(strides)])
	case 7:
		g.tune(g.t, tunings[arg%len(tunings)], g.now)
		g.out = nil
	}
	if g.bucket < 0 || g.bucket > bucket(g.r.size) {
		g.t.Fatalf("%d in a bucket of %d", g.bucket, g.r.size)
	}
}

// judge checks a withdrawal against the balance before it.
func (g *game) judge(before int64, ok, late bool) {
	var want bool
	cost := int64(token)
	switch g.c.Rule {
	case Unlimited:
		want, cost = true, 0
	case Throttle:
		want, cost = before > g.r.size/2, 0
	default:
		want = before >= token
	}
	if !ok {
		cost = 0
	}
	if ok != want {
		g.t.Fatalf("%v with a balance of %d: allowed %v", g.c.Rule, before, ok)
	}
	if got := g.parts(g.now); got != before-cost && !late {
		g.t.Fatalf("the balance went from %d to %d, allowed %v", before, got, ok)
	}
}

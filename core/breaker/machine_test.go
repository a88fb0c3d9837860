package breaker

import (
	"math"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
)

// row is one row of the table in doc.go, played as steps on the model.
type row struct {
	name   string
	config Config
	steps  []step
}

// step is one thing that happens at a time, and what must be true after it.
type step struct {
	at    time.Duration // since the start
	do    func(*play)
	state State
	want  core.Reason   // of a call
	after time.Duration // of a call
}

// play is a model with the names of its permits.
type play struct {
	*model
	now     core.Time
	permits map[string]*modelPermit
	reason  core.Reason
	after   time.Duration
}

func calls(names ...string) func(*play) {
	return func(p *play) {
		for _, name := range names {
			p.permits[name], p.reason, p.after = p.acquire(p.now)
		}
	}
}

func ends(o core.Outcome, names ...string) func(*play) {
	return func(p *play) {
		for _, name := range names {
			p.settle(p.permits[name], p.now, o)
		}
	}
}

// results makes n calls that end at once.
func results(o core.Outcome, n int) func(*play) {
	return func(p *play) {
		for range n {
			var permit *modelPermit
			if permit, p.reason, p.after = p.acquire(p.now); permit != nil {
				p.settle(permit, p.now, o)
			}
		}
	}
}

func trips(d time.Duration) func(*play) { return func(p *play) { p.trip(p.now, d) } }
func resets(p *play)                    { p.reset(p.now) }

const (
	sec                   = time.Second
	success, failure      = core.Success, core.Failure
	isOpen, isProbing     = core.ReasonOpen, core.ReasonProbing
	overload, canceled    = core.Overload, core.Canceled
	timeout, none, expire = core.Timeout, core.Ignored, core.Expired
)

// Two calls that both fail open the breaker of these rows for 10s; three probes, two at once, two successes close it.
var plain = Config{MinCalls: 2, OpenFor: 10 * sec, Jitter: core.None, Probes: 3, ProbesAtOnce: 2, ProbeSuccesses: 2}

var inARow = Config{FailureRate: core.None, ConsecutiveFailures: 3, OpenFor: 10 * sec, Jitter: core.None}

var rows = []row{
	{"C1", plain, []step{{0, calls("a", "b", "c"), Closed, 0, 0}}},
	{"C2", inARow, []step{
		{0, results(failure, 2), Closed, 0, 0}, {1 * sec, results(success, 1), Closed, 0, 0},
		{2 * sec, results(failure, 2), Closed, 0, 0}, {3 * sec, results(failure, 1), Open, 0, 0},
	}},
	{"C3", plain, []step{{0, results(failure, 1), Closed, 0, 0}, {11 * sec, results(failure, 1), Closed, 0, 0}}},
	{"C4", plain, []step{
		{0, results(success, 1), Closed, 0, 0}, {1 * sec, results(failure, 1), Open, 0, 0},
	}},
	{"C5", inARow, []step{
		{0, results(failure, 1), Closed, 0, 0}, {3600 * sec, results(failure, 1), Closed, 0, 0},
		{7200 * sec, results(core.Timeout, 1), Open, 0, 0},
	}},
	{"C6", plain, []step{
		{0, results(overload, 9), Closed, 0, 0}, {0, results(canceled, 9), Closed, 0, 0},
		{0, results(expire, 9), Closed, 0, 0}, {0, results(none, 9), Closed, 0, 0},
		{0, results(failure, 1), Closed, 0, 0}, {0, results(timeout, 1), Open, 0, 0},
	}},
	{"O1", plain, []step{
		{0, results(failure, 2), Open, 0, 0}, {0, calls("a"), Open, isOpen, 10 * sec},
		{4 * sec, calls("a"), Open, isOpen, 6 * sec}, {10*sec - 1, calls("a"), Open, isOpen, 1},
	}},
	{"O2", plain, []step{{0, results(failure, 2), Open, 0, 0}, {10 * sec, calls("a"), HalfOpen, 0, 0}}},
	{"H1", plain, []step{
		{0, results(failure, 2), Open, 0, 0}, {10 * sec, calls("a", "b"), HalfOpen, 0, 0},
		{11 * sec, ends(success, "a"), HalfOpen, 0, 0}, {12 * sec, calls("c"), HalfOpen, 0, 0},
	}},
	{"H2", plain, []step{
		{0, results(failure, 2), Open, 0, 0}, {10 * sec, calls("a", "b"), HalfOpen, 0, 0},
		{10 * sec, calls("c"), HalfOpen, isProbing, 1 * sec}, {20*sec - 1, calls("c"), HalfOpen, isProbing, 1e6},
	}},
	{"H3", Config{MinCalls: 2, OpenFor: 10 * sec, Jitter: core.None, Probes: 2, ProbesAtOnce: 2}, []step{
		{0, results(failure, 2), Open, 0, 0}, {10 * sec, calls("a", "b"), HalfOpen, 0, 0},
		{11 * sec, ends(success, "a"), HalfOpen, 0, 0}, {11 * sec, calls("c"), HalfOpen, isProbing, 1 * sec},
	}},
	{"H4", plain, []step{
		{0, results(failure, 2), Open, 0, 0}, {10 * sec, calls("a", "b"), HalfOpen, 0, 0},
		{20 * sec, calls("c"), Open, isOpen, 10 * sec}, {30 * sec, calls("d"), HalfOpen, 0, 0},
		{31 * sec, ends(success, "a", "b"), HalfOpen, 0, 0},
	}},
	{"H5", plain, []step{
		{0, results(failure, 2), Open, 0, 0}, {10 * sec, results(success, 1), HalfOpen, 0, 0},
	}},
	{"H6", plain, []step{
		{0, results(failure, 2), Open, 0, 0}, {10 * sec, results(success, 2), Closed, 0, 0},
		{11 * sec, results(failure, 1), Closed, 0, 0},
	}},
	{"H7", plain, []step{
		{0, results(failure, 2), Open, 0, 0}, {10 * sec, results(failure, 1), HalfOpen, 0, 0},
		{11 * sec, results(success, 2), Closed, 0, 0},
	}},
	{"H8", plain, []step{
		{0, results(failure, 2), Open, 0, 0}, {10 * sec, results(failure, 2), Open, 0, 0},
		{10 * sec, calls("a"), Open, isOpen, 10 * sec},
	}},
	{"H9", plain, []step{
		{0, results(failure, 2), Open, 0, 0}, {10 * sec, results(canceled, 1000), HalfOpen, 0, 0},
		{10 * sec, results(overload, 30), HalfOpen, 0, 0}, {10 * sec, results(success, 2), Closed, 0, 0},
	}},
	{"H10", plain, []step{
		{0, results(failure, 2), Open, 0, 0}, {10 * sec, results(none, 31), HalfOpen, 0, 0},
		{10 * sec, results(none, 1), Closed, 0, 0},
	}},
	{"E1", plain, []step{
		{0, calls("old", "older"), Closed, 0, 0}, {0, results(failure, 2), Open, 0, 0},
		{1 * sec, ends(failure, "older"), Open, 0, 0}, {2 * sec, calls("a"), Open, isOpen, 8 * sec},
		{10 * sec, calls("a"), HalfOpen, 0, 0}, {11 * sec, ends(success, "old"), HalfOpen, 0, 0},
		{11 * sec, ends(success, "a"), HalfOpen, 0, 0},
	}},
	{"T1", plain, []step{
		{0, trips(30 * sec), Open, 0, 0}, {1 * sec, calls("a"), Open, isOpen, 29 * sec},
		{30 * sec, calls("a"), HalfOpen, 0, 0}, {31 * sec, trips(-1), Open, 0, 0},
		{31 * sec, calls("b"), Open, isOpen, time.Millisecond}, {32 * sec, ends(success, "a"), Open, 0, 0},
		{33 * sec, resets, Closed, 0, 0}, {33 * sec, trips(time.Hour), Open, 0, 0},
		{33 * sec, calls("c"), Open, isOpen, 300 * sec},
	}},
	{"T2", plain, []step{
		{0, results(failure, 2), Open, 0, 0}, {5 * sec, trips(60 * sec), Open, 0, 0},
		{10 * sec, calls("a"), Open, isOpen, 55 * sec}, {11 * sec, trips(1 * sec), Open, 0, 0},
		{12 * sec, calls("a"), HalfOpen, 0, 0},
	}},
	{"R1", plain, []step{
		{0, calls("old"), Closed, 0, 0}, {0, results(failure, 1), Closed, 0, 0}, {1 * sec, resets, Closed, 0, 0},
		{1 * sec, ends(failure, "old"), Closed, 0, 0}, {1 * sec, results(failure, 1), Closed, 0, 0},
		{1 * sec, results(failure, 1), Open, 0, 0}, {2 * sec, resets, Closed, 0, 0},
		{2 * sec, results(failure, 1), Closed, 0, 0},
	}},
}

// starts are moments at which a breaker may be born: only differences of time mean anything.
var starts = []core.Time{0, 1, -1, 1e18, -8e17, math.MinInt64 + 1, math.MinInt64/2 - 7, math.MaxInt64 - core.Time(4*time.Hour)}

func TestTable(t *testing.T) {
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			for _, start := range starts {
				r.run(t, start)
			}
		})
	}
}

func (r row) run(t *testing.T, start core.Time) {
	p := &play{model: newModel(r.config, start), permits: map[string]*modelPermit{}}
	for i, s := range r.steps {
		before := p.m
		p.now, p.reason, p.after = start.Add(s.at), 0, 0
		s.do(p)
		check(t, p.m, &p.config)
		checkProbes(t, p.m, &p.config)
		if p.m.since < before.since {
			t.Errorf("start %d, step %d: since went back", start, i)
		}
		if p.m.state != s.state || p.reason != s.want || p.after != s.after {
			t.Errorf("start %d, step %d (at %v): %v, %v, after %v; want %v, %v, after %v",
				start, i, s.at, p.m.state, p.reason, p.after, s.state, s.want, s.after)
		}
	}
}

func TestTableIsThatOfTheDoc(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, m := range regexp.MustCompile(`(?m)^//\t([COHETR]\d+) `).FindAllSubmatch(doc, -1) {
		want = append(want, string(m[1]))
	}
	for _, r := range rows {
		got = append(got, r.name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the rows tested are\n%v, those of doc.go\n%v", got, want)
	}
}

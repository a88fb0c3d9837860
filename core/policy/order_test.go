package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/adaptive"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/fallback"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/throttle"
	"github.com/mw-go/mw/core/timeout"
)

// dependency is settings for a stack with everything in it.
func dependency() Config {
	return Config{
		Timeouts:       map[string]timeout.Config{"db": {Limit: 2 * time.Second}, "db-attempt": {Limit: 500 * time.Millisecond}},
		Retries:        map[string]retry.Config{"db": {}, "other": {}},
		Hedges:         map[string]hedge.Config{"db": {Delay: 50 * time.Millisecond}, "other": {}},
		Throttles:      map[string]throttle.Config{"db": {}},
		RateLimits:     map[string]ratelimit.Config{"db": {Limit: 1000}},
		Breakers:       map[string]breaker.Config{"db": {}},
		Bulkheads:      map[string]bulkhead.Config{"db": {Limit: 10}},
		AdaptiveLimits: map[string]adaptive.Config{"db": {}},
	}
}

// pieces makes machines for orders: by the names used below.
func pieces(t *testing.T, s *Set) func(names ...string) []core.Machine {
	shared := must[core.Machine](t)
	b, err := s.Budget("db")
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.Budget("other")
	if err != nil {
		t.Fatal(err)
	}
	machines := map[string]core.Machine{
		"total":      shared(s.Timeout("db", timeout.Hooks{})),
		"attempt":    shared(s.Timeout("db-attempt", timeout.Hooks{})),
		"retry":      shared(s.Retry("db", retry.Hooks{Budget: b})),
		"retry2":     shared(s.Retry("other", retry.Hooks{Budget: other})),
		"hedge":      shared(s.Hedge("db", hedge.Hooks{Budget: b})),
		"hedge2":     shared(s.Hedge("other", hedge.Hooks{Budget: other})),
		"hedge-poor": shared(s.Hedge("poor", hedge.Hooks{})),
		"hedge-out":  shared(s.Hedge("out", hedge.Hooks{Budget: b, Outermost: true})),
		"throttle":   shared(s.Throttle("db", core.Hooks{})),
		"limit":      shared(s.RateLimit("db", core.Hooks{})),
		"breaker":    shared(s.Breaker("db", core.Hooks{})),
		"bulkhead":   shared(s.Bulkhead("db", core.Hooks{})),
		"adaptive":   shared(s.AdaptiveLimit("db", core.Hooks{})),
		"fallback":   shared(s.Fallback("db", fallback.Hooks{})),
	}
	return func(names ...string) (list []core.Machine) {
		for _, name := range names {
			m, ok := machines[name]
			if !ok {
				t.Fatalf("no part %q", name)
			}
			list = append(list, m)
		}
		return list
	}
}

// Every rule refuses what it is for, says why, and lets the order beside it pass.
func TestOrders(t *testing.T) {
	for _, tt := range []struct {
		name  string
		order string
		want  []string // each in a line of its own; none: the order is fine
	}{
		{"the recommended order of a client", "total retry hedge throttle limit breaker bulkhead attempt", nil},
		{"the recommended order of a server", "total limit adaptive bulkhead breaker", nil},
		{"one guard", "breaker", nil},
		{"a hedge alone", "hedge-out", nil},
		{"two retries", "retry retry2", []string{`retry "db" outside retry "other": their attempts multiply`}},
		{"two hedges", "retry hedge hedge2", []string{
			`hedge "db" outside hedge "other": their attempts multiply`, `retry "db" outside hedge "other": they have two Budgets`,
		}},
		{"the same retry twice", "retry breaker retry", []string{
			`retry "db" outside retry "db": it is the same one twice`, `breaker "db" outside retry "db": it would hear of one call`,
		}},
		{"the same guard twice", "breaker breaker", []string{`breaker "db" outside breaker "db": it is the same one twice`}},
		{"a retry in a hedge", "hedge retry", []string{`hedge "db" outside retry "db": every extra attempt would have retries`}},
		{"a hedge without a budget", "retry hedge-poor", []string{`hedge "poor": it has no Budget`}},
		{"a hedge alone without a budget", "hedge-poor", []string{`hedge "poor": it has no Budget`}},
		{"a hedge with a budget of its own", "retry hedge2", []string{`retry "db" outside hedge "other": they have two Budgets`}},
		{"a hedge alone that tells nobody", "hedge", []string{`hedge "db": no retry is in the stack`}},
		{"a hedge in a retry that tells as well", "retry hedge-out", []string{`retry "db" outside hedge "out": both would tell`}},
		{"a breaker outside", "breaker retry", []string{`breaker "db" outside retry "db": it would hear of one call`}},
		{"a limit outside", "limit retry", []string{`ratelimit "db" outside retry "db": it would count one call`}},
		{"a bulkhead outside", "bulkhead hedge-out", []string{`bulkhead "db" outside hedge "out": a slot would be held`}},
		{"an adaptive limit outside", "adaptive retry", []string{`adaptive "db" outside retry "db": it would take delays`}},
		{"a throttle outside", "throttle retry", []string{`throttle "db" outside retry "db": it would hear of one call`}},
		{"an attempt longer than the whole", "attempt retry total", []string{`timeout "db-attempt" outside timeout "db": the inner 2s`}},
		{"something that runs more than a function", "total fallback", []string{`fallback "db" cannot be part of a stack`}},
		{"nothing", "", []string{"a stack of no machines"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := set(t, dependency(), nil)
			_, err := s.Stack(nil, pieces(t, s)(strings.Fields(tt.order)...)...)
			lines := []string{}
			if err != nil {
				lines = strings.Split(err.Error(), "\n")
			}
			if len(lines) != len(tt.want) {
				t.Fatalf("%d faults, want %d:\n%v", len(lines), len(tt.want), err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), "policy: "+want) {
					t.Errorf("not refused with %q:\n%v", want, err)
				}
			}
			var order *OrderError
			if strings.Contains(fmt.Sprint(err), " outside ") != errors.As(err, &order) {
				t.Errorf("an OrderError: %v", order)
			}
		})
	}
	s := set(t, dependency(), nil)
	if _, err := s.Stack(nil, (*breaker.Breaker)(nil)); err == nil || !strings.Contains(err.Error(), "machine 1 of the stack is nil") {
		t.Error(err)
	}
	if _, err := s.Stack(nil, nil); err == nil || !strings.Contains(err.Error(), "machine 1 of the stack is nil") {
		t.Error(err)
	}
}

// What a stack was checked for at first it is checked for at every reload, and a refused one leaves everything as it was.
func TestOrderAndReloads(t *testing.T) {
	for _, tt := range []struct {
		name string
		tune func(*Config)
		want string
	}{
		{"a total as short as an attempt", func(c *Config) {
			c.Timeouts["db"] = timeout.Config{Limit: 500 * time.Millisecond}
		}, `timeout "db" outside timeout "db-attempt": the inner 500ms can never be over before the outer 500ms`},
		{"a total shorter than the hedge's delay", func(c *Config) {
			c.Hedges["db"] = hedge.Config{Delay: 3 * time.Second}
		}, `timeout "db" outside hedge "db": the time of 2s is over before the hedge's delay of 3s`},
		{"an attempt shorter than the hedge's delay", func(c *Config) {
			c.Hedges["db"] = hedge.Config{Delay: 500 * time.Millisecond}
		}, `hedge "db" outside timeout "db-attempt": an attempt ends after 500ms`},
		{"an attempt shorter than the least delay of a quantile", func(c *Config) {
			c.Hedges["db"] = hedge.Config{Min: 600 * time.Millisecond}
		}, `hedge "db" outside timeout "db-attempt": an attempt ends after 500ms, before the hedge's delay of 600ms`},
		{"a retry's attempt as long as the whole", func(c *Config) {
			c.Retries["db"] = retry.Config{AttemptTimeout: 2 * time.Second}
		}, `timeout "db" outside retry "db": an attempt of 2s leaves no time`},
		{"a retry's attempt shorter than the hedge's delay", func(c *Config) {
			c.Retries["db"] = retry.Config{AttemptTimeout: 40 * time.Millisecond}
		}, `retry "db" outside hedge "db": the time of 40ms is over before the hedge's delay of 50ms`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := set(t, dependency(), nil)
			if _, err := s.Stack(nil, pieces(t, s)(strings.Fields("total retry hedge breaker attempt")...)...); err != nil {
				t.Fatal(err)
			}
			c := dependency()
			c.Breakers["db"] = breaker.Config{MinCalls: 7}
			tt.tune(&c)
			err := s.Tune(c)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if b := must[*breaker.Breaker](t)(s.Breaker("db", core.Hooks{})); b.Config().MinCalls == 7 {
				t.Error("a refused Tune changed something")
			}
			if fresh := set(t, c, nil); true {
				if _, err := fresh.Stack(nil, pieces(t, fresh)(strings.Fields("total retry hedge breaker attempt")...)...); err == nil {
					t.Error("not refused at first")
				}
			}
		})
	}
}

// Times of a policy that is disabled do no harm, and settings beside the stack are not its business.
func TestOrderLeavesAloneWhatIsOff(t *testing.T) {
	s := set(t, dependency(), nil)
	if _, err := s.Stack(nil, pieces(t, s)(strings.Fields("total retry hedge breaker attempt")...)...); err != nil {
		t.Fatal(err)
	}
	c := dependency()
	c.Hedges["db"] = hedge.Config{Delay: 3 * time.Second, Mode: core.Disabled}
	c.Hedges["other"] = hedge.Config{Delay: 3 * time.Second}
	if err := s.Tune(c); err != nil {
		t.Error(err)
	}
	c = dependency()
	c.Timeouts["db-attempt"] = timeout.Config{Limit: time.Hour, Mode: core.Disabled}
	if err := s.Tune(c); err != nil {
		t.Error(err)
	}
}

// Machines that are not of the set are judged by the settings they have.
func TestOrderOfStrangers(t *testing.T) {
	s := set(t, dependency(), nil)
	total := must[*timeout.Timeout](t)(timeout.New("mine", timeout.Config{Limit: 10 * time.Millisecond}, timeout.Hooks{}))
	r := must[*retry.Retry](t)(retry.New("mine", retry.Config{}, retry.Hooks{}))
	h := must[*hedge.Hedge](t)(hedge.New("mine", hedge.Config{Delay: time.Second}, hedge.Hooks{Budget: r.Budget()}))
	if _, err := s.Stack(nil, total, r, h); err == nil || !strings.Contains(err.Error(), "the hedge's delay of 1s") {
		t.Error(err)
	}
}

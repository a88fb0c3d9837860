package policy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/adaptive"
	"github.com/mw-go/mw/core/budget"
	"github.com/mw-go/mw/core/fallback"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/throttle"
	"github.com/mw-go/mw/core/timeout"
)

// Runners and budgets are named, made, tuned and checked as guards are.
func TestRunnersAndBudgets(t *testing.T) {
	var events []string
	s := set(t, Config{
		Retries:   map[string]retry.Config{"payments": {MaxAttempts: 2, Base: time.Millisecond}},
		Budgets:   map[string]budget.Config{"payments": {Size: 3}},
		Timeouts:  map[string]timeout.Config{"payments": {Limit: time.Second}},
		Fallbacks: map[string]fallback.Config{"stale": {Limit: 5}},

		AdaptiveLimits: map[string]adaptive.Config{"shop": {MaxLimit: 7}},
		Throttles:      map[string]throttle.Config{"payments": {Mode: core.Shadow}},
	}, func(e core.Event) { events = append(events, string(e.By.Kind)+" "+e.By.Name+" "+e.Type.String()) })
	b := must[*budget.Budget](t)(s.Budget("payments"))
	r := must[*retry.Retry](t)(s.Retry("payments", retry.Hooks{Budget: b}))
	to := must[*timeout.Timeout](t)(s.Timeout("payments", timeout.Hooks{}))
	limit := must[*adaptive.Limiter](t)(s.AdaptiveLimit("shop", adaptive.Hooks{}))
	throttled := must[*throttle.Throttle](t)(s.Throttle("payments", throttle.Hooks{}))
	if limit.Config().MaxLimit != 7 || throttled.Config().Mode != core.Shadow {
		t.Error("the guards have not their settings")
	}
	f := must[*fallback.Fallback](t)(s.Fallback("stale", fallback.Hooks{}))
	if r.Config().MaxAttempts != 2 || b.Config().Size != 3 || to.Config().Limit != time.Second || f.Config().Limit != 5 {
		t.Error("the machines have not their settings")
	}
	if again := must[*retry.Retry](t)(s.Retry("payments", retry.Hooks{})); again != r || r.Budget() != b {
		t.Error("another retry, or another budget")
	}
	if n := len(s.All()); n != 5 {
		t.Errorf("%d machines, want 5: a budget is none", n)
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	calls := 0
	_, err := retry.Do(context.Background(), r, func(context.Context) (int, error) { calls++; return 0, errors.New("down") })
	if calls != 2 || !errors.Is(err, retry.ErrAttempts) {
		t.Errorf("%d calls, %v", calls, err)
	}

	err = s.Tune(Config{
		Timeouts: map[string]timeout.Config{"payments": {Limit: time.Second}},
		Retries:  map[string]retry.Config{"payments": {MaxAttempts: 1000}},
	})
	if err == nil || !strings.Contains(err.Error(), "retries.payments.max_attempts: 1000 is not allowed") {
		t.Errorf("error %v", err)
	}
	err = s.Tune(Config{})
	wantLines(t, err, "timeouts.payments.limit: required; write e.g. limit: 2s (allowed: 1ms..24h)")
	if r.Config().MaxAttempts != 2 || b.Config().Size != 3 {
		t.Error("a refused Tune changed something")
	}
	if err := s.Tune(Config{
		Timeouts: map[string]timeout.Config{"payments": {Limit: 2 * time.Second}},
		Budgets:  map[string]budget.Config{"payments": {Size: 4}, "paymets": {}},
	}); err != nil {
		t.Fatal(err)
	}
	if r.Config().MaxAttempts != 3 || b.Config().Size != 4 || to.Config().Limit != 2*time.Second || f.Config().Limit != 10 {
		t.Error("the machines do not follow")
	}
	if got := strings.Join(events, ", "); !strings.Contains(got, "retry payments tuned") || !strings.Contains(got, "timeout payments tuned") {
		t.Errorf("events: %s", got)
	}
	wantLines(t, s.Check(), "policy: budgets.paymets: no code asks for it; did you mean payments?")
}

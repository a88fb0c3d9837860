package policy

import (
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/adaptive"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/budget"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/fallback"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/throttle"
	"github.com/mw-go/mw/core/timeout"
)

// section knows how to make and tune the members of one part of the Config.
type section[C comparable, H any, M tunable[C]] struct {
	name  string
	pick  func(Config) map[string]C
	make  func(name string, c C, h H) (M, error)
	hooks func(*H) *core.Hooks // where the listener is; nil if there are no events
}

type tunable[C any] interface {
	Prepare(C) (commit func(), err error)
}

func plain(h *core.Hooks) *core.Hooks { return h }

var (
	breakers        = section[breaker.Config, core.Hooks, *breaker.Breaker]{"breakers", pickBreakers, breaker.New, plain}
	keyedBreakers   = section[breaker.Config, core.Hooks, *breaker.Keyed]{"breakers", pickBreakers, breaker.NewKeyed, plain}
	rateLimits      = section[ratelimit.Config, core.Hooks, *ratelimit.Limiter]{"rate_limits", pickRateLimits, ratelimit.New, plain}
	keyedRateLimits = section[ratelimit.Config, core.Hooks, *ratelimit.Keyed]{"rate_limits", pickRateLimits, ratelimit.NewKeyed, plain}
	bulkheads       = section[bulkhead.Config, core.Hooks, *bulkhead.Bulkhead]{"bulkheads", pickBulkheads, bulkhead.New, plain}
	keyedBulkheads  = section[bulkhead.Config, core.Hooks, *bulkhead.Keyed]{"bulkheads", pickBulkheads, bulkhead.NewKeyed, plain}
	adaptiveLimits  = section[adaptive.Config, core.Hooks, *adaptive.Limiter]{
		"adaptive_limits", func(c Config) map[string]adaptive.Config { return c.AdaptiveLimits }, adaptive.New, plain,
	}
	throttles = section[throttle.Config, core.Hooks, *throttle.Throttle]{
		"throttles", func(c Config) map[string]throttle.Config { return c.Throttles }, throttle.New, plain,
	}
	retries = section[retry.Config, retry.Hooks, *retry.Retry]{
		"retries", func(c Config) map[string]retry.Config { return c.Retries }, retry.New,
		func(h *retry.Hooks) *core.Hooks { return &h.Hooks },
	}
	hedges = section[hedge.Config, hedge.Hooks, *hedge.Hedge]{
		"hedges", func(c Config) map[string]hedge.Config { return c.Hedges }, hedge.New,
		func(h *hedge.Hooks) *core.Hooks { return &h.Hooks },
	}
	timeouts = section[timeout.Config, timeout.Hooks, *timeout.Timeout]{
		"timeouts", func(c Config) map[string]timeout.Config { return c.Timeouts }, timeout.New,
		func(h *timeout.Hooks) *core.Hooks { return &h.Hooks },
	}
	fallbacks = section[fallback.Config, fallback.Hooks, *fallback.Fallback]{
		"fallbacks", func(c Config) map[string]fallback.Config { return c.Fallbacks }, fallback.New,
		func(h *fallback.Hooks) *core.Hooks { return &h.Hooks },
	}
	budgets = section[budget.Config, struct{}, *budget.Budget]{
		"budgets", func(c Config) map[string]budget.Config { return c.Budgets },
		func(name string, c budget.Config, _ struct{}) (*budget.Budget, error) { return budget.New(name, c) }, nil,
	}
)

func pickBreakers(c Config) map[string]breaker.Config     { return c.Breakers }
func pickRateLimits(c Config) map[string]ratelimit.Config { return c.RateLimits }
func pickBulkheads(c Config) map[string]bulkhead.Config   { return c.Bulkheads }

// Breaker returns the breaker of that name, made on the first call; later calls return the same one, and their hooks
// are ignored. Errors: a bad name, or a keyed breaker of that name.
func (s *Set) Breaker(name string, h breaker.Hooks) (*breaker.Breaker, error) {
	return get(s, breakers, name, h)
}

// KeyedBreaker is Breaker for a keyed one.
func (s *Set) KeyedBreaker(name string, h breaker.Hooks) (*breaker.Keyed, error) {
	return get(s, keyedBreakers, name, h)
}

// RateLimit returns the limiter of that name, made on the first call; later calls return the same one, and their hooks
// are ignored. Errors: a bad name, a keyed limiter of that name, or no limit in the configuration.
func (s *Set) RateLimit(name string, h ratelimit.Hooks) (*ratelimit.Limiter, error) {
	return get(s, rateLimits, name, h)
}

// KeyedRateLimit is RateLimit for a keyed one.
func (s *Set) KeyedRateLimit(name string, h ratelimit.Hooks) (*ratelimit.Keyed, error) {
	return get(s, keyedRateLimits, name, h)
}

// Bulkhead returns the bulkhead of that name, made on the first call; later calls return the same one, and their hooks
// are ignored. Errors: a bad name, a keyed bulkhead of that name, or no limit in the configuration.
func (s *Set) Bulkhead(name string, h bulkhead.Hooks) (*bulkhead.Bulkhead, error) {
	return get(s, bulkheads, name, h)
}

// KeyedBulkhead is Bulkhead for a keyed one.
func (s *Set) KeyedBulkhead(name string, h bulkhead.Hooks) (*bulkhead.Keyed, error) {
	return get(s, keyedBulkheads, name, h)
}

// AdaptiveLimit returns the adaptive limiter of that name, made on the first call; later calls return the same one, and
// their hooks are ignored. Errors: a bad name.
func (s *Set) AdaptiveLimit(name string, h adaptive.Hooks) (*adaptive.Limiter, error) {
	return get(s, adaptiveLimits, name, h)
}

// Throttle returns the throttle of that name, made on the first call; later calls return the same one, and their hooks
// are ignored. Errors: a bad name.
func (s *Set) Throttle(name string, h throttle.Hooks) (*throttle.Throttle, error) {
	return get(s, throttles, name, h)
}

// Retry returns the retry of that name, made on the first call; later calls return the same one, and their hooks are
// ignored. Without Hooks.Budget it has a budget of its own. Errors: a bad name.
func (s *Set) Retry(name string, h retry.Hooks) (*retry.Retry, error) {
	return get(s, retries, name, h)
}

// Hedge returns the hedge of that name, made on the first call; later calls return the same one, and their hooks are
// ignored. Errors: a bad name.
func (s *Set) Hedge(name string, h hedge.Hooks) (*hedge.Hedge, error) {
	return get(s, hedges, name, h)
}

// Timeout returns the timeout of that name, made on the first call; later calls return the same one, and their hooks
// are ignored. Errors: a bad name, or no limit in the configuration.
func (s *Set) Timeout(name string, h timeout.Hooks) (*timeout.Timeout, error) {
	return get(s, timeouts, name, h)
}

// Fallback returns the policy of a fallback step, made on the first call; later calls return the same one, and their
// hooks are ignored. Errors: a bad name.
func (s *Set) Fallback(name string, h fallback.Hooks) (*fallback.Fallback, error) {
	return get(s, fallbacks, name, h)
}

// Budget returns the budget of that name, made on the first call, for all that send extra attempts to one backend. It is
// no machine, and not in All. Errors: a bad name.
func (s *Set) Budget(name string) (*budget.Budget, error) {
	return get(s, budgets, name, struct{}{})
}

package retry

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
	"github.com/mw-go/mw/core/internal/live"
	"github.com/mw-go/mw/core/internal/pushback"
	"github.com/mw-go/mw/core/internal/stripe"
)

// Retry repeats calls that fail. It implements core.Machine. Make one with New; run calls with Do. Safe for concurrent
// use. A call that succeeds at the first attempt takes no lock, reads no clock and allocates nothing, unless
// AttemptTimeout is set.
type Retry struct {
	live   live.Live[Config, struct{}]
	count  stripe.Tally
	hooks  Hooks
	budget *budget.Budget
	random func() float64 // in [0,1)
}

type settings = live.Settings[Config, struct{}]

// The lifetime counters; above them one a Reason.
const (
	countBegun = iota
	countShadowed
	countRetries
	countRescued
	countGaveUp // of Reason 0, which does not occur
)

// New returns a retry. Errors: a name that is not 1 to 64 of letters, digits and - _ . /, and every bad field of c.
func New(name string, c Config, h Hooks) (*Retry, error) {
	r := &Retry{count: stripe.NewTally(), hooks: h, budget: h.Budget, random: rand.Float64}
	err := r.live.Start(core.KindRetry, name, c, h.Hooks, live.Rules[Config, struct{}]{
		Prepare: prepare, Describe: describe, Derive: func(*settings, Config, core.Time) (none struct{}) { return },
	})
	if err != nil {
		return nil, err
	}
	if r.budget == nil {
		r.budget, err = budget.New(name, budget.Config{})
	}
	return r, err
}

// Do runs fn, and runs it again while it fails, as r says. It returns the value of the last attempt, and nil or an
// *Error with the last attempt's error in it. In shadow and disabled mode the error is fn's own.
//
// It waits between attempts, never past the deadline of ctx, and no longer than until ctx ends. If ctx is done before the
// first attempt, fn does not run. fn's context carries the attempt's number from the second on (see Attempt), and ends
// with the attempt if AttemptTimeout is set; an fn that does not heed it is waited for. Panic and runtime.Goexit of fn go
// on untouched; there is no further attempt. A nil fn is an error.
func Do[T any](ctx context.Context, r *Retry, fn func(context.Context) (T, error)) (T, error) {
	if fn == nil {
		var v T
		return v, errNoFunction
	}
	c := call{}
	return repeat(ctx, r, &c, fn, nil)
}

// DoKeeping is Do for results that hold something until they are read, such as the body of a response. discard, if it is not
// nil, is given the result of each attempt that another one is to follow, before the delay, and closes it; that result
// is never returned, also if the caller leaves during the delay. What the last attempt brought is returned with its
// error, whatever that is.
//
// The context of the attempt whose result is returned ends when release is called, with ctx, or when AttemptTimeout has
// passed, which so covers the reading too. Call release when the result is done with, once or more often, from any
// goroutine; it is never nil.
func DoKeeping[T any](ctx context.Context, r *Retry, fn func(context.Context) (T, error), discard func(T, error),
) (v T, release context.CancelFunc, err error) {
	if fn == nil {
		return v, nothing, errNoFunction
	}
	c := call{keep: true}
	v, err = repeat(ctx, r, &c, fn, discard)
	if c.cancel == nil {
		return v, nothing, err
	}
	return v, c.cancel, err
}

func nothing() {}

func repeat[T any](ctx context.Context, r *Retry, c *call, fn func(context.Context) (T, error), discard func(T, error),
) (v T, err error) {
	s := r.live.Load()
	if s.Overridden() {
		s = r.live.At(0)
	}
	r.count.Add(countBegun, 1)
	if s.Policy.Mode == core.Disabled {
		return fn(ctx)
	}
	c.r, c.s = r, s
	if s.Policy.Mode == core.Enforce && ctx.Err() != nil {
		return v, c.fail(gone(ctx), nil, context.Cause(ctx))
	}
	r.budget.Begin(0)
	for {
		v, err = attempt(ctx, c, fn)
		if err == nil {
			return v, nil
		}
		last := err
		delay, paid, again := c.again(ctx, &err)
		if !again {
			return v, err
		}
		if c.keep {
			v = drop(c, v, last, discard)
		}
		if !c.wait(ctx, delay, paid, &err) {
			return v, err
		}
	}
}

// drop lets go of the result of an attempt that another one is to follow.
func drop[T any](c *call, v T, err error, discard func(T, error)) (none T) {
	defer c.end()
	if discard != nil {
		discard(v, err)
	}
	return none
}

// call is one Do.
type call struct {
	r       *Retry
	s       *settings // in force when the call began
	state   state
	outcome core.Outcome       // of the last attempt
	cause   error              // core.ErrTimeout if our timeout ended it
	cancel  context.CancelFunc // ends the context of the last attempt; nil if it has none of its own
	keep    bool               // that context outlives the attempt
}

// end ends the context of the last attempt.
func (c *call) end() {
	if c.cancel != nil {
		c.cancel()
		c.cancel = nil
	}
}

// attempt runs fn once. The budget hears of it also when fn panics or calls runtime.Goexit, and its context ends.
func attempt[T any](ctx context.Context, c *call, fn func(context.Context) (T, error)) (v T, err error) {
	c.state.attempts++
	if c.state.attempts > 1 {
		c.r.count.Add(countRetries, 1)
		ctx = WithAttempt(ctx, c.state.attempts)
	}
	if d := c.s.Config.AttemptTimeout; d > 0 && c.s.Policy.Mode == core.Enforce {
		ctx, c.cancel = context.WithTimeoutCause(ctx, d, core.ErrTimeout)
	}
	finished := false
	defer func() {
		if !finished {
			c.outcome = core.Abandoned(ctx)
		}
		c.r.budget.End(c.outcome)
		if !finished || !c.keep {
			c.end()
		}
	}()
	v, err = fn(ctx)
	c.judge(ctx, err)
	finished = true
	return v, err
}

// judge takes down how an attempt with this context ended.
func (c *call) judge(ctx context.Context, err error) {
	classify := c.r.hooks.Classify
	switch {
	case classify != nil:
		c.outcome = classify(ctx, err)
	case err == nil:
		c.outcome = core.Success
	default:
		c.outcome = core.Classify(ctx, err)
	}
	if err == nil {
		if c.state.attempts > 1 {
			c.r.count.Add(countRescued, 1)
		}
		return
	}
	c.cause = nil
	if c.outcome == core.Timeout && errors.Is(context.Cause(ctx), core.ErrTimeout) {
		c.cause = core.ErrTimeout
	}
}

// again decides after a failed attempt whether another one is to follow, after which delay, and pays for it. If there is
// none, it makes *err what the call returns.
func (c *call) again(ctx context.Context, err *error) (delay time.Duration, paid core.Time, ok bool) {
	delay, why := c.decide(ctx, *err)
	if c.s.Policy.Mode != core.Enforce {
		if why == 0 && c.r.budget.Peek(0) {
			c.r.count.Add(countShadowed, 1)
		}
		return 0, 0, false
	}
	now := core.Now()
	if why == 0 && !c.r.budget.Withdraw(now) {
		why = ReasonBudget
	}
	if why != 0 {
		*err = c.giveUp(ctx, why, *err)
		return 0, 0, false
	}
	return delay, now, true
}

// wait waits for the next attempt. If the caller leaves, the budget gets its token back.
func (c *call) wait(ctx context.Context, delay time.Duration, paid core.Time, err *error) bool {
	if sleep(ctx, delay) {
		return true
	}
	c.r.budget.Refund(paid)
	*err = c.giveUp(ctx, gone(ctx), *err)
	return false
}

// giveUp is the end of a call that has failed.
func (c *call) giveUp(ctx context.Context, why Reason, last error) *Error {
	cause := c.cause
	if why == ReasonLeft || why == ReasonExpired {
		cause = context.Cause(ctx)
	}
	return c.fail(why, last, cause)
}

// decide asks the machine, with what the shell alone can know.
func (c *call) decide(ctx context.Context, err error) (delay time.Duration, why Reason) {
	r, conf := c.r, &c.s.Config
	f := failure{permanent: pushback.Permanent(err), nested: Attempt(ctx) > 1, left: core.Never, hint: pushback.After(err)}
	if ctx.Err() != nil {
		f.gone = gone(ctx)
	}
	if rejection, ok := errors.AsType[*core.Rejection](err); ok {
		f.rejected = true
		if f.hint == 0 {
			f.hint = rejection.RetryAfter
		}
	}
	switch {
	case f.gone != 0 || f.permanent || f.hint < 0 || f.rejected && !conf.RetryRejections: // decided: the hook is not asked
	case r.hooks.Retryable != nil:
		f.retryable = r.hooks.Retryable(ctx, c.outcome, err)
	default:
		f.retryable = retried(c.outcome) || f.rejected
	}
	if why = c.state.veto(conf, f); why != 0 {
		return 0, why
	}
	var own time.Duration
	if r.hooks.Backoff != nil {
		own = r.hooks.Backoff(c.state.attempts, err)
	} else {
		own = c.state.draw(conf, r.random())
		c.state.drawn = own
	}
	if deadline, ok := ctx.Deadline(); ok {
		f.left = core.TimeOf(deadline).Sub(core.Now())
	}
	return c.state.wait(conf, f, own, r.random())
}

// fail counts the end of the call and returns its error.
func (c *call) fail(why Reason, last, cause error) *Error {
	c.r.count.Add(countGaveUp+int(why), 1)
	return &Error{Policy: c.s.Policy.Name, Attempts: c.state.attempts, Reason: why, Last: last, Cause: cause}
}

// gone is the reason of a context that is done.
func gone(ctx context.Context) Reason {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ReasonExpired
	}
	return ReasonLeft
}

// sleep waits for d and reports whether ctx is still alive then.
func sleep(ctx context.Context, d time.Duration) bool {
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

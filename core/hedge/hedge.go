package hedge

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/live"
	"github.com/mw-go/mw/core/internal/pushback"
	"github.com/mw-go/mw/core/internal/stripe"
)

// Hedge makes another attempt at calls that are slow. It implements core.Machine. Make one with New; run calls with Do,
// DoFrom or DoKeeping. Safe for concurrent use.
type Hedge struct {
	live  live.Live[Config, *measure]
	count stripe.Tally
	hooks Hooks

	_          [stripe.Line]byte // settings are read by every call, what follows is written by many
	tokens     atomic.Int64      // a bucket
	losers     atomic.Int64      // attempts that have lost or are going to
	stragglers atomic.Int64      // those that have
	_          [stripe.Line - 24]byte
}

type settings = live.Settings[Config, *measure]

// The lifetime counters.
const (
	countBegun = iota
	countRefused
	countShadowed
	countExtra
	countWon
	countLost
	countPanics
)

// New returns a hedge that has saved up its Burst. Errors: a name that is not 1 to 64 of letters, digits and - _ . /, and
// every bad field of c.
func New(name string, c Config, h Hooks) (*Hedge, error) {
	g := &Hedge{count: stripe.NewTally(), hooks: h}
	err := g.live.Start(core.KindHedge, name, c, h.Hooks, live.Rules[Config, *measure]{
		Prepare: prepare, Describe: describe, Derive: derive,
		Changed: func(_, fresh *settings, _ core.Time) { g.put(fresh.Derived.rates, 0) },
	})
	if err != nil {
		return nil, err
	}
	g.tokens.Store(g.live.Load().Derived.rates.burst)
	return g, nil
}

// From says whose result a call has returned.
type From struct {
	Attempt  int // 1 the first attempt, 2 and so on the further ones; 0 if none ran, or if it is the *Error of several
	Attempts int // how many were made
}

// Do runs fn, and runs it once more beside the first if that takes long, as h says; what succeeds first is the result.
// It is for calls that may be made twice without harm (see Once and Hooks.May), and for functions that several goroutines may
// run at once: each attempt needs a message, a buffer, a body of its own.
//
// fn runs in a goroutine of its own where a further attempt is possible, else in the caller's. Its context ends when the
// attempt has lost, with the cause ErrLost; when ctx ends; and when Do returns. Do returns with the first success; what the
// others come to, Hooks.OnLoser hears. It does not wait for them, but when ctx is done it waits for the first attempt
// that heeds that. What fn captured must bear being used after Do has returned.
//
// Errors: ctx.Err() if ctx is done at the beginning; then fn does not run. That of fn, untouched, if one attempt has
// failed; an *Error if several have. Which errors end the call at once, and which call for another attempt, is in package
// doc. A nil fn is an error.
//
// A panic in an attempt is a panic of Do, with a *core.PanicError if it was in a goroutine of its own, and runtime.Goexit
// is one in the caller's goroutine; those of attempts that have lost are counted.
func Do[T any](ctx context.Context, h *Hedge, fn func(context.Context) (T, error)) (T, error) {
	v, _, _, err := run(ctx, h, fn, false)
	return v, err
}

// DoFrom is Do, and says whose result it is.
func DoFrom[T any](ctx context.Context, h *Hedge, fn func(context.Context) (T, error)) (T, From, error) {
	v, from, _, err := run(ctx, h, fn, false)
	return v, from, err
}

// DoKeeping is DoFrom for a result that is read after the call, such as the body of a response: the context of the attempt
// that has won does not end when DoKeeping returns, but when release is called, or when ctx ends. Call release when the
// result is done with, once or more often, from any goroutine. Who never calls it leaves the context with ctx: as long
// as that lives, if it can end at all. release is never nil, and with an error it does nothing: all contexts have ended.
func DoKeeping[T any](ctx context.Context, h *Hedge, fn func(context.Context) (T, error)) (v T, from From, release context.CancelFunc, err error) {
	return run(ctx, h, fn, true)
}

func nothing() {}

func run[T any](ctx context.Context, h *Hedge, fn func(context.Context) (T, error), keep bool) (v T, from From, release context.CancelFunc, err error) {
	if fn == nil {
		return v, from, nothing, errNoFunction
	}
	s := h.live.Load()
	if s.Overridden() {
		s = h.live.At(0)
	}
	mode := s.Policy.Mode
	if mode == core.Enforce {
		if err := ctx.Err(); err != nil {
			return v, from, nothing, err
		}
	}
	h.count.Add(countBegun, 1)
	if mode != core.Disabled {
		c := call{h: h, s: s}
		if c.prepare(ctx); c.hedged && mode == core.Enforce {
			return start(ctx, &c, fn).settle(keep)
		}
		if c.watched() {
			v, err = alone(ctx, &c, fn)
			return v, From{1, 1}, nothing, err
		}
	}
	v, err = fn(ctx)
	return v, From{1, 1}, nothing, err
}

// call is what every call of the Hedge has, with one attempt or several.
type call struct {
	h       *Hedge
	s       *settings
	start   core.Time // 0 if nobody asks
	delay   time.Duration
	hedged  bool // a further attempt is possible
	refused bool // it would be, if there were a place and a token of the Budget
}

// prepare finds out whether the call may have more than one attempt, and brings the tokens.
func (c *call) prepare(ctx context.Context) {
	h, m := c.h, c.s.Derived
	h.put(m.rates, m.rates.ratio)
	if m.window != nil || c.s.Policy.Mode == core.Shadow {
		c.start = core.Now()
	}
	c.delay = m.at(c.start)
	if c.delay >= 0 && c.inTime(ctx) && mark(ctx) == 0 && (h.hooks.May == nil || h.hooks.May(ctx)) {
		c.hedged = h.losers.Load() < int64(c.s.Config.MaxStragglers) && (h.hooks.Budget == nil || h.hooks.Budget.Peek(c.start))
		if c.refused = !c.hedged; c.refused {
			c.start = c.start.Or()
		}
	}
	if h.reports() {
		h.hooks.Budget.Begin(c.start)
	}
}

// inTime reports whether the caller waits for longer than the delay.
func (c *call) inTime(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return !ok || core.TimeOf(deadline).Sub(c.start.Or()) > c.delay
}

// watched reports whether it matters how a call with one attempt ends.
func (c *call) watched() bool { return c.start != 0 || c.h.reports() }

// alone is a call with one attempt, in the caller's goroutine.
func alone[T any](ctx context.Context, c *call, fn func(context.Context) (T, error)) (v T, err error) {
	o, finished := core.Failure, false
	defer func() {
		if !finished {
			o = core.Abandoned(ctx)
		}
		c.h.report(o)
	}()
	v, err = fn(ctx)
	o = classify(ctx, c.h.hooks.Classify, err)
	c.learn(ctx, o, err)
	finished = true
	return v, err
}

// learn takes the sample of a call with one attempt, and counts it if it would have had another. In shadow mode that other
// one is paid for, so that what is counted is what would be.
func (c *call) learn(ctx context.Context, o core.Outcome, err error) {
	if c.start == 0 {
		return
	}
	now := core.Now()
	took := now.Sub(c.start)
	if err == nil && o == core.Success {
		c.s.Derived.learn(now, took)
	}
	shadow := c.s.Policy.Mode == core.Shadow
	switch {
	case !(c.hedged || c.refused) || took <= c.delay && !c.following(ctx, o, err):
	case c.refused && !shadow:
		c.h.count.Add(countRefused, 1)
	case c.hedged && shadow && c.h.take(c.s.Derived.rates):
		c.h.count.Add(countShadowed, 1)
	}
}

// following reports whether an attempt that failed so calls for another at once.
func (c *call) following(ctx context.Context, o core.Outcome, err error) bool {
	if err == nil {
		return false
	}
	v, _ := c.h.judge(ctx, &c.s.Config, o, err)
	return v == next
}

// judge asks the machine, with what the shell alone can know.
func (h *Hedge) judge(ctx context.Context, c *Config, o core.Outcome, err error) (v verdict, hint time.Duration) {
	f := failure{outcome: o, gone: ctx.Err() != nil, hint: pushback.After(err)}
	switch {
	case f.gone || o == core.Success: // decided: the hook is not asked
	case h.hooks.Fatal != nil:
		f.fatal = h.hooks.Fatal(ctx, o, err)
	default:
		f.fatal = o == core.Canceled || o == core.Expired || pushback.Permanent(err)
	}
	return judge(c, f), f.hint
}

// reports reports whether it is for the Hedge to tell the Budget of its calls.
func (h *Hedge) reports() bool { return h.hooks.Outermost && h.hooks.Budget != nil }

// report tells the Budget how an attempt ended.
func (h *Hedge) report(o core.Outcome) {
	if h.reports() {
		h.hooks.Budget.End(o)
	}
}

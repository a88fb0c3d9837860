package fallback

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/live"
	"github.com/mw-go/mw/core/internal/stripe"
)

// Fallback is the policy of one step of a Chain: when it runs, for how long and how many times at once. It implements
// core.Machine. Make one with New. Safe for concurrent use; it takes no lock.
type Fallback struct {
	live    live.Live[Config, *Error]
	count   stripe.Tally
	hooks   Hooks
	running atomic.Int64
}

// settings carry the cause of a context that the Timeout ended.
type settings = live.Settings[Config, *Error]

// The lifetime counters.
const (
	countBegun = iota
	countFull
	countShadowed
	countAnswered
	countTimedOut
)

// New returns the policy of a step. Errors: a name that is not 1 to 64 of letters, digits and - _ . /, and every bad field
// of c.
func New(name string, c Config, h Hooks) (*Fallback, error) {
	f := &Fallback{count: stripe.NewTally(), hooks: h}
	if f.hooks.Classify == nil {
		f.hooks.Classify = core.Classify
	}
	if f.hooks.When == nil {
		f.hooks.When = usual
	}
	err := f.live.Start(core.KindFallback, name, c, h.Hooks, live.Rules[Config, *Error]{
		Prepare: prepare, Describe: describe,
		Derive: func(_ *settings, c Config, _ core.Time) *Error { return &Error{Step: name, Limit: c.Timeout} },
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// enter decides whether the step runs, after a failure by err. If it says run, leave must follow.
func (f *Fallback) enter(ctx context.Context, err error) (*settings, verdict) {
	s := f.live.Load()
	if s.Overridden() {
		s = f.live.At(0)
	}
	mode := s.Policy.Mode
	holds := mode != core.Disabled && f.hooks.When(f.hooks.Classify(ctx, err), err)
	for {
		n := f.running.Load()
		v, next := decide(mode, holds, n, s.Config.Limit)
		switch {
		case v == would:
			f.count.Add(countShadowed, 1)
		case v == full:
			f.count.Add(countFull, 1)
		case v == run && !f.running.CompareAndSwap(n, next):
			continue
		case v == run:
			f.count.Add(countBegun, 1)
		}
		return s, v
	}
}

// rejection is the error of a step without a place.
func rejection(s *settings) error {
	return core.Decision{By: &s.Policy, Verdict: core.Verdict{Reason: core.ReasonFull}}.Err()
}

// bound returns the context of the step: ctx itself if that is done no later, or nothing bounds the step.
func bound(ctx context.Context, s *settings) (context.Context, context.CancelFunc) {
	d := s.Config.Timeout
	if d == core.None {
		return ctx, nothing
	}
	if deadline, ok := ctx.Deadline(); ok && core.TimeOf(deadline).Sub(core.Now()) <= d {
		return ctx, nothing
	}
	return context.WithTimeoutCause(ctx, d, s.Derived)
}

func nothing() {}

// leave ends the step: its place is free again.
func (f *Fallback) leave(answered bool) {
	f.running.Add(-1)
	if answered {
		f.count.Add(countAnswered, 1)
	}
}

// wrap names the step in its error, and its Timeout if that was over.
func (f *Fallback) wrap(ctx context.Context, s *settings, err error) error {
	over := ctx.Err() != nil && context.Cause(ctx) == error(s.Derived)
	if over {
		f.count.Add(countTimedOut, 1)
	}
	switch {
	case err == error(s.Derived): // the cause of its context, which says it all
		return err
	case over:
		return &Error{Step: s.Policy.Name, Limit: s.Config.Timeout, Err: err}
	default:
		return &Error{Step: s.Policy.Name, Err: err}
	}
}

// Prepare checks c and returns the function that puts it in force, for transactions over several machines. It holds
// nothing, and commit cannot fail.
func (f *Fallback) Prepare(c Config) (commit func(), err error) { return f.live.Prepare(c) }

// Tune puts c in force. Steps under way keep their time and their place. On error nothing changes.
func (f *Fallback) Tune(c Config) error { return f.live.Tune(c) }

// Config returns the effective settings, defaults filled in.
func (f *Fallback) Config() Config { return f.live.Load().Config }

// Override puts mode in force for d (0: until Restore) whatever the configuration says; it outlives Tune. Errors: a
// mode other than enforce, shadow and disabled, and a negative d.
func (f *Fallback) Override(mode core.Mode, d time.Duration) error { return f.live.Override(mode, d) }

// Restore ends an override.
func (f *Fallback) Restore() { f.live.Restore() }

// Snapshot is what a page, a metric or a test reads of a step. Status.Admitted counts the times that it ran, and
// Status.Rejected those that it was full.
type Snapshot struct {
	core.Status
	Config   Config
	Running  int64  // calls in the step
	Answered uint64 // times that it had an answer
	TimedOut uint64 // times that it failed after its Timeout
}

// Snapshot returns the state as of now. It may take locks; it is not for the path of a call.
func (f *Fallback) Snapshot() Snapshot {
	snap := Snapshot{Status: f.live.Status(), Config: f.Config(), Running: f.running.Load()}
	snap.Admitted, snap.Rejected = f.count.Load(countBegun), f.count.Load(countFull)
	snap.Shadowed = f.count.Load(countShadowed)
	snap.Answered, snap.TimedOut = f.count.Load(countAnswered), f.count.Load(countTimedOut)
	return snap
}

// Status returns the part of the Snapshot that all machines share.
func (f *Fallback) Status() core.Status { return f.Snapshot().Status }

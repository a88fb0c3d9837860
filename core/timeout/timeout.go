package timeout

import (
	"context"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/live"
	"github.com/mw-go/mw/core/internal/stripe"
)

// Timeout bounds how long a call may take. It implements core.Machine. Make one with New. Safe for concurrent use; it
// takes no lock, and allocates only for the timer of a call whose caller has no earlier deadline.
type Timeout struct {
	live  live.Live[Config, *measure]
	count stripe.Tally
	hooks Hooks
	left  places
}

type settings = live.Settings[Config, *measure]

// The lifetime counters.
const (
	countBegun = iota
	countRejected
	countShadowed
	countTimedOut
	countLate
	countAbandoned
	countPanics
)

// New returns a timeout. Errors: a name that is not 1 to 64 of letters, digits and - _ . /, and every bad field of c.
func New(name string, c Config, h Hooks) (*Timeout, error) {
	t := &Timeout{count: stripe.NewTally(), hooks: h}
	if t.hooks.Classify == nil {
		t.hooks.Classify = core.Classify
	}
	err := t.live.Start(core.KindTimeout, name, c, h.Hooks, live.Rules[Config, *measure]{
		Prepare: prepare, Describe: describe, Changed: t.changed,
		Derive: func(old *settings, c Config, _ core.Time) *measure { return derive(name, old, c) },
	})
	if err != nil {
		return nil, err
	}
	t.left.resize(t.Config().MaxAbandoned)
	return t, nil
}

// Do runs fn with a context that is done when the limit is over, and returns what fn returns. It is cooperative: fn runs in
// the caller's goroutine, and Do returns when fn does. The context ends no later than ctx and, when Do returns, for good.
//
// Errors: a *core.Rejection if the caller has too little time left (ReasonTooLong) or none (ReasonExpired), and ctx.Err()
// if ctx is done: then fn does not run. An *Error that matches core.ErrTimeout if fn failed after the limit was over,
// wrapping what fn returned. Everything else is fn's own error, untouched; so is a result that comes late but
// without an error. A nil fn is an error.
//
// A panic or runtime.Goexit in fn goes on untouched.
func Do[T any](ctx context.Context, t *Timeout, fn func(context.Context) (T, error)) (v T, err error) {
	if fn == nil {
		return v, errNoFunction
	}
	a, inner, cancel, err := t.begin(ctx)
	if err != nil {
		return v, err
	}
	finished := false
	defer func() {
		if !finished {
			a.Done(0, core.Abandoned(inner))
		}
		cancel()
	}()
	v, err = fn(inner)
	o, err := a.Judge(inner, err)
	finished = true
	a.Done(0, o)
	return v, err
}

// begin admits a call of Do and makes its context.
func (t *Timeout) begin(ctx context.Context) (a Allowance, inner context.Context, cancel context.CancelFunc, err error) {
	s := t.settings(0)
	if err := ctx.Err(); err != nil && s.Policy.Mode == core.Enforce {
		return a, nil, nil, err
	}
	var now core.Time
	incoming := core.Never
	if deadline, ok := ctx.Deadline(); ok {
		now = core.Now()
		incoming = core.TimeOf(deadline).Sub(now)
	}
	a, d := t.admit(s, now, incoming)
	if !d.Admitted() {
		return a, nil, nil, d.Err()
	}
	inner, cancel = a.Context(ctx)
	return a, inner, cancel, nil
}

// settings returns the snapshot in force.
func (t *Timeout) settings(now core.Time) *settings {
	s := t.live.Load()
	if s.Overridden() {
		s = t.live.At(now)
	}
	return s
}

// Prepare checks c and returns the function that puts it in force, for transactions over several machines. It holds
// nothing, and commit cannot fail.
func (t *Timeout) Prepare(c Config) (commit func(), err error) { return t.live.Prepare(c) }

// Tune puts c in force for the calls that begin from now on. On error nothing changes.
func (t *Timeout) Tune(c Config) error { return t.live.Tune(c) }

// Config returns the effective settings, defaults filled in.
func (t *Timeout) Config() Config { return t.live.Load().Config }

// Override puts mode in force for d (0: until Restore) whatever the configuration says; it outlives Tune. Errors: a
// mode other than enforce, shadow and disabled, and a negative d.
func (t *Timeout) Override(mode core.Mode, d time.Duration) error { return t.live.Override(mode, d) }

// Restore ends an override.
func (t *Timeout) Restore() { t.live.Restore() }

func (t *Timeout) changed(_, fresh *settings, _ core.Time) { t.left.resize(fresh.Config.MaxAbandoned) }

// Snapshot is what a page, a metric or a test reads of a timeout.
type Snapshot struct {
	core.Status
	Config    Config
	Limit     time.Duration // in force: that of Config, or the adaptive one
	Floor     time.Duration // in force: the least time a caller must have left
	TimedOut  uint64        // calls that the limit ended; Shadowed has those that ran longer in shadow mode
	Late      uint64        // calls that succeeded, although after their limit
	Running   int           // functions that DoAbandoning has left and that still run
	Stuck     int           // calls of DoAbandoning whose time is over and that wait, because MaxAbandoned run already
	Abandoned uint64        // functions that DoAbandoning has left
	Panics    uint64        // panics and Goexits that reached no caller: in functions left behind and in OnAbandoned
}

// Snapshot returns the state as of now. It may take locks; it is not for the path of a call.
func (t *Timeout) Snapshot() Snapshot {
	s := t.live.At(0)
	b := s.Derived.at(0)
	snap := Snapshot{Status: t.live.Status(), Config: s.Config, Limit: b.cause.Limit, Floor: b.floor}
	snap.Admitted, snap.Rejected = t.count.Load(countBegun), t.count.Load(countRejected)
	snap.Shadowed, snap.TimedOut = t.count.Load(countShadowed), t.count.Load(countTimedOut)
	snap.Late, snap.Abandoned = t.count.Load(countLate), t.count.Load(countAbandoned)
	snap.Panics = t.count.Load(countPanics)
	snap.Running, snap.Stuck = t.left.count()
	return snap
}

// Status returns the part of the Snapshot that all machines share.
func (t *Timeout) Status() core.Status { return t.Snapshot().Status }

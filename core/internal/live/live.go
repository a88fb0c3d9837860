// Package live holds what a guard's settings have in common: one immutable snapshot read once a call, replaced whole by
// a Tune, an operator's override of the mode that outlives Tunes and expires, and the events that tell of both.
package live

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/internal/feed"
)

// Settings is the immutable snapshot. C is the machine's Config, D what the machine derives from it.
type Settings[C comparable, D any] struct {
	Policy  core.Policy // with the effective mode
	Config  C           // effective: defaults filled in
	Derived D
	Plain   bool // enforced, and no override that ends: what a fast path asks for

	overridden bool
	until      core.Time // when the override ends; 0 if it does not, or there is none
}

// Rules are the machine's side. All functions but Changed are required; none runs user code.
type Rules[C comparable, D any] struct {
	// Prepare checks c and fills in defaults.
	Prepare func(c C) (C, error)
	// Describe gives what a Decision tells of c; Name and Kind are filled in by the caller.
	Describe func(c C) core.Policy
	// Derive computes the machine's own part of a snapshot from the one before it, nil at first.
	Derive func(old *Settings[C, D], c C, now core.Time) D
	// Changed runs after every swap, under the settings' lock.
	Changed func(old, fresh *Settings[C, D], now core.Time)
	// Forced says that the machine knows the forced modes.
	Forced bool
}

// Live is a guard's settings. Make one in place with Start; it must not be copied. Safe for concurrent use.
type Live[C comparable, D any] struct {
	Feed feed.Feed

	current atomic.Pointer[Settings[C, D]]
	mu      sync.Mutex // serialises writers
	rules   Rules[C, D]
	kind    core.Kind
	name    string
}

// Start checks the name and c and makes them the first snapshot.
func (l *Live[C, D]) Start(kind core.Kind, name string, c C, hooks core.Hooks, rules Rules[C, D]) error {
	if err := checkName(kind, name); err != nil {
		return err
	}
	full, err := rules.Prepare(c)
	if err != nil {
		return fmt.Errorf("%s %q: %w", kind, name, err)
	}
	l.kind, l.name, l.rules = kind, name, rules
	l.Feed.Listen(hooks.OnEvent)
	l.swap(full, override{}, core.Now())
	return nil
}

// checkName keeps names fit for metric labels, HTTP fields and files.
func checkName(kind core.Kind, name string) error {
	ok := len(name) >= 1 && len(name) <= 64
	for _, r := range name {
		ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' || r == '/')
	}
	if !ok {
		return fmt.Errorf("%s: name %.70q is not allowed; allowed: 1 to 64 of letters, digits and - _ . /", kind, name)
	}
	return nil
}

// Load returns the snapshot in force. It does not look whether an override has expired; see At.
func (l *Live[C, D]) Load() *Settings[C, D] { return l.current.Load() }

// Overridden reports whether s carries an override that ends, so that the caller must ask At.
func (s *Settings[C, D]) Overridden() bool { return s.until != 0 }

// At returns the snapshot in force at time now (0: the clock is read), after ending an override whose time is up.
func (l *Live[C, D]) At(now core.Time) *Settings[C, D] {
	s := l.current.Load()
	if s.until == 0 {
		return s
	}
	if now = now.Or(); now < s.until {
		return s
	}
	l.mu.Lock()
	if s = l.current.Load(); s.until != 0 && now >= s.until {
		l.swap(s.Config, override{}, now)
	}
	s = l.current.Load()
	l.mu.Unlock()
	l.Feed.Deliver()
	return s
}

// Prepare checks c and returns the function that puts it in force. It holds nothing; commit cannot fail.
func (l *Live[C, D]) Prepare(c C) (commit func(), err error) {
	full, err := l.rules.Prepare(c)
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", l.kind, l.name, err)
	}
	return func() {
		l.mu.Lock()
		if s := l.current.Load(); s.Config != full {
			l.swap(full, s.override(), core.Now())
		}
		l.mu.Unlock()
		l.Feed.Deliver()
	}, nil
}

// Tune is Prepare and commit.
func (l *Live[C, D]) Tune(c C) error {
	commit, err := l.Prepare(c)
	if err != nil {
		return err
	}
	commit()
	return nil
}

// Override puts mode in force whatever the configuration says, for the given time (0: until Restore). Errors: a mode
// that the machine does not know, a negative time.
func (l *Live[C, D]) Override(mode core.Mode, d time.Duration) error {
	if d < 0 {
		return fmt.Errorf("%s %q: override for %v is not allowed; allowed: 0 (until restored) or more", l.kind, l.name, d)
	}
	if !l.knows(mode) {
		allowed := "enforce|shadow|disabled"
		if l.rules.Forced {
			allowed += "|forced-open|forced-closed"
		}
		return fmt.Errorf("%s %q: override %v is not allowed; allowed: %s", l.kind, l.name, mode, allowed)
	}
	now := core.Now()
	o := override{on: true, mode: mode}
	if d > 0 {
		o.until = now.Add(d)
	}
	l.mu.Lock()
	l.swap(l.current.Load().Config, o, now)
	l.mu.Unlock()
	l.Feed.Deliver()
	return nil
}

func (l *Live[C, D]) knows(mode core.Mode) bool {
	return mode <= core.Disabled || l.rules.Forced && mode <= core.ForcedClosed
}

// Restore ends an override.
func (l *Live[C, D]) Restore() {
	l.mu.Lock()
	l.swap(l.current.Load().Config, override{}, core.Now())
	l.mu.Unlock()
	l.Feed.Deliver()
}

// Rederive makes a new snapshot of the same settings, for a machine whose derived part has to move with time.
func (l *Live[C, D]) Rederive(stale *Settings[C, D], now core.Time) *Settings[C, D] {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.current.Load(); s != stale {
		return s
	}
	l.swap(stale.Config, stale.override(), now)
	return l.current.Load()
}

type override struct {
	on    bool
	mode  core.Mode
	until core.Time
}

func (s *Settings[C, D]) override() override {
	return override{on: s.overridden, mode: s.Policy.Mode, until: s.until}
}

// Override reports the operator's override, if there is one, and when it ends (0: when restored).
func (s *Settings[C, D]) Override() (mode core.Mode, until core.Time, ok bool) {
	return s.Policy.Mode, s.until, s.overridden
}

// swap builds and stores the next snapshot and queues its events. l.mu is held, except in Start.
func (l *Live[C, D]) swap(c C, o override, now core.Time) {
	old := l.current.Load()
	s := &Settings[C, D]{Config: c, Policy: l.rules.Describe(c), overridden: o.on, until: o.until}
	s.Policy.Kind, s.Policy.Name = l.kind, l.name
	if o.on {
		s.Policy.Mode = o.mode
	}
	s.Plain = s.Policy.Mode == core.Enforce && s.until == 0
	s.Derived = l.rules.Derive(old, c, now)
	l.current.Store(s)
	if l.rules.Changed != nil && old != nil {
		l.rules.Changed(old, s, now)
	}
	if old == nil {
		return
	}
	if old.Config != c {
		l.Feed.Push(core.Event{By: &s.Policy, Type: core.Tuned, Cause: "configuration", At: now})
	}
	if old.Policy.Mode != s.Policy.Mode {
		l.Feed.Push(core.Event{
			By: &s.Policy, Type: core.ModeChanged, At: now,
			From: old.Policy.Mode.String(), To: s.Policy.Mode.String(), Cause: modeCause(old.overridden, s.overridden),
		})
	}
}

func modeCause(was, is bool) string {
	switch {
	case is:
		return "override"
	case was:
		return "override ended"
	default:
		return "configuration"
	}
}

// Status returns the part of a guard's snapshot that the settings know.
func (l *Live[C, D]) Status() (st core.Status) {
	s := l.At(0)
	st.Policy, st.Overridden, st.OverrideUntil = s.Policy, s.overridden, s.until
	st.EventsDropped, st.EventPanics = l.Feed.Faults()
	return st
}

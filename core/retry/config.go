package retry

import (
	"context"
	"errors"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
	"github.com/mw-go/mw/core/schema"
)

// Backoff is how delays grow. The zero Backoff is Exponential.
type Backoff uint8

// The backoffs. Package doc has their formulae.
const (
	Exponential Backoff = iota
	Decorrelated
	Linear
)

// Jitter is how a delay is spread. The zero Jitter is Full.
type Jitter uint8

// The jitters. Package doc has their formulae.
const (
	Full Jitter = iota
	Equal
	Proportional
	NoJitter
)

var (
	backoffNames = []string{"exponential", "decorrelated", "linear"}
	jitterNames  = []string{"full", "equal", "proportional", "none"}
)

// String returns the name used in configuration and logs.
func (b Backoff) String() string { return nameOf(backoffNames, int(b)) }

// MarshalText returns the name.
func (b Backoff) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText accepts the names that String returns, nothing else.
func (b *Backoff) UnmarshalText(text []byte) error {
	for i, name := range backoffNames {
		if name == string(text) {
			*b = Backoff(i)
			return nil
		}
	}
	return errors.New("write exponential, decorrelated or linear")
}

// String returns the name used in configuration and logs.
func (j Jitter) String() string { return nameOf(jitterNames, int(j)) }

// MarshalText returns the name.
func (j Jitter) MarshalText() ([]byte, error) { return []byte(j.String()), nil }

// UnmarshalText accepts the names that String returns, nothing else.
func (j *Jitter) UnmarshalText(text []byte) error {
	for i, name := range jitterNames {
		if name == string(text) {
			*j = Jitter(i)
			return nil
		}
	}
	return errors.New("write full, equal, proportional or none")
}

func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return "unknown"
}

// Config tunes a Retry. The zero Config is valid; an absent field means its default. Comparable, data only.
type Config struct {
	// MaxAttempts is how often a call is tried at most, the first attempt included. Default 3 (AWS). Range 1 to 100; 1
	// never retries.
	MaxAttempts int `default:"3" range:"1..100"`
	// Backoff is how delays grow: exponential, decorrelated or linear. Default exponential. Hooks.Backoff replaces it.
	Backoff Backoff `range:"exponential|decorrelated|linear"`
	// Jitter is how a delay is spread: full, equal, proportional or none. Default full (AWS). Decorrelated has a spread of
	// its own instead.
	Jitter Jitter `range:"full|equal|proportional|none"`
	// Base is the first delay before jitter, and the step of linear. Default 100ms (gRPC A6). Range 1ms to 1h.
	Base time.Duration `default:"100ms" range:"1ms..1h"`
	// Factor is how much each delay of exponential is longer than the one before it. Default 2. Range 1 to 10.
	Factor float64 `default:"2" range:"1..10"`
	// MaxDelay is the longest delay, jitter included; a server's hint may ask for more. Default 10s; Base if that is longer.
	// Range 1ms to 24h.
	MaxDelay time.Duration `default:"10s" range:"1ms..24h"`
	// Spread is how far proportional jitter goes to either side, as a share of the delay, and how far a server's hint is
	// exceeded at most. Default 0.2 (gRPC A6). Range 0.01 to 1.
	Spread core.Ratio `default:"0.2" range:"0.01..1"`
	// MaxHint is the longest Retry-After that is waited for; a call that is asked to wait longer fails at once. Default
	// 1m. Range 1ms to 24h.
	MaxHint time.Duration `default:"1m" range:"1ms..24h"`
	// AttemptTimeout ends the context of an attempt, with the cause core.ErrTimeout; the next attempt has its full time
	// again. Default none. Range 1ms to 24h, or none.
	AttemptTimeout time.Duration `default:"none" range:"1ms..24h|none"`
	// MinAttempt is how much time the caller's deadline must leave for another attempt after the delay; with less the call
	// fails at once. Default 0. Range 0 to 1h.
	MinAttempt time.Duration `range:"0s..1h"`
	// RetryRejections retries calls that a guard of this module rejected, not before its RetryAfter. Default false: the
	// guard has just said no, and another attempt at once would ask it again.
	RetryRejections bool
	// Mode is enforce, shadow or disabled. Default enforce.
	Mode core.Mode `range:"enforce|shadow|disabled"`
}

// Validate reports every field out of range at once, each with its name, value and what is allowed.
func (c Config) Validate() error { return schema.Validate(c) }

// Hooks are the functions that a retry calls, in the caller's goroutine and under no lock, and the budget that it takes
// from. A panic in one, OnEvent aside, goes to the caller. The zero Hooks is valid.
type Hooks struct {
	core.Hooks
	// Retryable says whether an attempt that ended so may be retried. nil means: Failure, Timeout and Overload, and with
	// RetryRejections rejections. It is not asked about errors that say not to retry, about rejections without
	// RetryRejections, nor once the caller is gone.
	Retryable func(ctx context.Context, o core.Outcome, err error) bool
	// Backoff gives the delay before retry 1, 2 and so on, in place of Config.Backoff and Config.Jitter. It is held to
	// MaxDelay and to the server's hint; below zero it means not to retry.
	Backoff func(retry int, err error) time.Duration
	// Budget is shared by all that send extra attempts to one backend. nil means one of its own, with the defaults.
	Budget *budget.Budget
}

// prepare checks c and fills in what depends on other fields.
func prepare(c Config) (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	c = schema.Fill(c)
	c.MaxDelay = max(c.MaxDelay, c.Base)
	return c, nil
}

func describe(c Config) core.Policy { return core.Policy{Mode: c.Mode} }

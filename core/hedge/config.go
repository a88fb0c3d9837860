package hedge

import (
	"context"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/budget"
	"github.com/mw-go/mw/core/schema"
)

// Config tunes a Hedge. The zero Config is valid; an absent field means its default. Comparable, data only.
type Config struct {
	// MaxExtra is how many attempts a call may have beyond its first. Default 1. Range 1 to 4.
	MaxExtra int `default:"1" range:"1..4"`
	// Delay is how long an attempt may take before the next is made. Default none: the Quantile of the calls of the last
	// Window, from Min to Max. Range 1ms to 1h, or none.
	Delay time.Duration `default:"none" range:"1ms..1h|none"`
	// Quantile is the share of the first attempts that the delay lets answer alone. Default 0.95 (Dean and Barroso). Range
	// 0.5 to 0.999.
	Quantile core.Ratio `default:"0.95" range:"0.5..0.999"`
	// Min is the shortest delay that follows from the Quantile; Max if that is shorter. Default 1ms (Finagle). Range 1ms to
	// 1m.
	Min time.Duration `default:"1ms" range:"1ms..1m"`
	// Max is the longest delay that follows from the Quantile, and the longest Retry-After that is waited for while another
	// attempt is under way. Default 1s. Range 1ms to 1m.
	Max time.Duration `default:"1s" range:"1ms..1m"`
	// Window is the time over which the Quantile is taken. Default 30s. Range 1s to 5m.
	Window time.Duration `default:"30s" range:"1s..5m"`
	// Ratio is the share of extra attempts in the calls, at most. Default 0.05. Range 0.001 to 1.
	Ratio core.Ratio `default:"0.05" range:"0.001..1"`
	// Burst is how many extra attempts there may be beyond Ratio, at once and at first. See package doc for how many a fan-out
	// needs. Default 10. Range 1 to 1e6.
	Burst int `default:"10" range:"1..1000000"`
	// MaxStragglers is how many attempts that have lost, or are going to, may run at once; when so many do, no call gets
	// another attempt. Default 100. Range 1 to 1e6.
	MaxStragglers int `default:"100" range:"1..1000000"`
	// Mode is enforce, shadow or disabled. Default enforce.
	Mode core.Mode `range:"enforce|shadow|disabled"`
}

// Validate reports every field out of range at once, each with its name, value and what is allowed.
func (c Config) Validate() error { return schema.Validate(c) }

// Hooks are the functions that a Hedge calls, under no lock, and the budget that it takes from. Classify and Fatal
// run in the goroutine of the attempt, so several calls of them may be under way at once; a panic in one is one of the
// attempt. The zero Hooks is valid.
type Hooks struct {
	core.Hooks
	// May says whether a call may be made more than once at all. nil means yes; Once says no for a single call. It runs in
	// the caller's goroutine before anything else, and only when a further attempt would be possible.
	May func(ctx context.Context) bool
	// Fatal says whether an attempt that failed so ends the call, however the others would. nil means: if the error has a
	// method Permanent() bool that says so, or the outcome is Canceled or Expired. It is not asked once the caller is
	// gone.
	Fatal func(ctx context.Context, o core.Outcome, err error) bool
	// OnLoser hears how an attempt ended that had not when its call was decided, and closes what it brought. nil drops it.
	// It runs in the attempt's goroutine; until it returns, the attempt counts as a straggler. A panic in it is caught and
	// counted.
	OnLoser func(Loser)
	// Budget is shared by all that send extra attempts to one backend, retries as well, and asked beside Ratio and Burst. nil
	// means that these are the only bound.
	Budget *budget.Budget
	// Outermost says that no retry with the same Budget runs these calls, so that it is this hedge that tells the Budget of
	// them. Default false, as in the recommended order, in which a retry is outside.
	Outermost bool
}

func prepare(c Config) (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	c = schema.Fill(c)
	c.Min = min(c.Min, c.Max)
	return c, nil
}

func describe(c Config) core.Policy { return core.Policy{Mode: c.Mode} }

package timeout

import (
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// Config tunes a Timeout. Limit is required; an absent field means its default. Comparable, data only.
type Config struct {
	// Limit is how long a call may take. With Adaptive it is the longest that the limit grows to, and the limit until
	// there are samples enough. Required. Range 1ms to 24h.
	Limit time.Duration `required:"true" range:"1ms..24h" example:"2s"`
	// Adaptive lets the limit follow the calls: Factor times a quantile of how long the successful ones of the last Window
	// took, from Min to Limit. Default false.
	Adaptive bool
	// Quantile is the quantile that an adaptive limit follows. Default 0.99. Range 0.5 to 0.999.
	Quantile core.Ratio `default:"0.99" range:"0.5..0.999"`
	// Factor is what the quantile is multiplied by. Default 2. Range 1 to 100.
	Factor float64 `default:"2" range:"1..100"`
	// Min is the shortest that an adaptive limit shrinks to; Limit if that is shorter. Default 10ms. Range 1ms to 24h.
	Min time.Duration `default:"10ms" range:"1ms..24h"`
	// Window is the time over which quantiles are taken. Default 30s. Range 1s to 5m.
	Window time.Duration `default:"30s" range:"1s..5m"`
	// Margin is what is kept back of the time that the caller has left, for the answer's way to it. Default 0. Range 0 to
	// 1m.
	Margin time.Duration `range:"0s..1m"`
	// MinRest is the least time a caller must have left, Margin taken off: with less, the call is rejected before it begins.
	// Default 0: any time will do. Range 0 to 1h.
	MinRest time.Duration `range:"0s..1h"`
	// RestQuantile also rejects a call whose caller has less time left than this quantile of how long successful calls
	// took; 0.5 is the median. Default none. Range 0.01 to 0.99, or none.
	RestQuantile core.Ratio `default:"none" range:"0.01..0.99|none"`
	// MaxAbandoned is how many functions may run on after DoAbandoning has left them; when so many do, a call waits for its
	// function. Default 100. Range 1 to 1e6.
	MaxAbandoned int `default:"100" range:"1..1000000"`
	// Mode is enforce, shadow or disabled. Default enforce.
	Mode core.Mode `range:"enforce|shadow|disabled"`
}

// Validate reports every field out of range at once, each with its name, value and what is allowed.
func (c Config) Validate() error { return schema.Validate(c) }

// Hooks are the functions that a Timeout calls. The zero Hooks is valid.
type Hooks struct {
	core.Hooks
	// OnAbandoned hears how a function that DoAbandoning had left ended at last, and may close what it brought. nil
	// drops it. It runs in the function's goroutine, under no lock; until it returns, the function counts as running. A
	// panic in it is caught and counted.
	OnAbandoned func(Abandoned)
}

func prepare(c Config) (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	c = schema.Fill(c)
	c.Min = min(c.Min, c.Limit)
	return c, nil
}

func describe(c Config) core.Policy { return core.Policy{Mode: c.Mode} }

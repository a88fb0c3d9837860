package budget

import (
	"errors"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// Rule is what fills a budget. The zero Rule is Success.
type Rule uint8

// The rules. Package doc has their table.
const (
	Success   Rule = iota // a bucket funded by successes
	Window                // funded by calls, for a time (Finagle, tower)
	Throttle              // allowed until failures have emptied half of the bucket (gRPC A6)
	Unlimited             // every extra attempt is allowed
)

var ruleNames = [...]string{"success", "window", "throttle", "unlimited"}

// String returns the name used in configuration and logs.
func (r Rule) String() string {
	if int(r) < len(ruleNames) {
		return ruleNames[r]
	}
	return "unknown"
}

// MarshalText returns the name.
func (r Rule) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText accepts the names that String returns, nothing else.
func (r *Rule) UnmarshalText(text []byte) error {
	for i, name := range ruleNames {
		if name == string(text) {
			*r = Rule(i)
			return nil
		}
	}
	return errors.New("write success, window, throttle or unlimited")
}

// Config tunes a Budget. The zero Config is valid; an absent field means its default. Comparable, data only.
type Config struct {
	// Rule is success, window, throttle or unlimited. Default success.
	Rule Rule `range:"success|window|throttle|unlimited"`
	// Ratio is the tokens that a success deposits, or with window a call: the share of extra attempts in the long run.
	// Default 0.1 (Google's SRE book; Finagle and tower have 0.2). Range 0.001 to 1.
	Ratio core.Ratio `default:"0.1" range:"0.001..1"`
	// Size is how many tokens the bucket holds, and how many it begins with. window ignores it. Default 10 (gRPC A6).
	// Range 1 to 1e6.
	Size int `default:"10" range:"1..1000000"`
	// TTL is how long window remembers deposits and withdrawals. The other rules ignore it. Default 10s (Finagle, tower).
	// Range 1s to 1h.
	TTL time.Duration `default:"10s" range:"1s..1h"`
	// Reserve is how many extra attempts a second window allows without any deposit, Reserve*TTL of them at once. The
	// other rules ignore it. Default 1 (Finagle and tower, whose budgets stand for more traffic, have 10). Range 1 to 1e6,
	// or none.
	Reserve core.Count `default:"1" range:"1..1000000|none"`
}

// Validate reports every field out of range at once, each with its name, value and what is allowed.
func (c Config) Validate() error { return schema.Validate(c) }

func prepare(c Config) (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	return schema.Fill(c), nil
}

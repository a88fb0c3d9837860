package pool

import (
	"context"
	"fmt"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// Config tunes a Pool. Max is required; an absent field means its default. Comparable, data only.
type Config struct {
	// Max is how many resources there are at most: idle, out, being created or being closed. Required. Range 1 to
	// 10000.
	Max int `required:"true" range:"1..10000" example:"16"`
	// Min is how many are kept open though they are idle; those that are lost are replaced. Default 0. Range 0 to
	// 10000, at most Max.
	Min int `range:"0..10000"`
	// Queue is how many callers may wait for a resource beside those for whom one is being created. Default 1024. Range
	// 1 to 1e6, or none.
	Queue core.Count `default:"1024" range:"1..1000000|none"`
	// MaxWait is how long a caller waits at most, for a resource to come back or to be created. Default 5s. Range 1ms
	// to 1h, or none: as long as its context lasts.
	MaxWait time.Duration `default:"5s" range:"1ms..1h|none"`
	// IdleTimeout is how long a resource beyond Min may lie idle before it is closed, before jitter. Default 10m
	// (HikariCP). Range 1s to 24h, or none.
	IdleTimeout time.Duration `default:"10m" range:"1s..24h|none"`
	// MaxLifetime is how old a resource may get, before jitter; one that is older is closed when it is idle or comes
	// back. Default 1h (pgxpool). Range 1s to 720h, or none.
	MaxLifetime time.Duration `default:"1h" range:"1s..720h|none"`
	// Jitter spreads both over d*(1-Jitter) to d*(1+Jitter), by a factor that each resource keeps, so that those
	// created together do not end together. Default 0.1. Range 0.01 to 0.5, or none.
	Jitter core.Ratio `default:"0.1" range:"0.01..0.5|none"`
	// ValidateAfter is how long a resource may have been idle and still be handed out without Hooks.Validate. Default
	// 1s (pgxpool). Range 1ms to 24h, or none: it is never validated.
	ValidateAfter time.Duration `default:"1s" range:"1ms..24h|none"`
	// CreateTimeout is when the context of Hooks.Create ends. A Create that has not returned a second later loses its
	// place, and what it returns then is closed. Default 10s. Range 1ms to 1h.
	CreateTimeout time.Duration `default:"10s" range:"1ms..1h"`
	// CloseTimeout is how long a resource that is being closed may keep its place. Default 5s. Range 1ms to 1h.
	CloseTimeout time.Duration `default:"5s" range:"1ms..1h"`
	// LeakAfter is how long a resource may be out before Leaks reports it, with the stack that acquired it. Every
	// Acquire then takes about a microsecond and an allocation more. Default none. Range 1ms to 24h, or none.
	LeakAfter time.Duration `default:"none" range:"1ms..24h|none"`
}

// Validate reports every field out of range at once, each with its name, value and what is allowed.
func (c Config) Validate() error {
	var least error
	if c.Max > 0 && c.Min > c.Max {
		least = schema.Fault("min", c.Min, fmt.Sprintf("at most max (%d)", c.Max))
	}
	return schema.Validate(c, least)
}

// Hooks are the functions that a pool calls, none of them under a lock. Create is required. Classify is asked by Do
// alone.
type Hooks[T any] struct {
	core.Hooks
	// Create makes a resource. It runs in a goroutine of the pool, with a context that carries no values of the caller,
	// since the resource outlives the call; it ends after CreateTimeout and by Close. Panic and runtime.Goexit are
	// errors of the caller that waits.
	Create func(ctx context.Context) (T, error)
	// Close ends a resource. It runs in a goroutine of the pool; an error or a panic is counted
	// (Snapshot.CloseFailures), and a hang costs no place for longer than CloseTimeout. nil: there is nothing to close.
	Close func(v T) error
	// Validate tells whether a resource that has been idle for ValidateAfter is still sound; one that is not is closed,
	// and another is tried or created. It runs in the goroutine and with the context of the caller of Acquire, so it
	// should end with that context. On a panic the resource is closed and the panic goes on. nil: every resource is
	// sound.
	Validate func(ctx context.Context, v T) error
}

func prepare(c Config) (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	return schema.Fill(c), nil
}

func describe(c Config) core.Policy { return core.Policy{Limit: int64(c.Max)} }

package batch

import (
	"context"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// Config tunes a Batcher. The zero Config is valid; an absent field means its default. Comparable, data only.
type Config struct {
	// MaxItems is how many items a batch has at most: with that many it goes. Default 100. Range 1 to 100000.
	MaxItems int `default:"100" range:"1..100000"`
	// MaxBytes is how large a batch is at most, in what Hooks.Size measures: an item that would exceed it begins the
	// next batch, and one that is larger by itself is rejected. Default none. Range 1 to 1e12, or none.
	MaxBytes core.Count `default:"none" range:"1..1000000000000|none"`
	// Delay is how long the first item of a batch waits for others. Default 5ms. Range 10us to 1m.
	Delay time.Duration `default:"5ms" range:"10us..1m"`
	// Concurrency is how many batches run at once. Default 4. Range 1 to 1000.
	Concurrency int `default:"4" range:"1..1000"`
	// Queue is how many items are held that do not run yet, those being collected included. Default 1000; MaxItems if
	// that is more. Range 1 to 1e6.
	Queue int `default:"1000" range:"1..1000000"`
	// MaxWait is how long a caller waits for a place in Queue. Default none: it is rejected at once. Range 1ms to 1h,
	// or none.
	MaxWait time.Duration `default:"none" range:"1ms..1h|none"`
	// Mode is enforce, shadow or disabled. Default enforce.
	Mode core.Mode `range:"enforce|shadow|disabled"`
}

// Validate reports every field out of range at once, each with its name, value and what is allowed.
func (c Config) Validate() error { return schema.Validate(c) }

// Hooks are the functions that a batcher calls, none of them under a lock. Run is required. Classify is not asked: a
// batcher does not judge.
type Hooks[Req, Resp any] struct {
	core.Hooks
	// Run makes one call for all of reqs, which it may keep and change, and returns a response for each in the same
	// order. An error is everybody's, unless it is or wraps an Errors: then each caller gets its own. It runs in a
	// goroutine of the batcher. Its context has no values, since those of one caller are none of the others' business;
	// it ends when all callers have left, and at the latest of their deadlines if each has one. Panic and
	// runtime.Goexit become an error of every caller.
	Run func(ctx context.Context, reqs []Req) ([]Resp, error)
	// Size measures an item for MaxBytes, in bytes; it must not be negative. It runs in the caller's goroutine. nil:
	// every item measures 0.
	Size func(Req) int
}

func prepare(c Config) (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	c = schema.Fill(c)
	c.Queue = max(c.Queue, c.MaxItems)
	return c, nil
}

func describe(c Config) core.Policy { return core.Policy{Mode: c.Mode, Limit: int64(c.MaxItems)} }

package policy

import (
	"iter"
	"reflect"

	"github.com/mw-go/mw/core/adaptive"
	"github.com/mw-go/mw/core/batch"
	"github.com/mw-go/mw/core/breaker"
	"github.com/mw-go/mw/core/budget"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/cache"
	"github.com/mw-go/mw/core/fallback"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/pool"
	"github.com/mw-go/mw/core/ratelimit"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/schema"
	"github.com/mw-go/mw/core/throttle"
	"github.com/mw-go/mw/core/timeout"
)

// Config is the settings of every named machine, by kind and name: what a configuration file holds. A name that is not
// in it means the defaults of its kind, and is an error where the kind has a required field. Data only.
type Config struct {
	Breakers       map[string]breaker.Config
	RateLimits     map[string]ratelimit.Config
	Bulkheads      map[string]bulkhead.Config
	AdaptiveLimits map[string]adaptive.Config
	Throttles      map[string]throttle.Config
	Retries        map[string]retry.Config
	Hedges         map[string]hedge.Config
	Budgets        map[string]budget.Config
	Timeouts       map[string]timeout.Config
	Fallbacks      map[string]fallback.Config
	Caches         map[string]cache.Config
	Pools          map[string]pool.Config
	Batches        map[string]batch.Config
}

// Validate reports every bad field of every machine at once, each with its path, such as
// rate_limits.login.limit.
func (c Config) Validate() error { return schema.Validate(c) }

// parts are the fields of Config: its sections.
var parts, _ = schema.Describe(reflect.TypeFor[Config]())

// sections yields the name of every section, and the names in it.
func (c Config) sections() iter.Seq2[string, []string] {
	return func(yield func(section string, names []string) bool) {
		for _, part := range parts {
			var names []string
			for _, name := range reflect.ValueOf(c).FieldByIndex(part.Index).MapKeys() {
				names = append(names, name.String())
			}
			if !yield(part.Name, names) {
				return
			}
		}
	}
}

// clone returns a copy whose maps are its own.
func clone(c Config) Config {
	v := reflect.ValueOf(&c).Elem()
	for _, part := range parts {
		old := v.FieldByIndex(part.Index)
		if old.IsNil() {
			continue
		}
		fresh := reflect.MakeMapWithSize(old.Type(), old.Len())
		for it := old.MapRange(); it.Next(); {
			fresh.SetMapIndex(it.Key(), it.Value())
		}
		old.Set(fresh)
	}
	return c
}

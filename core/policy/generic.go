package policy

import (
	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/batch"
	"github.com/mw-go/mw/core/cache"
	"github.com/mw-go/mw/core/pool"
)

// The machines whose types have parameters are asked for by functions, since a method cannot have any.

// Cache returns the cache of that name in s, made on the first call; later calls return the same one, and their hooks are
// ignored. Errors: a bad name, or a cache of that name with other types.
func Cache[K comparable, V any](s *Set, name string, h cache.Hooks[K, V]) (*cache.Cache[K, V], error) {
	return get(s, section[cache.Config, cache.Hooks[K, V], *cache.Cache[K, V]]{
		"caches", func(c Config) map[string]cache.Config { return c.Caches }, cache.New[K, V],
		func(h *cache.Hooks[K, V]) *core.Hooks { return &h.Hooks },
	}, name, h)
}

// Pool returns the pool of that name in s, made on the first call; later calls return the same one, and their hooks are
// ignored. Errors: a bad name, a pool of that name of another type, or what pool.New says of the hooks.
func Pool[T any](s *Set, name string, h pool.Hooks[T]) (*pool.Pool[T], error) {
	return get(s, section[pool.Config, pool.Hooks[T], *pool.Pool[T]]{
		"pools", func(c Config) map[string]pool.Config { return c.Pools }, pool.New[T],
		func(h *pool.Hooks[T]) *core.Hooks { return &h.Hooks },
	}, name, h)
}

// Batch returns the batcher of that name in s, made on the first call; later calls return the same one, and their hooks
// are ignored. Errors: a bad name, a batcher of that name with other types, or what batch.New says of the hooks.
func Batch[Req, Resp any](s *Set, name string, h batch.Hooks[Req, Resp]) (*batch.Batcher[Req, Resp], error) {
	return get(s, section[batch.Config, batch.Hooks[Req, Resp], *batch.Batcher[Req, Resp]]{
		"batches", func(c Config) map[string]batch.Config { return c.Batches }, batch.New[Req, Resp],
		func(h *batch.Hooks[Req, Resp]) *core.Hooks { return &h.Hooks },
	}, name, h)
}

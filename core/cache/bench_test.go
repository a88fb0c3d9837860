package cache

import (
	"context"
	"strconv"
	"testing"
	"time"
)

func benchmarkCache(b *testing.B, c Config, h testHooks) (*Cache[string, int], []string) {
	b.Helper()
	x := mustNew(b, c, h)
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = "key-" + strconv.Itoa(i)
	}
	return x, keys
}

func BenchmarkGet(b *testing.B) {
	one := func(context.Context, string) (int, error) { return 1, nil }
	for name, bench := range map[string]struct {
		c Config
		h testHooks
	}{
		"hit":         {Config{Size: 20_000, TTL: time.Hour}, testHooks{Load: one}},
		"hit/early":   {Config{Size: 20_000, TTL: time.Hour, EarlyRefresh: 1}, testHooks{Load: one}},
		"hit/own-ttl": {Config{Size: 20_000, TTL: time.Hour}, testHooks{Load: one, TTL: func(string, int) time.Duration { return time.Hour }}},
		"miss":        {Config{Size: 1, TTL: time.Hour}, testHooks{Load: one}},
	} {
		b.Run(name, func(b *testing.B) {
			c, keys := benchmarkCache(b, bench.c, bench.h)
			for _, key := range keys {
				_, _ = c.Get(bg, key, nil)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				_, _ = c.Get(bg, keys[i*7919%len(keys)], nil)
			}
		})
	}
}

func BenchmarkSet(b *testing.B) {
	for name, size := range map[string]int{"replace": 20_000, "evict": 1000} {
		b.Run(name, func(b *testing.B) {
			c, keys := benchmarkCache(b, Config{Size: size, TTL: time.Hour}, testHooks{})
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				_ = c.Set(bg, keys[i*7919%len(keys)], i)
			}
		})
	}
}

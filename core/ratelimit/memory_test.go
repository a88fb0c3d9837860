package ratelimit

import (
	"runtime"
	"testing"

	"github.com/mw-go/mw/core"
)

// TestMemoryPerKey: the promise is 64 bytes a key that is being limited, everything included.
func TestMemoryPerKey(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's own memory counts")
	}
	const keys, most = 100_000, 64
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	l := keyedLimiter(t, Config{Limit: 1, Burst: 10, MaxKeys: keys})
	now := core.Now()
	for i := range keys {
		acquire(l, 1+i, 1, now)
	}
	each := float64(heap()-before) / keys
	if n := l.Snapshot().Keys; n != keys {
		t.Fatalf("%d keys have a cell", n)
	}
	t.Logf("%.1f bytes a key", each)
	if each > most {
		t.Errorf("%.1f bytes a key, want at most %d", each, most)
	}
	runtime.KeepAlive(l)
}

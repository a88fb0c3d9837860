package policy

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/batch"
	"github.com/mw-go/mw/core/cache"
	"github.com/mw-go/mw/core/pool"
)

// Machines with type parameters are named, made, tuned and checked as the others are.
func TestGenericMachines(t *testing.T) {
	tuned := 0
	s := set(t, Config{
		Caches:  map[string]cache.Config{"prices": {Size: 50, TTL: time.Minute}},
		Pools:   map[string]pool.Config{"connections": {Max: 3}},
		Batches: map[string]batch.Config{"writes": {MaxItems: 7}},
	}, func(e core.Event) {
		if e.Type == core.Tuned {
			tuned++
		}
	})
	c := must[*cache.Cache[string, int]](t)(Cache(s, "prices", cache.Hooks[string, int]{}))
	p := must[*pool.Pool[int]](t)(Pool(s, "connections", pool.Hooks[int]{
		Create: func(context.Context) (int, error) { return 1, nil },
	}))
	b := must[*batch.Batcher[int, int]](t)(Batch(s, "writes", batch.Hooks[int, int]{
		Run: func(_ context.Context, reqs []int) ([]int, error) { return reqs, nil },
	}))
	defer func() {
		if err := c.Close(bg); err != nil {
			t.Error(err)
		}
		if err := p.Close(bg); err != nil {
			t.Error(err)
		}
		if err := b.Close(bg); err != nil {
			t.Error(err)
		}
	}()
	if c.Config().Size != 50 || p.Config().Max != 3 || b.Config().MaxItems != 7 {
		t.Error("the machines have not their settings")
	}
	if again := must[*cache.Cache[string, int]](t)(Cache(s, "prices", cache.Hooks[string, int]{})); again != c {
		t.Error("another cache")
	}
	_, err := Cache(s, "prices", cache.Hooks[string, string]{})
	if err == nil || !strings.Contains(err.Error(), "policy: caches.prices is a *cache.Cache[string,int] already") {
		t.Errorf("another type: %v", err)
	}
	if n := len(s.All()); n != 3 {
		t.Errorf("%d machines, want 3", n)
	}
	if err := s.Tune(Config{
		Caches:  map[string]cache.Config{"prices": {Size: 60, TTL: time.Minute}},
		Pools:   map[string]pool.Config{"connections": {Max: 4}},
		Batches: map[string]batch.Config{"writes": {MaxItems: 8}, "wirtes": {}},
	}); err != nil {
		t.Fatal(err)
	}
	if c.Config().Size != 60 || p.Config().Max != 4 || b.Config().MaxItems != 8 || tuned != 3 {
		t.Errorf("the machines do not follow: %d were tuned", tuned)
	}
	wantLines(t, s.Check(), "policy: batches.wirtes: no code asks for it; did you mean writes?")
}

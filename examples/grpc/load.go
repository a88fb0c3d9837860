package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw/grpcmw"
)

// sample is one call of the load: how it ended, when, and how long it took.
type sample struct {
	end  time.Time
	code codes.Code
	took time.Duration
}

// load makes calls at a fixed rate whatever the answers do, as real clients do, and keeps the samples.
type load struct {
	call func(context.Context) error
	mu   sync.Mutex // guards all
	all  []sample
}

// run calls until ctx is done and waits for the last answer.
func (l *load) run(ctx context.Context, perSecond int) {
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			wg.Go(func() { l.keep(l.once()) })
		}
	}
}

// start runs the load until the function it returns is called.
func (l *load) start(ctx context.Context, perSecond int) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { l.run(ctx, perSecond) })
	return func() {
		cancel()
		wg.Wait()
	}
}

func (l *load) once() sample {
	ctx, cancel := context.WithTimeout(context.Background(), patience) // the last calls are not cut off with the load
	defer cancel()
	start := time.Now()
	err := l.call(ctx)
	return sample{end: time.Now(), code: status.Code(err), took: time.Since(start)}
}

func (l *load) keep(s sample) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, s)
}

// between returns the samples that ended in [from, to).
func (l *load) between(from, to time.Time) (some samples) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.all {
		if !s.end.Before(from) && s.end.Before(to) {
			some = append(some, s)
		}
	}
	return some
}

type samples []sample

// count returns how many ended with one of the codes.
func (s samples) count(cs ...codes.Code) (n int) {
	for _, x := range s {
		if slices.Contains(cs, x.code) {
			n++
		}
	}
	return n
}

// kinds lists the codes that came and how often, such as "OK:99 UNAVAILABLE:1".
func (s samples) kinds() string {
	n := map[codes.Code]int{}
	for _, x := range s {
		n[x.code]++
	}
	var text []string
	for _, code := range slices.Sorted(maps.Keys(n)) {
		text = append(text, fmt.Sprintf("%s:%d", grpcmw.CodeName(code), n[code]))
	}
	return strings.Join(text, " ")
}

// median returns the median time of those with one of the codes; 0 if there is none.
func (s samples) median(cs ...codes.Code) time.Duration {
	var took []time.Duration
	for _, x := range s {
		if slices.Contains(cs, x.code) {
			took = append(took, x.took)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)/2]
}

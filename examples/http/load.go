package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// sample is one request of the load: how it ended (0: no answer), when, and how long it took.
type sample struct {
	end    time.Time
	status int
	took   time.Duration
}

// load sends requests at a fixed rate whatever the answers do, as real clients do, and keeps the samples.
type load struct {
	client *http.Client
	mu     sync.Mutex // guards samples
	all    []sample
}

func newLoad() *load {
	return &load{client: &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 512, MaxConnsPerHost: 512},
	}}
}

// run sends until ctx is done and waits for the last answer. It leaves no connection behind: a server that stops waits some
// seconds for those that were never used.
func (l *load) run(ctx context.Context, perSecond int, method, url, body string) {
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	var wg sync.WaitGroup
	defer l.client.CloseIdleConnections()
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			wg.Go(func() { l.keep(l.send(method, url, body)) })
		}
	}
}

// send sends one request, with a body of JSON if it is not empty.
func (l *load) send(method, url, body string) sample {
	start := time.Now()
	req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		return sample{end: time.Now()}
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return sample{end: time.Now(), took: time.Since(start)}
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return sample{end: time.Now(), took: time.Since(start)}
	}
	return sample{end: time.Now(), status: resp.StatusCode, took: time.Since(start)}
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

// count returns how many have one of the statuses.
func (s samples) count(statuses ...int) (n int) {
	for _, x := range s {
		if slices.Contains(statuses, x.status) {
			n++
		}
	}
	return n
}

// kinds lists the statuses that came and how often, such as "201:99 503:1"; 0 is no answer.
func (s samples) kinds() string {
	n := map[int]int{}
	for _, x := range s {
		n[x.status]++
	}
	var text []string
	for _, status := range slices.Sorted(maps.Keys(n)) {
		text = append(text, fmt.Sprintf("%d:%d", status, n[status]))
	}
	return strings.Join(text, " ")
}

// median returns the median time of those with the status; 0 if there is none.
func (s samples) median(status int) time.Duration { return s.quantile(status, 0.5) }

// quantile returns the time that this share of those with the status took at most; 0 if there is none.
func (s samples) quantile(status int, share float64) time.Duration {
	var took []time.Duration
	for _, x := range s {
		if x.status == status {
			took = append(took, x.took)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[int(float64(len(took)-1)*share)]
}

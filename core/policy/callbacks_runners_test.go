package policy_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/fallback"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/core/retry"
	"github.com/mw-go/mw/core/timeout"
)

func runnerRows() []callbackRow {
	return append([]callbackRow{
		{machine: "retry", callback: "fn", open: openRetry},
		{machine: "retry", callback: "second fn", open: openRetry},
		{machine: "retry", callback: "Classify", open: openRetry},
		{machine: "retry", callback: "Retryable", open: openRetry},
		{machine: "retry", callback: "Backoff", open: openRetry},
		{machine: "retry", callback: "OnEvent", tells: event, open: openRetry},
		{machine: "timeout", callback: "fn", open: openTimeout},
		{machine: "timeout", callback: "Classify", open: openTimeout},
		{machine: "timeout", callback: "OnEvent", tells: event, open: openTimeout},
		{machine: "timeout", callback: "abandonable fn", tells: carried, leaves: true, open: openTimeout},
		{machine: "timeout", callback: "OnAbandoned", tells: counted, leaves: true, open: openTimeout},
		{machine: "fallback", callback: "fn", open: openFallback},
		{machine: "fallback", callback: "Run", open: openFallback},
		{machine: "fallback", callback: "When", open: openFallback},
		{machine: "fallback", callback: "Classify", open: openFallback},
		{machine: "fallback", callback: "OnEvent", tells: event, open: openFallback},
		{machine: "hedge", callback: "fn", tells: carried, leaves: true, open: openHedge},
		{machine: "hedge", callback: "fn alone", open: openHedge},
		{machine: "hedge", callback: "second fn", tells: carried, leaves: true, open: openHedge},
		{machine: "hedge", callback: "May", open: openHedge},
		{machine: "hedge", callback: "Fatal", tells: carried, open: openHedge},
		{machine: "hedge", callback: "Classify", tells: carried, leaves: true, open: openHedge},
		{machine: "hedge", callback: "OnLoser", tells: counted, leaves: true, open: openHedge},
		{machine: "hedge", callback: "OnEvent", tells: event, open: openHedge},
	}, keeperRows()...)
}

func openRetry(t *testing.T, s *scene, at string) subject {
	h := retry.Hooks{Hooks: s.hooks(at)}
	switch at {
	case "Retryable":
		h.Retryable = func(ctx context.Context, _ core.Outcome, _ error) bool { return s.strike(ctx) == nil }
	case "Backoff":
		h.Backoff = func(int, error) time.Duration { s.strikeBlind(); return time.Millisecond }
	}
	c := retry.Config{Base: time.Millisecond, MaxAttempts: 2}
	r := must[*retry.Retry](t)(retry.New("r", c, h))
	serve := func(ctx context.Context) error { _, err := retry.Do(ctx, r, good); return err }
	sub := subject{
		serve: serve,
		call: func(ctx context.Context) error {
			_, err := retry.Do(ctx, r, func(ctx context.Context) (int, error) {
				if at != "fn" && at != "Classify" && retry.Attempt(ctx) == 1 {
					return fails(ctx)
				}
				return s.fn(at, "second fn")(ctx)
			})
			return err
		},
		rest: func() string {
			snap := r.Snapshot()
			if b := snap.Budget; b.Withdrawn-b.Refunded != snap.Retries {
				return fmt.Sprintf("%d retries took %d tokens and gave back %d", snap.Retries, b.Withdrawn, b.Refunded)
			}
			return ""
		},
	}
	return sub.told(at, r, func() error { c.MaxAttempts++; return r.Tune(c) })
}

func openTimeout(t *testing.T, s *scene, at string) subject {
	h := timeout.Hooks{Hooks: s.hooks(at)}
	c := timeout.Config{Limit: time.Minute, Adaptive: true, MaxAbandoned: 1}
	call := func(to *timeout.Timeout) func(ctx context.Context) error {
		return func(ctx context.Context) error { _, err := timeout.Do(ctx, to, s.fn(at)); return err }
	}
	switch at {
	case "abandonable fn":
		call = func(to *timeout.Timeout) func(ctx context.Context) error {
			return func(ctx context.Context) error {
				_, err := timeout.DoAbandoning(ctx, to, s.fn(at, "abandonable fn"))
				return err
			}
		}
	case "OnAbandoned":
		h.OnAbandoned = func(timeout.Abandoned) { s.strikeBlind() }
		c.Limit = time.Millisecond
		call = func(to *timeout.Timeout) func(ctx context.Context) error {
			return func(ctx context.Context) error {
				_, err := timeout.DoAbandoning(ctx, to, func(context.Context) (int, error) { time.Sleep(time.Second / 2); return 1, nil })
				return err
			}
		}
	}
	to := must[*timeout.Timeout](t)(timeout.New("t", c, h))
	sub := subject{
		call:  call(to),
		serve: func(ctx context.Context) error { _, err := timeout.Do(ctx, to, good); return err },
		rest: func() string {
			if snap := to.Snapshot(); snap.Running != 0 || snap.Stuck != 0 {
				return fmt.Sprintf("%d run, %d are stuck", snap.Running, snap.Stuck)
			}
			return ""
		},
	}.told(at, to, func() error { c.Limit++; return to.Tune(c) })
	if at == "OnAbandoned" {
		sub.count = func() uint64 { return to.Snapshot().Panics }
	}
	return sub
}

func openFallback(t *testing.T, s *scene, at string) subject {
	h := fallback.Hooks{Hooks: s.hooks(at)}
	if at == "When" {
		h.When = func(core.Outcome, error) bool { s.strikeBlind(); return true }
	}
	c := fallback.Config{Limit: 4}
	f := must[*fallback.Fallback](t)(fallback.New("f", c, h))
	run := s.fn(at, "Run")
	if at == "fn" {
		run = good
	}
	chain := fallback.Chain[int]{{By: f, Run: func(ctx context.Context, _ error) (int, error) { return run(ctx) }}}
	first := fails
	if at == "fn" {
		first = s.fn(at)
	}
	return subject{
		call: func(ctx context.Context) error { _, err := fallback.Do(ctx, chain, first); return err },
		rest: func() string {
			if snap := f.Snapshot(); snap.Running != 0 {
				return fmt.Sprintf("%d run", snap.Running)
			}
			return ""
		},
	}.told(at, f, func() error { c.Limit++; return f.Tune(c) })
}

func openHedge(t *testing.T, s *scene, at string) subject {
	h := hedge.Hooks{Hooks: s.hooks(at)}
	fn := func(ctx context.Context) (int, error) {
		switch n := hedge.Attempt(ctx); {
		case at == "Fatal":
			return fails(ctx)
		case at == "fn alone":
			return 1, s.strike(ctx)
		case at == "fn" && n == 1:
			return 1, s.strike(ctx)
		case at == "second fn" && n == 1, at == "OnLoser" && n == 1:
			<-ctx.Done()
			return 0, ctx.Err()
		case at == "second fn":
			return 1, s.strike(ctx)
		}
		return 1, nil
	}
	switch at {
	case "May":
		h.May = func(ctx context.Context) bool { _ = s.strike(ctx); return true }
	case "Fatal":
		h.Fatal = func(ctx context.Context, _ core.Outcome, _ error) bool { return s.strike(ctx) != nil }
	case "OnLoser":
		h.OnLoser = func(hedge.Loser) { s.strikeBlind() }
	}
	c := hedge.Config{Delay: 10 * time.Millisecond, Ratio: 1, Burst: 100}
	g := must[*hedge.Hedge](t)(hedge.New("h", c, h))
	sub := subject{
		call: func(ctx context.Context) error {
			if at == "fn alone" {
				ctx = hedge.Once(ctx)
			}
			_, err := hedge.Do(ctx, g, fn)
			return err
		},
		serve: func(ctx context.Context) error { _, err := hedge.Do(ctx, g, good); return err },
		rest: func() string {
			if snap := g.Snapshot(); snap.Stragglers != 0 || snap.Losers != 0 {
				return fmt.Sprintf("%d stragglers, %d losers", snap.Stragglers, snap.Losers)
			}
			return ""
		},
	}.told(at, g, func() error { c.Burst++; return g.Tune(c) })
	if at == "OnLoser" {
		sub.count = func() uint64 { return g.Snapshot().Panics }
	}
	return sub
}

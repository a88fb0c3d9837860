package batch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mw-go/mw/core"
)

// group is one batch, from its first item to its results.
type group[Req, Resp any] struct {
	finished chan struct{} // closed when the results are there

	// Batcher.mu guards these until started is set; items do not change any more then.
	pile    pile
	items   []item[Req]
	started bool
	here    int                // callers that have not left, once started
	cancel  context.CancelFunc // of the call's context

	// Written before finished is closed, read after.
	resps []Resp
	errs  Errors
	err   error // everybody's
}

// item is what one caller has put in.
type item[Req any] struct {
	req   Req
	size  int64
	until time.Time // its caller's deadline,
	ends  bool      // if there is one
	gone  bool      // its caller left before the batch began
	at    int       // its place in the call, which those who left are not in
}

// ticket tells a caller where its item is.
type ticket[Req, Resp any] struct {
	group *group[Req, Resp]
	index int
}

// begin makes the call's arguments of the items whose callers are still here. The context ends at the latest of their
// deadlines, if each has one.
func (g *group[Req, Resp]) begin() (ctx context.Context, reqs []Req) {
	reqs = make([]Req, 0, g.pile.items)
	var last time.Time
	all := true
	for i := range g.items {
		it := &g.items[i]
		if it.gone {
			continue
		}
		it.at = len(reqs)
		reqs = append(reqs, it.req)
		if all = all && it.ends; it.until.After(last) {
			last = it.until
		}
		it.req = *new(Req) // Run may be done with it long before the last caller is
	}
	g.started, g.here = true, len(reqs)
	if all {
		ctx, g.cancel = context.WithDeadline(context.Background(), last)
	} else {
		ctx, g.cancel = context.WithCancel(context.Background())
	}
	return ctx, reqs
}

// take notes what Run has returned for n items.
func (g *group[Req, Resp]) take(name string, n int, resps []Resp, err error) {
	if errs, ok := errors.AsType[Errors](err); ok {
		if len(errs) != n {
			g.err = &CountError{Batch: name, Items: n, Responses: len(errs), Err: err}
			return
		}
		g.errs, err = errs, nil
	}
	if err == nil && len(resps) != n {
		err = &CountError{Batch: name, Items: n, Responses: len(resps)}
		if g.errs != nil {
			err = &CountError{Batch: name, Items: n, Responses: len(resps), Err: g.errs}
		}
	}
	g.resps, g.err = resps, err
}

// result is what the caller of an item gets. The group has finished.
func (g *group[Req, Resp]) result(index int) (resp Resp, err error) {
	if g.err != nil {
		return resp, g.err
	}
	at := g.items[index].at
	if g.errs != nil {
		err = g.errs[at]
	}
	return g.resps[at], err
}

// call runs a batch, in a goroutine of its own.
func (b *Batcher[Req, Resp]) call(ctx context.Context, g *group[Req, Resp], reqs []Req) {
	name := b.live.Load().Policy.Name
	returned := false
	defer func() {
		if r := recover(); r != nil {
			g.err = fmt.Errorf("batch %q: Run panicked: %w", name, core.Recovered(r))
		} else if !returned {
			g.err = fmt.Errorf("batch %q: Run: %w", name, core.ErrGoexit)
		}
		g.cancel()
		close(g.finished)
		b.ended()
	}()
	n := len(reqs)
	resps, err := b.hooks.Run(ctx, reqs)
	g.take(name, n, resps, err)
	returned = true
}

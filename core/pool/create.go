package pool

import (
	"context"
	"time"

	"github.com/mw-go/mw/core"
)

// grace is how long a Create may go on after its context has ended before it loses its place.
const grace = time.Second

// job is one run of Create or Close in a goroutine of its own.
type job struct {
	over bool // its place has been given back; guarded by Pool.mu
}

// open begins to create a resource. mu is held.
func (p *Pool[T]) open(c *Config) {
	p.n.open++
	p.n.creating++
	p.jobs++
	go p.create(c.CreateTimeout, &job{})
}

// create runs the hook. What it makes belongs to nobody in particular: it goes to whoever waits first by then.
func (p *Pool[T]) create(limit time.Duration, j *job) {
	ctx, cancel := context.WithTimeoutCause(p.life, limit, core.ErrTimeout)
	defer cancel()
	late := time.AfterFunc(limit+grace, func() { p.abandonCreate(j) })
	var v T
	err := core.ErrGoexit // what is left when neither a return nor a panic ends it
	defer func() {
		late.Stop()
		if r := recover(); r != nil {
			err = core.Recovered(r)
		}
		p.created(j, v, err)
	}()
	v, err = p.hooks.Create(ctx)
}

// created takes in what a Create has returned.
func (p *Pool[T]) created(j *job, v T, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.jobs--
	switch {
	case j.over:
		p.abandoned--
		if err == nil {
			p.shut(v, &job{over: true})
		}
	case err != nil:
		p.failed(j, err)
	default:
		j.over = true
		p.n.creating--
		p.count.created++
		p.failing = false
		p.settle(v, &p.live.Load().Config)
		p.wakeIn(p.live.Load().Derived.beat)
	}
	p.serve()
}

// abandonCreate gives up a Create that does not return.
func (p *Pool[T]) abandonCreate(j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !j.over {
		p.abandoned++
		p.failed(j, core.ErrTimeout)
		p.serve()
	}
}

// failed gives the place of a Create back. The caller that has waited longest gets the error, if somebody waits: each
// failure answers one, so none waits for more failures than there are callers before it. mu is held.
func (p *Pool[T]) failed(j *job, err error) {
	j.over = true
	p.n.open--
	p.n.creating--
	p.count.createFailures++
	p.failing = true
	p.answer(nil, &CreateError{Pool: p.live.Load().Policy.Name, Err: err})
	if p.n.open < p.live.Load().Config.Min {
		p.wakeIn(retryFill)
	}
}

// retire closes a resource whose slot the caller owns. Its place stays taken until it is closed, or too long about it.
// mu is held.
func (p *Pool[T]) retire(sl *slot[T]) {
	v := p.clear(sl)
	p.n.open--
	p.count.closed++
	if p.hooks.Close != nil {
		p.n.closing++
		p.shut(v, &job{})
	}
}

// shut begins to close v. mu is held.
func (p *Pool[T]) shut(v T, j *job) {
	if p.hooks.Close == nil {
		return
	}
	p.jobs++
	if j.over {
		p.abandoned++
	}
	go p.close(v, p.live.Load().Config.CloseTimeout, j)
}

// close runs the hook.
func (p *Pool[T]) close(v T, limit time.Duration, j *job) {
	late := time.AfterFunc(limit, func() { p.abandonClose(j) })
	ok := false
	defer func() {
		late.Stop()
		_ = recover() // a panic has nobody to go to; it is counted
		p.shutDown(j, ok)
	}()
	ok = p.hooks.Close(v) == nil
}

// shutDown takes note of a Close that has returned.
func (p *Pool[T]) shutDown(j *job, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.jobs--
	if !ok {
		p.count.closeFailures++
	}
	if j.over {
		p.abandoned--
	} else {
		j.over = true
		p.n.closing--
	}
	p.serve()
}

// abandonClose gives the place of a Close back that does not return.
func (p *Pool[T]) abandonClose(j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !j.over {
		j.over = true
		p.n.closing--
		p.abandoned++
		p.serve()
	}
}

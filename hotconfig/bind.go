package hotconfig

import (
	"context"
	"errors"
	"fmt"
)

// Target is something that follows a part of a configuration: a machine, or a whole set of them.
//
// Prepare judges c and gets ready, but changes nothing that anybody can see, holds nothing that would have to be given
// back, and may be called and forgotten. The commit it returns puts c into force; it cannot fail and does not block. A
// nil commit means there is nothing to do. Both run inside a reload and must not call Reload, Bind or Close.
type Target[C any] interface {
	Prepare(c C) (commit func(), err error)
}

// preparer is a Target of a part of T, with the picking done.
type preparer[T any] func(*T) (commit func(), err error)

// Bind makes target follow the part of the configuration that pick returns. The present value is applied at once; if the
// target refuses it, Bind returns the error and the target is not bound. From then on the target is part of every
// reload: first all targets prepare, in the order they were bound, then the new configuration is published, then all
// commit. If one of them refuses, or panics while preparing, nothing changes anywhere, and the reload is rejected with its
// error.
//
// A target is prepared at every new version, also if its own part has not changed.
func Bind[T, C any](l *Live[T], pick func(*T) C, target Target[C]) error {
	p := func(cfg *T) (func(), error) { return target.Prepare(pick(cfg)) }
	return l.bind(context.Background(), p)
}

func (l *Live[T]) bind(ctx context.Context, p preparer[T]) error {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-l.turn }()
	commit, err := prepareAll([]preparer[T]{p}, l.Get())
	if err != nil {
		return err
	}
	if err := commit(); err != nil {
		return err
	}
	l.targets = append(l.targets, p)
	return nil
}

// prepareAll prepares every target, and returns one function that commits them all. That function goes on after a
// commit that panicked, since the others have no way back, and returns the panics.
func prepareAll[T any](targets []preparer[T], cfg *T) (commit func() error, err error) {
	var commits []func()
	for _, p := range targets {
		c, err := prepareOne(p, cfg)
		if err != nil {
			return nil, fmt.Errorf("hotconfig: a bound target refuses the configuration: %w", err)
		}
		if c != nil {
			commits = append(commits, c)
		}
	}
	return func() error {
		var errs []error
		for _, c := range commits {
			errs = append(errs, guarded("commit", c))
		}
		return errors.Join(errs...)
	}, nil
}

func prepareOne[T any](p preparer[T], cfg *T) (commit func(), err error) {
	defer func() {
		if r := recover(); r != nil {
			err = panicError("Prepare", r)
		}
	}()
	return p(cfg)
}

// guarded runs f and returns its panic, if any, as an error.
func guarded(what string, f func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = panicError(what, r)
		}
	}()
	f()
	return nil
}

package cache

import "errors"

// ErrClosed is returned by every operation on a cache after Close, and to callers who were waiting for a load then.
var ErrClosed = errors.New("cache: closed")

// ErrNoLoad is returned by Get when it has to load and has been given no load, and Hooks has none either.
var ErrNoLoad = errors.New("cache: no load function")

// ErrKey is returned for a key that is not equal to itself, such as a NaN: nothing could ever be found under it.
var ErrKey = errors.New("cache: a key that is not equal to itself")

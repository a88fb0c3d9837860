//go:build !amd64 || purego

package simd

// dispatchFlags returns the flags that choose a form, the strongest first.
func dispatchFlags() []*bool { return nil }

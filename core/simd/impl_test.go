package simd

import "testing"

// forEachImpl runs f under every form that this machine has: with each dispatch flag that is up put down in turn, the
// strongest first, until the plain form is left. All flags are as before afterwards.
func forEachImpl(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	flags := dispatchFlags()
	saved := make([]bool, len(flags))
	for i, flag := range flags {
		saved[i] = *flag
	}
	defer func() {
		for i, flag := range flags {
			*flag = saved[i]
		}
	}()
	for i := 0; ; i++ {
		if i == 0 || saved[i-1] {
			t.Run(Level(), f)
		}
		if i == len(flags) {
			return
		}
		*flags[i] = false
	}
}

package budget

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustNew(t testing.TB, c Config) *Budget {
	t.Helper()
	b, err := New("test", c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func tune(t testing.TB, b *Budget, c Config) {
	t.Helper()
	if err := b.Tune(c); err != nil {
		t.Fatal(err)
	}
}

// drain withdraws until it is refused, at most limit times, and returns how many were allowed.
func drain(b *Budget, limit int) (allowed int) {
	for allowed < limit && b.Withdraw(0) {
		allowed++
	}
	return allowed
}

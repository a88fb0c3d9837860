package conformance

import (
	"io"
	"log"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// hang bounds waits that end at once unless something is broken.
const hang = 20 * time.Second

// quietLog is for servers whose handlers panic on purpose.
var quietLog = log.New(io.Discard, "", 0)

// sample is a file for handlers that copy one, so that sendfile has its part in the test.
var sample string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		panic(err)
	}
	sample = filepath.Join(dir, "sample.txt")
	if err := os.WriteFile(sample, text(0, 1<<17), 0o600); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// text is n bytes of what every body of this test is made of, from an offset on: no two windows of it look alike.
func text(offset, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		at := offset + i
		b[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[(at^at>>5^at>>11)%36]
	}
	return b
}

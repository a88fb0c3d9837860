package hedge

import (
	"context"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/mw-go/mw/core"
)

// A call that is over holds nothing of its caller's: not in a timer that would run for another hour, nor in the release
// of a result that is kept.
func TestNothingOfACallIsKept(t *testing.T) {
	h := mustNew(t, Config{Delay: time.Hour}, Hooks{})
	request := func() (weak.Pointer[[1000]byte], context.CancelFunc) {
		body := new([1000]byte)
		_, _, release, err := DoKeeping(bg, h, func(context.Context) (int, error) { return int(body[0]), nil })
		if err != nil {
			t.Error(err)
		}
		return weak.Make(body), release
	}
	body, release := request()
	for range 5 { // the attempt's goroutine may have its last steps still to go
		runtime.GC()
		if body.Value() == nil {
			break
		}
		runtime.Gosched()
	}
	if body.Value() != nil {
		t.Error("what the function captured is kept")
	}
	release()
	runtime.KeepAlive(h)
}

// The delay is taken anew ten times a second, and at once if the clock runs backwards.
func TestDelayIsTakenAnew(t *testing.T) {
	m := derive(nil, mustNew(t, Config{}, Hooks{}).Config(), 0)
	now := core.Time(-1e18)
	at := func(after time.Duration, want time.Duration) {
		t.Helper()
		if got := m.at(now.Add(after)); got < want || got > want+want/8 {
			t.Errorf("after %v: delay %v, want %v", after, got, want)
		}
	}
	if d := m.at(now); d != unknown {
		t.Errorf("no samples, and a delay of %v", d)
	}
	for range 200 {
		m.learn(now, 20*ms)
	}
	if d := m.at(now.Add(refresh - 1)); d != unknown {
		t.Errorf("taken anew too early: %v", d)
	}
	at(refresh, 20*ms)
	for range 200 {
		m.learn(now.Add(refresh), 40*ms)
	}
	at(refresh, 20*ms)
	at(-time.Hour, 40*ms)
}

package timeout

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

// heard collects what OnAbandoned is told.
type heard struct {
	mu  sync.Mutex
	all []Abandoned
}

func (h *heard) hear(a Abandoned) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, a)
}

func (h *heard) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.all)
}

// B1, B4: the caller goes on at once, and who listens gets what comes later.
func TestAbandon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h heard
		to := mustNew(t, Config{Limit: 100 * ms}, Hooks{OnAbandoned: h.hear})
		got := call(func() (int, error) { return DoAbandoning(bg, to, deaf(7, errDown, time.Second)) })
		if got.took != 100*ms || !errors.Is(got.err, core.ErrTimeout) || got.v != 0 {
			t.Errorf("our limit: %+v", got)
		}
		ctx, cancel := context.WithTimeout(bg, 50*ms)
		defer cancel()
		got = call(func() (int, error) { return DoAbandoning(ctx, to, deaf(8, nil, time.Second)) })
		if got.took != 50*ms || got.err != context.DeadlineExceeded || got.v != 0 {
			t.Errorf("the caller's deadline: %+v", got)
		}
		gone, leave := context.WithCancel(bg)
		time.AfterFunc(30*ms, leave)
		got = call(func() (int, error) { return DoAbandoning(gone, to, deaf(9, nil, time.Second)) })
		if got.took != 30*ms || got.err != context.Canceled || got.v != 0 {
			t.Errorf("the caller has left: %+v", got)
		}
		if s := to.Snapshot(); s.Running != 3 || s.Abandoned != 3 || s.TimedOut != 1 || h.count() != 0 {
			t.Errorf("while they run: %+v, %d heard", s, h.count())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(h.all) != 3 || h.all[0].Value != 7 || h.all[0].Err != errDown || h.all[1].Value != 8 || h.all[2].Value != 9 {
			t.Errorf("heard %+v", h.all)
		}
		for _, a := range h.all {
			if a.By.Name != "test" || a.By.Kind != core.KindTimeout || a.Panic != nil {
				t.Errorf("heard %+v", a)
			}
		}
		atRest(t, to)
	})
}

// What comes in time, or in the same instant as the limit, is the caller's: OnAbandoned never hears of it as well.
func TestResultHasOneOwner(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			var h heard
			to := mustNew(t, Config{Limit: 100 * ms}, Hooks{OnAbandoned: h.hear})
			got := call(func() (int, error) { return DoAbandoning(bg, to, deaf(7, nil, 100*ms)) })
			time.Sleep(ms)
			synctest.Wait()
			switch {
			case got.err == nil && got.v == 7 && len(h.all) == 0:
			case errors.Is(got.err, core.ErrTimeout) && got.v == 0 && len(h.all) == 1 && h.all[0].Value == 7:
			default:
				t.Errorf("got %+v, heard %+v", got, h.all)
			}
			atRest(t, to)
		})
	}
}

// B2: beyond MaxAbandoned a call waits for its function.
func TestCapWaitsForTheFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := mustNew(t, Config{Limit: 100 * ms, MaxAbandoned: 1}, Hooks{})
		first := call(func() (int, error) { return DoAbandoning(bg, to, deaf(0, nil, time.Hour)) })
		if first.took != 100*ms {
			t.Errorf("the first: %+v", first)
		}
		late := make(chan ending, 1)
		go func() { late <- call(func() (int, error) { return DoAbandoning(bg, to, deaf(7, nil, time.Minute)) }) }()
		time.Sleep(200 * ms)
		synctest.Wait()
		if s := to.Snapshot(); s.Running != 1 || s.Stuck != 1 || s.Abandoned != 1 {
			t.Errorf("at the cap: %d run, %d stuck, %d left", s.Running, s.Stuck, s.Abandoned)
		}
		if got := <-late; got.v != 7 || got.err != nil || got.took != time.Minute {
			t.Errorf("the second: %+v", got)
		}
		got := call(func() (int, error) { return DoAbandoning(bg, to, deaf(0, errDown, time.Minute)) })
		if !errors.Is(got.err, core.ErrTimeout) || !errors.Is(got.err, errDown) || got.took != time.Minute {
			t.Errorf("the third: %+v", got)
		}
		if got := call(func() (int, error) { return DoAbandoning(bg, to, works(8, 50*ms)) }); got.v != 8 || got.err != nil {
			t.Errorf("at the cap a healthy call: %+v", got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		atRest(t, to)
		if s := to.Snapshot(); s.Abandoned != 1 || s.Late != 1 || s.TimedOut != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// B2: or for a place, that another function gives back or a Tune makes.
func TestCapWaitsForAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := mustNew(t, Config{Limit: 100 * ms, MaxAbandoned: 1}, Hooks{})
		ends := make(chan time.Duration, 4)
		for i := range 4 {
			go func() {
				got := call(func() (int, error) { return DoAbandoning(bg, to, deaf(0, nil, time.Duration(i+1)*time.Hour)) })
				if !errors.Is(got.err, core.ErrTimeout) {
					t.Errorf("call %d: %+v", i, got)
				}
				ends <- got.took
			}()
			time.Sleep(ms)
		}
		want := func(d time.Duration) {
			t.Helper()
			if got := <-ends; got != d {
				t.Errorf("a call came back after %v, want %v", got, d)
			}
		}
		want(100 * ms)
		want(time.Hour - ms) // when the first has ended
		time.Sleep(time.Minute)
		if err := to.Tune(Config{Limit: 100 * ms, MaxAbandoned: 2}); err != nil {
			t.Fatal(err)
		}
		want(time.Hour + time.Minute - 2*ms)
		want(2*time.Hour - 2*ms) // when the second has
		if err := to.Tune(Config{Limit: 100 * ms, MaxAbandoned: 1}); err != nil {
			t.Fatal(err)
		}
		if s := to.Snapshot(); s.Running != 2 || s.Stuck != 0 {
			t.Errorf("a smaller cap takes nothing back: %d run, %d stuck", s.Running, s.Stuck)
		}
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		atRest(t, to)
		if s := to.Snapshot(); s.Abandoned != 4 {
			t.Errorf("%d left", s.Abandoned)
		}
	})
}

// A place granted to a call whose function ends in the same instant goes on to the next.
func TestGrantedAndEndedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 10 {
			var p places
			p.resize(1)
			if !p.take(nil) {
				t.Fatal("no place")
			}
			ended := make(chan struct{})
			took, last := make(chan bool, 2), make(chan bool, 1)
			for range 2 {
				go func() { took <- p.take(ended) }()
			}
			synctest.Wait()
			go func() { last <- p.take(make(chan struct{})) }() // its function never ends
			synctest.Wait()
			p.mu.Lock()
			close(ended) // wakes the first two, who find that
			p.taken--
			p.grant() // one of them has been granted a place
			p.mu.Unlock()
			if one, other := <-took, <-took; one && other {
				t.Error("one place for two")
			} else if one || other {
				t.Error("a place for a function that has ended")
			}
			if synctest.Wait(); len(last) != 1 || !<-last {
				t.Fatal("the place is lost")
			}
			if taken, waiting := p.count(); taken != 1 || waiting != 0 {
				t.Errorf("%d places are taken, %d wait", taken, waiting)
			}
		}
	})
}

// The same for a function that ends while its caller has taken a place already.
func TestEndedWhileLeaving(t *testing.T) {
	to := mustNew(t, Config{Limit: time.Second}, Hooks{})
	gone, cancel := context.WithCancel(bg)
	cancel()
	for range 100 { // select takes either way
		a, _ := to.Admit(0, core.Never)
		d := a.Detach()
		d.End(false)
		a.Done(0, core.Success)
		if d.Leave(gone.Done()) {
			t.Fatal("a function that has ended is left behind")
		}
	}
	atRest(t, to)
	if s := to.Snapshot(); s.Abandoned != 0 {
		t.Errorf("%d left", s.Abandoned)
	}
}

// B3: before the limit a panic is the caller's, with the stack that it came from, and Goexit too.
func TestPanicReachesTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := mustNew(t, Config{Limit: 100 * ms}, Hooks{})
		got := call(func() (int, error) { return DoAbandoning(bg, to, panics) })
		p, ok := got.panic.(*core.PanicError)
		if !ok || p.Value != error(errDown) || !errors.Is(p, errDown) {
			t.Fatalf("recovered %v", got.panic)
		}
		if text := p.Error(); !strings.HasPrefix(text, "down\n\ngoroutine ") || !strings.Contains(text, "timeout.panics") {
			t.Errorf("the stack of the panic is lost: %s", text)
		}
		got = call(func() (int, error) {
			return DoAbandoning(bg, to, func(context.Context) (int, error) { panic("a word") })
		})
		if p, ok := got.panic.(*core.PanicError); !ok || p.Value != "a word" || p.Unwrap() != nil {
			t.Errorf("recovered %v", got.panic)
		}
		if got := call(func() (int, error) { return DoAbandoning(bg, to, exits) }); !got.exited {
			t.Errorf("Goexit became %+v", got)
		}
		if s := to.Snapshot(); s.Panics != 0 || s.Abandoned != 0 || s.Admitted != 3 {
			t.Errorf("%+v", s)
		}
	})
}

// B4: after it a panic and Goexit are caught and counted, also those of OnAbandoned, and the places come back.
func TestPanicOfAFunctionLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h heard
		bad := map[string]func(Abandoned){
			"nobody listens":        nil,
			"OnAbandoned works":     h.hear,
			"OnAbandoned panics":    func(Abandoned) { panic("bad") },
			"OnAbandoned exits":     func(Abandoned) { _, _ = exits(bg) },
			"OnAbandoned is slow":   func(Abandoned) { time.Sleep(time.Minute) },
			"OnAbandoned calls too": nil,
		}
		for name, hook := range bad {
			var to *Timeout
			if name == "OnAbandoned calls too" {
				hook = func(Abandoned) { _, _ = Do(bg, to, works(1, 0)); to.Snapshot() }
			}
			to = mustNew(t, Config{Limit: 100 * ms, MaxAbandoned: 3}, Hooks{OnAbandoned: hook})
			for _, end := range []fn{panics, exits, works(1, 0)} {
				got := call(func() (int, error) {
					return DoAbandoning(bg, to, func(ctx context.Context) (int, error) { time.Sleep(time.Second); return end(ctx) })
				})
				if got.took != 100*ms || !errors.Is(got.err, core.ErrTimeout) {
					t.Errorf("%s: %+v", name, got)
				}
			}
			time.Sleep(time.Second)
			synctest.Wait()
			want := uint64(2)
			switch name {
			case "OnAbandoned panics", "OnAbandoned exits":
				want = 5
			case "OnAbandoned is slow":
				if s := to.Snapshot(); s.Running != 3 {
					t.Errorf("%d run while OnAbandoned does", s.Running)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
			}
			if s := to.Snapshot(); s.Panics != want {
				t.Errorf("%s: %d panics, want %d", name, s.Panics, want)
			}
			atRest(t, to)
		}
		if len(h.all) != 3 || h.all[0].Panic == nil || h.all[0].Panic.Value != error(errDown) || h.all[0].Value != nil {
			t.Fatalf("heard %+v", h.all)
		}
		if a := h.all[1]; a.Panic != nil || a.Value != nil || a.Err != nil {
			t.Errorf("of Goexit it heard %+v", a)
		}
	})
}

// Shadow and disabled mode leave nothing behind: fn runs where its caller is.
func TestNothingIsLeftBehindInShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range []core.Mode{core.Shadow, core.Disabled} {
			to := mustNew(t, Config{Limit: 100 * ms, Mode: mode}, Hooks{})
			ctx, cancel := context.WithTimeout(bg, 10*ms)
			got := call(func() (int, error) { return DoAbandoning(ctx, to, deaf(7, nil, time.Second)) })
			cancel()
			if got.v != 7 || got.err != nil || got.took != time.Second {
				t.Errorf("%v: %+v", mode, got)
			}
			if got := call(func() (int, error) { return DoAbandoning(bg, to, panics) }); got.panic != error(errDown) {
				t.Errorf("%v: recovered %v", mode, got.panic)
			}
		}
	})
}

// Many calls at once, some that heed their context and some that do not: all come back in time or hold to the cap.
func TestAbandonStress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h heard
		to := mustNew(t, Config{Limit: 100 * ms, MaxAbandoned: 10}, Hooks{OnAbandoned: h.hear})
		var wg sync.WaitGroup
		var mu sync.Mutex
		answers := 0
		for i := range 500 {
			wg.Go(func() {
				time.Sleep(time.Duration(i%50) * ms)
				fns := []fn{works(1, 50*ms), deaf(1, nil, time.Duration(i)*ms), panics, exits, works(1, time.Hour)}
				got := call(func() (int, error) { return DoAbandoning(bg, to, fns[i%len(fns)]) })
				if got.v == 1 {
					mu.Lock()
					answers++
					mu.Unlock()
				}
				if s := to.Snapshot(); s.Running > 10 {
					t.Errorf("%d run", s.Running)
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		atRest(t, to)
		s := to.Snapshot()
		if s.Admitted != 500 || int(s.Abandoned) != len(h.all) || answers == 0 || s.Abandoned == 0 {
			t.Errorf("%+v, %d heard, %d answers", s, len(h.all), answers)
		}
	})
}

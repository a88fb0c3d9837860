package hedge

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

// heard collects what OnLoser is told.
type heard struct {
	mu  sync.Mutex
	all []Loser
}

func (h *heard) hear(l Loser) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, l)
}

// E3: a panic of any attempt is the caller's, with the stack that it came from, and Goexit too; the others have lost.
func TestPanicAndGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l heard
		h := mustNew(t, fixed, Hooks{OnLoser: l.hear})
		for _, first := range []fn{nil, works(1, time.Hour), fails(0, errBusy, ms)} {
			call := func(end fn) fn { return end }
			if first != nil {
				call = func(end fn) fn { return attempts(first, end) }
			}
			got := do(bg, h, call(panics))
			p, ok := got.panic.(*core.PanicError)
			if !ok || !errors.Is(p, errDown) || !strings.Contains(p.Error(), "hedge.panics") {
				t.Fatalf("recovered %v", got.panic)
			}
			if got := do(bg, h, call(exits)); !got.exited {
				t.Errorf("Goexit became %+v", got)
			}
			synctest.Wait()
			atRest(t, h)
			if s := h.Snapshot(); s.Panics != 0 {
				t.Errorf("%+v", s)
			}
		}
		if len(l.all) != 2 || l.all[0].Attempt != 1 || l.all[0].Err != context.Canceled {
			t.Errorf("heard %+v", l.all)
		}
		// In the caller's goroutine they go on untouched.
		if got := do(Once(bg), h, panics); got.panic != error(errDown) {
			t.Errorf("recovered %v", got.panic)
		}
		if got := do(Once(bg), h, exits); !got.exited {
			t.Errorf("Goexit became %+v", got)
		}
	})
}

// L1: whatever a loser comes to, OnLoser hears it, and its place is free after that, however OnLoser ends.
func TestLosers(t *testing.T) {
	ends := []struct {
		end    fn
		value  any
		err    error
		panics uint64
	}{{works(7, 0), 7, nil, 0}, {fails(7, errBusy, 0), 7, errBusy, 0}, {panics, nil, nil, 1}, {exits, nil, nil, 1}}
	for name, hook := range map[string]func(Loser){
		"nobody listens": nil, "works": func(Loser) {}, "panics": func(Loser) { panic("bad") },
		"exits": func(Loser) { _, _ = exits(bg) }, "is slow": func(Loser) { time.Sleep(time.Minute) },
	} {
		synctest.Test(t, func(t *testing.T) {
			var l heard
			h := mustNew(t, fixed, Hooks{OnLoser: func(e Loser) {
				if l.hear(e); hook != nil {
					hook(e)
				}
			}})
			if hook == nil {
				h.hooks.OnLoser = nil
			}
			var want uint64
			for i, tt := range ends {
				got := do(bg, h, attempts(after(time.Second, tt.end), works(2, ms)))
				if got.v != 2 || got.took != 11*ms {
					t.Errorf("%s: %+v", name, got)
				}
				if s := h.Snapshot(); s.Stragglers != 1 || s.Losers != 1 || int(s.Lost) != i {
					t.Errorf("%s, while it runs: %+v", name, s)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if name == "is slow" {
					if s := h.Snapshot(); s.Stragglers != 1 {
						t.Errorf("while OnLoser runs: %+v", s)
					}
					time.Sleep(time.Minute)
					synctest.Wait()
				}
				atRest(t, h)
				if want += tt.panics; name == "panics" || name == "exits" {
					want++
				}
				if s := h.Snapshot(); s.Panics != want || int(s.Lost) != i+1 {
					t.Errorf("%s: %d panics, want %d; %d lost", name, s.Panics, want, s.Lost)
				}
				if hook == nil {
					continue
				}
				e := l.all[i]
				if e.Value != tt.value || e.Err != tt.err || e.Attempt != 1 || e.By.Name != "test" || (e.Panic != nil) != (i == 2) {
					t.Errorf("%s: heard %+v", name, e)
				}
			}
		})
	}
}

// Each result has one owner: what Do returns OnLoser does not hear, and the other way round. Both end at one moment.
func TestResultHasOneOwner(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			var l heard
			h := mustNew(t, fixed, Hooks{OnLoser: l.hear})
			got := do(bg, h, attempts(deaf(1, nil, 15*ms), deaf(2, nil, 5*ms)))
			time.Sleep(ms)
			synctest.Wait()
			if got.err != nil || got.took != 15*ms || len(l.all) != 1 || l.all[0].Value != 3-got.v || l.all[0].Attempt != 3-got.from.Attempt {
				t.Errorf("got %+v, heard %+v", got, l.all)
			}
			atRest(t, h)
		})
	}
}

// Hooks that panic, exit, hang and call back: nothing is held by them.
func TestHooksMisbehave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var how func()
		for name, hooks := range map[string]Hooks{
			"Classify": {Hooks: core.Hooks{Classify: func(ctx context.Context, err error) core.Outcome { how(); return core.Classify(ctx, err) }}},
			"Fatal":    {Fatal: func(context.Context, core.Outcome, error) bool { how(); return false }},
			"May":      {May: func(context.Context) bool { how(); return true }},
		} {
			h := mustNew(t, fixed, hooks)
			fail := attempts(fails(0, errDown, 0), fails(0, errDown, 0))
			how = func() { panic(errBusy) }
			got := do(bg, h, fail)
			if err, _ := got.panic.(error); !errors.Is(err, errBusy) {
				t.Errorf("%s panics: %+v", name, got)
			}
			how = func() { _, _ = exits(bg) }
			if got := do(bg, h, fail); !got.exited {
				t.Errorf("%s exits: %+v", name, got)
			}
			how = func() { time.Sleep(time.Hour) }
			if got := do(bg, h, fail); !errors.Is(got.err, errDown) || got.took < time.Hour {
				t.Errorf("%s is slow: %+v", name, got)
			}
			how = func() { h.Snapshot(); _ = h.Tune(fixed); h.Restore() }
			if got := do(bg, h, fail); !errors.Is(got.err, errDown) || got.from.Attempts != 2 {
				t.Errorf("%s calls back: %+v", name, got)
			}
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			atRest(t, h)
		}
	})
}

// A call that hangs and does not heed its context costs a place, not an answer; and at most MaxStragglers places.
func TestAttemptsThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fixed
		c.MaxStragglers = 3
		h := mustNew(t, c, Hooks{})
		hangs := attempts(deaf(1, nil, time.Hour), works(2, ms))
		for i := range 3 {
			if got := do(bg, h, hangs); got.v != 2 || got.took != 11*ms {
				t.Errorf("call %d: %+v", i, got)
			}
		}
		if s := h.Snapshot(); s.Stragglers != 3 || s.Losers != 3 {
			t.Errorf("%+v", s)
		}
		got := do(bg, h, attempts(deaf(1, nil, time.Minute), works(2, ms)))
		if got.v != 1 || got.took != time.Minute || got.from.Attempts != 1 {
			t.Errorf("no place: %+v", got)
		}
		if s := h.Snapshot(); s.Rejected != 1 || s.Stragglers != 3 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		atRest(t, h)
		if got := do(bg, h, hangs); got.v != 2 {
			t.Errorf("the places are free: %+v", got)
		}
		time.Sleep(time.Hour)
	})
}

// Many calls at once with attempts of every kind, Tunes and callers that leave: places, tokens and goroutines all come back.
func TestStress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Config{Delay: 10 * ms, MaxExtra: 3, Ratio: 0.5, Burst: 100, MaxStragglers: 30}
		var l heard
		b := mustBudget(t, budgetOf(100))
		h := mustNew(t, c, Hooks{OnLoser: l.hear, Budget: b, Outermost: true})
		kinds := []fn{
			works(1, ms), works(1, 50*ms), deaf(1, nil, 70*ms), fails(0, errDown, 5*ms), fails(0, hinting{errDown, 5 * ms}, 3*ms),
			fails(0, rejection, 0), panics, exits, after(20*ms, panics), after(40*ms, exits), fails(0, permanent{errDown}, 15*ms), works(1, 11*ms),
		}
		var all sync.WaitGroup
		for i := range 600 {
			all.Go(func() {
				time.Sleep(time.Duration(i%60) * ms)
				ctx, cancel := context.WithCancel(bg)
				defer cancel()
				if i%7 == 0 {
					time.AfterFunc(time.Duration(i%30)*ms, cancel)
				}
				do(ctx, h, attempts(kinds[i%12], kinds[i/12%12], kinds[i*5%12], kinds[i*7%12]))
				if s := h.Snapshot(); s.Losers > 30 || s.Tokens < 0 {
					t.Errorf("%+v", s)
				}
			})
			if i%50 == 0 {
				all.Go(func() {
					c := c
					c.MaxExtra, c.Burst = 1+i/50%4, 50+i%20
					if err := h.Tune(c); err != nil {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		atRest(t, h)
		s, bs := h.Snapshot(), b.Snapshot()
		if s.Admitted < 590 || s.Extra == 0 || s.Won == 0 || int(s.Lost) != len(l.all) || s.Extra != bs.Withdrawn-bs.Refunded {
			t.Errorf("%+v, %d heard, %+v", s, len(l.all), bs)
		}
	})
}

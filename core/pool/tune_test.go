package pool

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

func tune(t *testing.T, p *Pool[*conn], c Config) {
	t.Helper()
	if err := p.Tune(c); err != nil {
		t.Fatal(err)
	}
	check(t, p)
}

func TestTune(t *testing.T) {
	sub := func(name string, f func(t *testing.T, m *maker)) {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { f(t, &maker{}) }) })
	}
	sub("a smaller Max closes what is idle, and what is out as it comes back", func(t *testing.T, m *maker) {
		p := newPool(t, Config{Max: 6}, m)
		var out []Lease[*conn]
		for range 6 {
			out = append(out, take(t, p))
		}
		out[4].Release()
		out[5].Release()
		tune(t, p, Config{Max: 2})
		synctest.Wait()
		if s := p.Snapshot(); s.Out != 4 || s.Idle != 0 || m.shut.Load() != 2 {
			t.Errorf("%+v", s)
		}
		waiting := wait(bg, p)
		out[0].Release()
		out[1].Release()
		still(t, waiting)
		if s := p.Snapshot(); s.Out != 2 || m.shut.Load() != 4 {
			t.Errorf("%+v", s)
		}
		out[2].Release()
		a := <-waiting
		a.lease.Release()
		out[3].Release()
		if s := p.Snapshot(); s.Idle != 2 || m.shut.Load() != 4 {
			t.Errorf("%+v", s)
		}
		shut(t, p, m)
	})
	sub("a larger Max creates for those who wait", func(t *testing.T, m *maker) {
		p := newPool(t, Config{Max: 1, MaxWait: time.Hour}, m)
		l := take(t, p)
		first, second, third := wait(bg, p), wait(bg, p), wait(bg, p)
		tune(t, p, Config{Max: 3, MaxWait: time.Hour})
		a, b := <-first, <-second
		still(t, third)
		a.lease.Release()
		(<-third).lease.Release()
		b.lease.Release()
		l.Release()
		shut(t, p, m)
	})
	sub("what is being created beyond a smaller Max is closed", func(t *testing.T, m *maker) {
		m.create = func(context.Context, int) error { time.Sleep(time.Second); return nil }
		p := newPool(t, Config{Max: 3, Min: 3}, m)
		waiting := wait(bg, p)
		tune(t, p, Config{Max: 1, Min: 1})
		(<-waiting).lease.Release()
		synctest.Wait()
		if s := p.Snapshot(); s.Idle != 1 || s.Created != 3 || s.Closed != 2 {
			t.Errorf("%+v", s)
		}
		shut(t, p, m)
	})
	sub("a larger Min is filled now", func(t *testing.T, m *maker) {
		p := newPool(t, Config{Max: 4}, m)
		tune(t, p, Config{Max: 4, Min: 3})
		synctest.Wait()
		if s := p.Snapshot(); s.Idle != 3 {
			t.Errorf("%+v", s)
		}
		shut(t, p, m)
	})
	sub("a shorter life and idle time hold for what is open", func(t *testing.T, m *maker) {
		c := Config{Max: 4, IdleTimeout: time.Hour, MaxLifetime: core.None, Jitter: core.None}
		p := newPool(t, c, m)
		fill(t, p, 4)
		time.Sleep(time.Minute)
		c.IdleTimeout = 80 * time.Second
		tune(t, p, c)
		time.Sleep(20 * time.Second) // upkeep looks every ten
		synctest.Wait()
		if s := p.Snapshot(); s.Idle != 0 || s.Expired != 4 {
			t.Errorf("%+v", s)
		}
		fill(t, p, 2)
		c.IdleTimeout, c.MaxLifetime = core.None, time.Minute
		tune(t, p, c)
		time.Sleep(time.Minute)
		if l := take(t, p); l.Value().id <= 6 {
			t.Errorf("resource %d is too old", l.Value().id)
		} else {
			l.Release()
		}
		shut(t, p, m)
	})
	sub("a bad one changes nothing", func(t *testing.T, m *maker) {
		p := newPool(t, Config{Max: 4}, m)
		before := p.Config()
		for _, bad := range []Config{{}, {Max: -1}, {Max: 2, Min: 3}, {Max: 1, MaxWait: -5}} {
			if err := p.Tune(bad); err == nil {
				t.Errorf("%+v is taken", bad)
			}
		}
		if p.Config() != before {
			t.Errorf("%+v", p.Config())
		}
		shut(t, p, m)
	})
	sub("a closed pool takes it and stays closed", func(t *testing.T, m *maker) {
		p := newPool(t, Config{Max: 4}, m)
		take(t, p).Release()
		shut(t, p, m)
		if err := p.Tune(Config{Max: 9, Min: 9}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		atEnd(t, p, m)
		if m.made.Load() != 1 {
			t.Error("it creates")
		}
	})
}

func TestOverride(t *testing.T) {
	m := &maker{}
	p := newPool(t, Config{Max: 1}, m)
	for _, mode := range []core.Mode{core.Shadow, core.Disabled, core.ForcedOpen} {
		if err := p.Override(mode, 0); err == nil || err.Error() != `pool "test": override `+mode.String()+` is not allowed; allowed: enforce` {
			t.Errorf("%v", err)
		}
	}
	if err := p.Override(core.Enforce, -1); err == nil {
		t.Error("a negative time is taken")
	}
	if err := p.Override(core.Enforce, time.Minute); err != nil {
		t.Error(err)
	}
	p.Restore()
	var machine core.Machine = p
	if s := machine.Status(); s.Policy != (core.Policy{Kind: core.KindPool, Name: "test", Limit: 1}) || s.Overridden {
		t.Errorf("%+v", s)
	}
	_ = p.Close(bg)
}

func TestEvents(t *testing.T) {
	var heard []core.EventType
	m := &maker{}
	h := m.hooks()
	h.OnEvent = func(e core.Event) { heard = append(heard, e.Type) }
	p, err := New("test", Config{Max: 1}, h)
	if err != nil {
		t.Fatal(err)
	}
	tune(t, p, Config{Max: 2})
	tune(t, p, Config{Max: 2})
	if len(heard) != 1 || heard[0] != core.Tuned {
		t.Errorf("%v", heard)
	}
	_ = p.Close(bg)
}

func TestNewRefuses(t *testing.T) {
	create := (&maker{}).hooks().Create
	for name, test := range map[string]struct {
		name string
		c    Config
		h    Hooks[*conn]
		want string
	}{
		"no name":        {"", Config{Max: 1}, Hooks[*conn]{Create: create}, `pool: name "" is not allowed; allowed: 1 to 64 of letters, digits and - _ . /`},
		"no Create":      {"p", Config{Max: 1}, Hooks[*conn]{}, `pool "p": Hooks.Create is required`},
		"no Max":         {"p", Config{}, Hooks[*conn]{Create: create}, `pool "p": max: required; write e.g. max: 16 (allowed: 1..10000)`},
		"too much":       {"p", Config{Max: 10001}, Hooks[*conn]{Create: create}, `pool "p": max: 10001 is not allowed; allowed: 1..10000`},
		"Min beyond Max": {"p", Config{Max: 2, Min: 3}, Hooks[*conn]{Create: create}, `pool "p": min: 3 is not allowed; allowed: at most max (2)`},
	} {
		p, err := New(test.name, test.c, test.h)
		if p != nil || err == nil || err.Error() != test.want {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
	all := Config{Max: -1, Min: -1, Queue: -2, MaxWait: 1, IdleTimeout: 1, MaxLifetime: 1, Jitter: 2, ValidateAfter: 1, CreateTimeout: 1, CloseTimeout: 1, LeakAfter: 1}
	if faults, ok := errors.AsType[schema.Errors](all.Validate()); !ok || len(faults) != 11 {
		t.Errorf("not every bad field is named: %v", all.Validate())
	}
	p, err := New("p", Config{Max: 3}, Hooks[*conn]{Create: create})
	want := Config{
		Max: 3, Queue: 1024, MaxWait: 5 * time.Second, IdleTimeout: 10 * time.Minute, MaxLifetime: time.Hour, Jitter: 0.1,
		ValidateAfter: time.Second, CreateTimeout: 10 * time.Second, CloseTimeout: 5 * time.Second, LeakAfter: core.None,
	}
	if err != nil || p.Config() != want {
		t.Errorf("%v, defaults %+v", err, p.Config())
	}
	_ = p.Close(bg)
}

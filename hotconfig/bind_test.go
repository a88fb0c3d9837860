package hotconfig

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// target follows breakers and keeps a diary that it shares with others.
type target struct {
	name   string
	refuse func(map[string]breaker) error
	got    map[string]breaker
	diary  *[]string
}

func (s *target) Prepare(c map[string]breaker) (commit func(), err error) {
	*s.diary = append(*s.diary, s.name+" prepares")
	if s.refuse != nil {
		if err := s.refuse(c); err != nil {
			return nil, err
		}
	}
	return func() {
		*s.diary = append(*s.diary, s.name+" commits")
		s.got = c
	}, nil
}

func breakers(c *config) map[string]breaker { return c.Breakers }

func TestBindIsPartOfEveryReload(t *testing.T) {
	dir := files{"default.yaml": "breakers: {a: {failures: 1}}\n"}.write(t)
	l, err := Load[config](Options{Dir: dir, Environ: []string{}, Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	var diary []string
	errFull := errors.New("full")
	one := &target{name: "one", diary: &diary}
	two := &target{name: "two", diary: &diary, refuse: func(c map[string]breaker) error {
		switch c["a"].Failures {
		case 3:
			return errFull
		case 4:
			panic("unprepared")
		}
		return nil
	}}
	for _, s := range []*target{one, two} {
		if err := Bind(l, breakers, s); err != nil {
			t.Fatal(err)
		}
		if s.got["a"].Failures != 1 {
			t.Errorf("Bind did not apply the present value to %s: %v", s.name, s.got)
		}
	}
	l.OnChange(func(_, _ *config) { diary = append(diary, "announced") })
	step := func(failures int, wantDiary, wantErr string) error {
		t.Helper()
		diary = nil
		put(t, dir, "default.yaml", fmt.Sprintf("breakers: {a: {failures: %d}}\n", failures))
		err := l.Reload(t.Context())
		checkError(t, "", err, wantErr)
		if got := strings.Join(diary, ", "); got != wantDiary {
			t.Errorf("%d: %s\nwant %s", failures, got, wantDiary)
		}
		return err
	}
	_ = step(2, "one prepares, two prepares, one commits, two commits, announced", "")
	err = step(3, "one prepares, two prepares", "hotconfig: a bound target refuses the configuration: full")
	if !errors.Is(err, errFull) {
		t.Error("the cause is lost")
	}
	_ = step(4, "one prepares, two prepares", "hotconfig: a bound target refuses the configuration: panic in Prepare: unprepared")
	_ = step(0, "", "default.yaml:1:26: breakers.a.failures: 0 is not allowed; allowed: 1..1000|none")
	if one.got["a"].Failures != 2 || two.got["a"].Failures != 2 || l.Get().Breakers["a"].Failures != 2 || l.Version().Number != 2 {
		t.Errorf("a refused reload left a trace: %v %v %v", one.got, two.got, l.Get().Breakers)
	}
	_ = step(5, "one prepares, two prepares, one commits, two commits, announced", "")
}

func TestBindOfARefusingTarget(t *testing.T) {
	dir := files{"default.yaml": ""}.write(t)
	l, err := Load[config](Options{Dir: dir, Environ: []string{}, Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	var diary []string
	refuse := true
	s := &target{name: "s", diary: &diary, refuse: func(map[string]breaker) error {
		if refuse {
			return errors.New("not yet")
		}
		return nil
	}}
	if err := Bind(l, breakers, s); err == nil {
		t.Fatal("bound")
	}
	put(t, dir, "default.yaml", "port: 3\n")
	if err := l.Reload(t.Context()); err != nil || len(diary) != 1 {
		t.Errorf("%v: it takes part in reloads: %v", err, diary)
	}
}

// The pointer is swapped before the first commit, so that what a commit looks up is already new.
func TestCommitsSeeTheNewConfiguration(t *testing.T) {
	dir := files{"default.yaml": "port: 1\n"}.write(t)
	l, err := Load[config](Options{Dir: dir, Environ: []string{}, Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	var ports []int
	nothing := prepareFunc(func(int) (func(), error) { return nil, nil })
	panics := false
	reads := prepareFunc(func(int) (func(), error) {
		return func() {
			if panics {
				panic("commit")
			}
			ports = append(ports, l.Get().Port)
		}, nil
	})
	port := func(c *config) int { return c.Port }
	for _, p := range []prepareFunc{nothing, reads, reads} {
		if err := Bind(l, port, p); err != nil {
			t.Fatal(err)
		}
	}
	put(t, dir, "default.yaml", "port: 2\n")
	if err := l.Reload(t.Context()); err != nil || fmt.Sprint(ports) != "[1 1 2 2]" {
		t.Errorf("%v %v", err, ports)
	}
	panics = true // a mistake, but the process must live and the new version stay in force
	put(t, dir, "default.yaml", "port: 3\n")
	if err := l.Reload(t.Context()); err != nil || l.Get().Port != 3 || l.Stats().Panics != 1 {
		t.Errorf("%v %+v", err, l.Stats())
	}
}

type prepareFunc func(int) (func(), error)

func (f prepareFunc) Prepare(c int) (func(), error) { return f(c) }

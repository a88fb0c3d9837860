package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// row is guards that write what happens to them into one list.
type row struct{ lines []string }

type rowGuard struct {
	row    *row
	name   string
	waited Time // how much later than the call it decides
	reason Reason
}

func (g *rowGuard) Acquire(_ context.Context, c Call) (p Permit, d Decision) {
	g.row.lines = append(g.row.lines, "ask "+g.name)
	d = g.Peek(c)
	if g.waited > 0 {
		d.Now = c.Now + g.waited
	}
	if d.Admitted() {
		p = NewPermit(g, 0, c.Now.Or())
	}
	return
}

func (g *rowGuard) Peek(Call) Decision {
	return Decision{By: &Policy{Name: g.name}, Verdict: Verdict{Reason: g.reason}}
}

func (g *rowGuard) Restart(_ uint32, start, now Time) {
	g.row.lines = append(g.row.lines, fmt.Sprintf("restart %s by %d", g.name, now-start))
}
func (g *rowGuard) Progress(uint32, Time, Time) {}
func (g *rowGuard) Settle(_ uint32, _, _ Time, _ bool, o Outcome) {
	g.row.lines = append(g.row.lines, "settle "+g.name+" "+o.String())
}

func (r *row) want(t *testing.T, lines ...string) {
	t.Helper()
	if !slices.Equal(r.lines, lines) {
		t.Errorf("%q, want %q", r.lines, lines)
	}
}

func TestDoAll(t *testing.T) {
	ctx := context.Background()
	r := &row{}
	a, b, c := &rowGuard{row: r, name: "a"}, &rowGuard{row: r, name: "b", waited: 7}, &rowGuard{row: r, name: "c"}
	v, err := DoAll(ctx, []Guard{a, b, c}, Call{Now: 100}, nil, func(context.Context) (int, error) {
		r.lines = append(r.lines, "call")
		return 1, errors.New("down")
	})
	if v != 1 || err == nil {
		t.Error(v, err)
	}
	r.want(t, "ask a", "ask b", "restart a by 7", "ask c", "call", "settle c failure", "settle b failure", "settle a failure")

	r.lines = nil
	c.reason = ReasonOpen
	_, err = DoAll(ctx, []Guard{a, b, c}, Call{Now: 100}, nil, func(context.Context) (int, error) { t.Error("it ran"); return 0, nil })
	if !errors.Is(err, ErrRejected) {
		t.Error(err)
	}
	r.want(t, "ask a", "ask b", "restart a by 7", "ask c", "settle b ignored", "settle a ignored")

	r.lines = nil
	func() {
		defer func() { _ = recover() }()
		_, _ = DoAll(ctx, []Guard{a, b}, Call{Now: 100}, nil, func(context.Context) (int, error) { panic("boom") })
	}()
	r.want(t, "ask a", "ask b", "restart a by 7", "settle b failure", "settle a failure")

	r.lines = nil
	if v, err := DoAll(ctx, nil, Call{}, nil, func(context.Context) (int, error) { return 3, nil }); v != 3 || err != nil {
		t.Error(v, err)
	}
	many := make([]Guard, few+2)
	for i := range many {
		many[i] = &rowGuard{row: r, name: "x"}
	}
	if _, err := DoAll(ctx, many, Call{}, nil, func(context.Context) (int, error) { return 3, nil }); err != nil {
		t.Error(err)
	}
	if len(r.lines) != 2*len(many) {
		t.Errorf("%d lines", len(r.lines))
	}
}

// Only a guard that waited moves the time, whatever sign times have.
func TestDecisionRestart(t *testing.T) {
	r := &row{}
	for _, tt := range []struct{ decided, now, want Time }{
		{0, 5, 5}, {5, 5, 5}, {4, 5, 5}, {6, 5, 6}, {0, -5, -5}, {-4, -5, -4}, {-6, -5, -5},
	} {
		r.lines = nil
		held := []Permit{NewPermit(&rowGuard{row: r, name: "a"}, 0, -100)}
		if got := (Decision{Now: tt.decided}).Restart(held, tt.now); got != tt.want {
			t.Errorf("%+v: %d", tt, got)
		}
		if moved := len(r.lines) == 1; moved != (tt.want != tt.now) {
			t.Errorf("%+v: %q", tt, r.lines)
		}
	}
}

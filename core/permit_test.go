package core

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// ledger is a Settler that writes down what it is told.
type ledger struct {
	mu    sync.Mutex
	lines []string
}

func (l *ledger) write(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

func (l *ledger) Restart(tag uint32, start, now Time) { l.write("restart %d %d->%d", tag, start, now) }
func (l *ledger) Progress(tag uint32, start, now Time) {
	l.write("progress %d %d->%d", tag, start, now)
}

func (l *ledger) Settle(tag uint32, start, now Time, progressed bool, o Outcome) {
	l.write("settle %d %d->%d %v %v", tag, start, now, progressed, o)
}

func TestZeroPermitIsANoOp(*testing.T) {
	var p Permit
	p.Restart(1)
	p.Progress(2)
	p.Done(3, Success)
	p.Done(3, Failure)
}

func TestPermit(t *testing.T) {
	for _, tt := range []struct {
		name   string
		permit func(l *ledger, p *Permit)
		do     func(p *Permit)
		want   []string
	}{
		{"a plain permit hears no progress", plainPermit(5), func(p *Permit) {
			p.Progress(11)
			p.Done(12, Overload)
		}, []string{"settle 7 5->12 false overload"}},
		{"settled once", plainPermit(5), func(p *Permit) {
			p.Done(12, Success)
			p.Done(13, Failure)
			p.Restart(14)
			p.Progress(15)
		}, []string{"settle 7 5->12 false success"}},
		{"a permit without a start is not restarted", plainPermit(0), func(p *Permit) {
			p.Restart(14)
			p.Done(0, Failure)
		}, []string{"settle 7 0->0 false failure"}},
		{"restarted", plainPermit(5), func(p *Permit) {
			p.Restart(9)
			p.Done(12, Success)
		}, []string{"restart 7 5->9", "settle 7 9->12 false success"}},
		{"tracked", trackedPermit, func(p *Permit) {
			p.Restart(9)
			p.Progress(10)
			p.Progress(11)
			p.Restart(12) // the dependency has answered: nothing is left to restart
			p.Done(13, Canceled)
			p.Done(14, Success)
			p.Progress(15)
			p.Restart(16)
		}, []string{"restart 7 5->9", "progress 7 9->10", "settle 7 9->13 true canceled"}},
		{"tracked, no progress", trackedPermit, func(p *Permit) {
			p.Done(13, Success)
			p.Progress(15)
			p.Done(14, Success)
			p.Restart(16)
		}, []string{"settle 7 5->13 false success"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l ledger
			var p Permit
			tt.permit(&l, &p)
			tt.do(&p)
			if !slices.Equal(l.lines, tt.want) {
				t.Errorf("%q, want %q", l.lines, tt.want)
			}
		})
	}
}

// plainPermit makes a permit with a tag whose high bits are the permit's own and must not get through.
func plainPermit(start Time) func(*ledger, *Permit) {
	return func(l *ledger, p *Permit) { *p = NewPermit(l, 7|7<<TagBits, start) }
}

func trackedPermit(l *ledger, p *Permit) { *p = NewTrackedPermit(l, 7|7<<TagBits, 5) }

func TestRestartReadsTheClock(t *testing.T) {
	var l ledger
	p := NewPermit(&l, 7, 5)
	p.Restart(0)
	p.Done(3, Success)
	if len(l.lines) != 2 || l.lines[0] == "restart 7 5->0" {
		t.Errorf("%q", l.lines)
	}
}

// tally is a Settler that counts.
type tally struct{ progress, settled, told atomic.Int64 }

func (*tally) Restart(uint32, Time, Time)    {}
func (c *tally) Progress(uint32, Time, Time) { c.progress.Add(1) }
func (c *tally) Settle(_ uint32, _, _ Time, progressed bool, _ Outcome) {
	c.settled.Add(1)
	if progressed {
		c.told.Add(1)
	}
}

// A stream's receiver calls Progress while its finisher calls Done. Done gets through once, and says truly whether
// Progress did. The goroutines go through the same permits in step, so that they meet at many of them.
func TestProgressAndDoneRace(t *testing.T) {
	const n, rounds = 20_000, 5
	for range rounds {
		var c tally
		permits := make([]Permit, n)
		for i := range permits {
			permits[i] = NewTrackedPermit(&c, 1, 1)
		}
		var step atomic.Int64
		each := func(f func(p *Permit)) func() {
			return func() {
				for i := range permits {
					for step.Add(1); step.Load() < int64(2*i); { // wait for the other
						runtime.Gosched()
					}
					f(&permits[i])
				}
			}
		}
		var wg sync.WaitGroup
		wg.Go(each(func(p *Permit) { p.Progress(2) }))
		wg.Go(each(func(p *Permit) { p.Done(3, Success); p.Done(4, Failure) }))
		wg.Wait()
		if c.settled.Load() != n || c.progress.Load() != c.told.Load() {
			t.Errorf("%d settled of %d; %d progressed, of which %d were told", c.settled.Load(), n, c.progress.Load(), c.told.Load())
		}
	}
}

func TestPermitAllocs(t *testing.T) {
	var c tally
	if n := testing.AllocsPerRun(100, func() {
		p, q := NewPermit(&c, 1, 1), NewTrackedPermit(&c, 1, 1)
		q.Progress(2)
		p.Done(2, Success)
		q.Done(2, Success)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

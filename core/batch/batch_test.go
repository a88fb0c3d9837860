package batch

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mw-go/mw/core"
)

func TestCollects(t *testing.T) { // P1 to P6, R1
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		b := newBatcher(t, Config{MaxItems: 3, MaxBytes: 100, Delay: time.Second}, s)
		a1, a2 := do(bg, b, 1), do(bg, b, 2)
		still(t, a1)
		a3 := do(bg, b, 3) // full
		wantOK(t, a1, 1)
		wantOK(t, a2, 2)
		wantOK(t, a3, 3)
		s.wantSent(t, []int{1, 2, 3})

		a60 := do(bg, b, 60)
		a41 := do(bg, b, 41) // would exceed MaxBytes
		wantOK(t, a60, 60)
		still(t, a41)
		a59 := do(bg, b, 59) // is MaxBytes
		wantOK(t, a41, 41)
		wantOK(t, a59, 59)
		_, err := b.Do(bg, 101)
		wantReason(t, err, core.ReasonTooCostly)
		if r, _ := errors.AsType[*core.Rejection](err); r.RetryAfter != core.Never {
			t.Errorf("retry after %v", r.RetryAfter)
		}

		start := time.Now()
		a7 := do(bg, b, 7)
		time.Sleep(time.Second - 1)
		a8 := do(bg, b, 8)
		wantOK(t, a7, 7)
		wantOK(t, a8, 8)
		if got := time.Since(start); got != time.Second {
			t.Errorf("sent after %v", got)
		}
		s.wantSent(t, []int{1, 2, 3}, []int{60}, []int{41, 59}, []int{7, 8})
		if n := b.Snapshot(); n.Batches != 4 || n.Full != 1 || n.Heavy != 2 || n.Due != 1 || n.Items != 8 || n.Admitted != 8 || n.Rejected != 1 {
			t.Errorf("%+v", n)
		}
		shut(t, b)
	})
}

// TestDueGoesOnCollecting while all of Concurrency run. P7, P8
func TestDueGoesOnCollecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{reply: func(_ context.Context, reqs []int) ([]int, error) {
			time.Sleep(10 * time.Second)
			return times10(reqs), nil
		}}
		b := newBatcher(t, Config{MaxItems: 3, Delay: time.Second, Concurrency: 1}, s)
		do(bg, b, 1)
		time.Sleep(time.Second)
		synctest.Wait() // it runs
		do(bg, b, 2)
		time.Sleep(5 * time.Second) // due
		do(bg, b, 3)
		s.wantSent(t, []int{1})
		time.Sleep(5 * time.Second)
		s.wantSent(t, []int{1}, []int{2, 3})
		for i := 4; i < 9; i++ {
			do(bg, b, i) // 4, 5 and 6 are ready
		}
		if n := b.Snapshot(); n.Held != 5 || n.Collecting != 2 || n.Running != 1 {
			t.Errorf("%+v", n)
		}
		check(t, b)
		time.Sleep(10 * time.Second)
		s.wantSent(t, []int{1}, []int{2, 3}, []int{4, 5, 6})
		time.Sleep(10 * time.Second)
		s.wantSent(t, []int{1}, []int{2, 3}, []int{4, 5, 6}, []int{7, 8})
		shut(t, b)
	})
}

func TestBackpressure(t *testing.T) { // Q1 to Q5
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		s := &server{reply: func(_ context.Context, reqs []int) ([]int, error) { <-hold; return times10(reqs), nil }}
		c := Config{MaxItems: 2, Delay: time.Second, Concurrency: 1, Queue: 2}
		b := newBatcher(t, c, s)
		var held []chan answer
		for i := range 4 { // one batch runs, one is ready
			held = append(held, do(bg, b, i))
		}
		_, err := b.Do(bg, 5)
		wantReason(t, err, core.ReasonFull)
		c.MaxWait = time.Minute
		if err := b.Tune(c); err != nil {
			t.Fatal(err)
		}
		first, second := do(bg, b, 6), do(bg, b, 7)
		ctx, cancel := context.WithCancel(bg)
		leaves := do(ctx, b, 8)
		soon, cancel2 := context.WithTimeout(bg, time.Second)
		defer cancel2()
		expires := do(soon, b, 9)
		check(t, b)
		cancel()
		wantReason(t, (<-leaves).err, core.ReasonLeft)
		wantReason(t, (<-expires).err, core.ReasonExpired)
		_, err = b.Do(ctx, 10)
		wantReason(t, err, core.ReasonLeft)
		hold <- struct{}{} // two places: the next batch has begun
		synctest.Wait()
		third := do(bg, b, 11)
		time.Sleep(time.Minute)
		wantReason(t, (<-third).err, core.ReasonWaited)
		close(hold)
		for i, end := range held {
			wantOK(t, end, i)
		}
		wantOK(t, first, 6)
		wantOK(t, second, 7)
		s.wantSent(t, []int{0, 1}, []int{2, 3}, []int{6, 7})
		if n := b.Snapshot(); n.Rejected != 5 || n.Admitted != 6 {
			t.Errorf("%+v", n)
		}
		shut(t, b)
	})
}

// TestServedInOrder: places go to those who wait in order of arrival.
func TestServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{reply: func(_ context.Context, reqs []int) ([]int, error) { time.Sleep(time.Second); return times10(reqs), nil }}
		b := newBatcher(t, Config{MaxItems: 1, Concurrency: 1, Queue: 1, MaxWait: time.Hour}, s)
		var ends []chan answer
		for i := range 50 {
			ends = append(ends, do(bg, b, i))
		}
		for i, end := range ends {
			wantOK(t, end, i)
		}
		for i, batch := range s.batches() {
			if !slices.Equal(batch, []int{i}) {
				t.Fatalf("batch %d is %v", i, batch)
			}
		}
		shut(t, b)
	})
}

// TestManyPlacesAtOnce: hundreds of callers that get places by one end are no deep recursion.
func TestManyPlacesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		c := Config{MaxItems: 1, Concurrency: 1, Queue: 1, MaxWait: time.Hour}
		s.reply = func(_ context.Context, reqs []int) ([]int, error) { time.Sleep(time.Second); return times10(reqs), nil }
		b := newBatcher(t, c, s)
		var ends []chan answer
		for i := range 5000 {
			end := make(chan answer, 1)
			go func() { resp, err := b.Do(bg, i); end <- answer{resp, err} }()
			ends = append(ends, end)
		}
		synctest.Wait()
		c.Concurrency, c.Queue = 1000, 100_000
		if err := b.Tune(c); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for i, end := range ends {
			wantOK(t, end, i)
		}
		if got := time.Since(start); got > 6*time.Second {
			t.Errorf("took %v", got)
		}
		shut(t, b)
	})
}

func TestLeaving(t *testing.T) { // L1 to L3
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		s := &server{reply: func(_ context.Context, reqs []int) ([]int, error) { <-hold; return times10(reqs), nil }}
		b := newBatcher(t, Config{MaxItems: 4, MaxBytes: 100, Delay: time.Second, Concurrency: 1}, s)
		ctx, cancel := context.WithCancel(bg)
		leaves, stays := do(ctx, b, 60), do(bg, b, 7)
		cancel()
		if a := <-leaves; a.err != context.Canceled {
			t.Errorf("%+v", a)
		}
		check(t, b)
		more := do(bg, b, 90) // its bytes are free again
		time.Sleep(time.Second)
		s.wantSent(t, []int{7, 90})
		// now those of a batch that runs
		ctx, cancel = context.WithCancel(bg)
		second := []chan answer{do(ctx, b, 1), do(ctx, b, 2), do(bg, b, 3)}
		// and those of a batch that is ready, all of them
		gone, cancel2 := context.WithCancel(bg)
		ready := []chan answer{do(gone, b, 4), do(gone, b, 50), do(gone, b, 49)}
		if n := b.Snapshot(); n.Held != 6 {
			t.Errorf("%+v", n)
		}
		cancel2()
		for _, end := range ready {
			if a := <-end; a.err != context.Canceled {
				t.Errorf("%+v", a)
			}
		}
		check(t, b)
		time.Sleep(time.Second)
		hold <- struct{}{}
		wantOK(t, stays, 7)
		wantOK(t, more, 90)
		s.wantSent(t, []int{7, 90}, []int{1, 2, 3})
		cancel()
		<-second[0]
		<-second[1]
		if s.ctxs[1].Err() != nil {
			t.Error("the call is cancelled while somebody waits for it")
		}
		hold <- struct{}{}
		wantOK(t, second[2], 3)

		ctx, cancel = context.WithCancel(bg)
		last := []chan answer{do(ctx, b, 1), do(ctx, b, 2)}
		time.Sleep(time.Second)
		cancel()
		<-last[0]
		<-last[1]
		synctest.Wait()
		if s.ctxs[2].Err() != context.Canceled {
			t.Error("all have left, and the call goes on")
		}
		alone := do(gone, b, 5)
		wantReason(t, (<-alone).err, core.ReasonLeft) // done before
		hold <- struct{}{}
		synctest.Wait()
		if n := b.Snapshot(); n.Running != 0 {
			t.Errorf("%+v", n)
		}
		shut(t, b)
	})
}

// TestTheOpenBatchEmpties: the last that leaves takes the timer with it.
func TestTheOpenBatchEmpties(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		b := newBatcher(t, Config{Delay: time.Second}, s)
		ctx, cancel := context.WithCancel(bg)
		end := do(ctx, b, 1)
		time.Sleep(900 * time.Millisecond)
		cancel()
		<-end
		next := do(bg, b, 2)
		time.Sleep(999 * time.Millisecond) // longer than the rest of the first one's
		still(t, next)
		wantOK(t, next, 2)
		s.wantSent(t, []int{2})
		shut(t, b)
	})
}

func TestTheContextOfTheCall(t *testing.T) {
	type key struct{}
	for name, test := range map[string]struct {
		deadlines []time.Duration // of the callers; 0 none
		want      time.Duration
	}{
		"the latest of all":       {[]time.Duration{5 * time.Second, 9 * time.Second, 7 * time.Second}, 9 * time.Second},
		"one has none":            {[]time.Duration{5 * time.Second, 0, 7 * time.Second}, 0},
		"the first has none":      {[]time.Duration{0, 5 * time.Second}, 0},
		"one, which has left":     {[]time.Duration{5 * time.Second, time.Millisecond}, 5 * time.Second},
		"the latest has just one": {[]time.Duration{5 * time.Second}, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{}
				b := newBatcher(t, Config{Delay: time.Second}, s)
				start := time.Now()
				var ends []chan answer
				for i, d := range test.deadlines {
					ctx, cancel := context.WithCancel(context.WithValue(bg, key{}, "a secret"))
					if d > 0 {
						ctx, cancel = context.WithTimeout(ctx, d)
					}
					defer cancel()
					ends = append(ends, do(ctx, b, i))
				}
				<-ends[0]
				at, ok := s.ctxs[0].Deadline()
				if ok != (test.want > 0) || ok && at.Sub(start) != test.want {
					t.Errorf("deadline %v %v", at.Sub(start), ok)
				}
				if s.ctxs[0].Value(key{}) != nil {
					t.Error("the values of one caller are seen by all")
				}
				shut(t, b)
			})
		})
	}
}

func TestResults(t *testing.T) { // R1 to R5
	errPanic := errors.New("as an error")
	short := func(reqs []int) []int { return times10(reqs)[1:] }
	for name, test := range map[string]struct {
		reply func(reqs []int) ([]int, error)
		want  [3]error // errors.Is
		texts [3]string
	}{
		"all well":        {func(r []int) ([]int, error) { return times10(r), nil }, [3]error{}, [3]string{}},
		"an error":        {func([]int) ([]int, error) { return nil, errDown }, [3]error{errDown, errDown, errDown}, [3]string{"down", "down", "down"}},
		"each its own":    {func(r []int) ([]int, error) { return times10(r), Errors{nil, errDown, nil} }, [3]error{nil, errDown, nil}, [3]string{1: "down"}},
		"wrapped":         {func(r []int) ([]int, error) { return times10(r), fmt.Errorf("x: %w", Errors{errDown, nil, nil}) }, [3]error{errDown, nil, nil}, [3]string{0: "down"}},
		"none failed":     {func(r []int) ([]int, error) { return times10(r), Errors{nil, nil, nil} }, [3]error{}, [3]string{}},
		"too few":         {func(r []int) ([]int, error) { return short(r), nil }, [3]error{}, all(`batch "test": Run returned 2 responses for 3 items`)},
		"none":            {func(r []int) ([]int, error) { return nil, nil }, [3]error{}, all(`batch "test": Run returned 0 responses for 3 items`)},
		"too many":        {func(r []int) ([]int, error) { return append(times10(r), 1), nil }, [3]error{}, all(`batch "test": Run returned 4 responses for 3 items`)},
		"too few errors":  {func(r []int) ([]int, error) { return times10(r), Errors{errDown} }, [3]error{errDown, errDown, errDown}, all(`batch "test": Run returned 1 responses for 3 items: 1 of 1 items failed, the first: down`)},
		"errors, too few": {func(r []int) ([]int, error) { return short(r), Errors{errDown, nil, nil} }, [3]error{errDown, errDown, errDown}, all(`batch "test": Run returned 2 responses for 3 items: 1 of 3 items failed, the first: down`)},
		"no errors":       {func(r []int) ([]int, error) { return times10(r), Errors{} }, [3]error{}, all(`batch "test": Run returned 0 responses for 3 items: none of 0 items failed`)},
		"a panic":         {func([]int) ([]int, error) { panic("ouch") }, [3]error{}, all(`batch "test": Run panicked: ouch`)},
		"a panic, error":  {func([]int) ([]int, error) { panic(errPanic) }, [3]error{errPanic, errPanic, errPanic}, all(`batch "test": Run panicked: as an error`)},
		"runtime.Goexit":  {func([]int) ([]int, error) { runtime.Goexit(); return nil, nil }, [3]error{core.ErrGoexit, core.ErrGoexit, core.ErrGoexit}, all(`batch "test": Run: the function called runtime.Goexit`)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{reply: func(_ context.Context, reqs []int) ([]int, error) { return test.reply(reqs) }}
				b := newBatcher(t, Config{MaxItems: 3, Concurrency: 1}, s)
				for range 3 { // more than run at once: none is lost
					ends := [3]chan answer{do(bg, b, 1), do(bg, b, 2), do(bg, b, 3)}
					for i, end := range ends {
						a := <-end
						if test.texts[i] == "" {
							if a.err != nil || a.resp != 10*(i+1) {
								t.Errorf("item %d: %+v", i, a)
							}
							continue
						}
						if firstLine(a.err) != test.texts[i] || test.want[i] != nil && !errors.Is(a.err, test.want[i]) {
							t.Errorf("item %d: %v, want %s", i, a.err, test.texts[i])
						}
						if pe, ok := errors.AsType[*core.PanicError](a.err); ok && (pe.Value == nil || len(pe.Stack) == 0) {
							t.Errorf("%+v", pe)
						}
					}
				}
				shut(t, b)
			})
		})
	}
	if failed := (Errors{nil, errDown, nil, errPanic}).Unwrap(); !slices.Equal(failed, []error{errDown, errPanic}) {
		t.Errorf("%v", failed)
	}
}

// firstLine leaves out the stack of a panic.
func firstLine(err error) string {
	if err == nil {
		return ""
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func all(text string) [3]string { return [3]string{text, text, text} }

func TestClose(t *testing.T) { // X1, X2
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		s := &server{reply: func(_ context.Context, reqs []int) ([]int, error) { <-hold; return times10(reqs), nil }}
		b := newBatcher(t, Config{MaxItems: 2, Delay: time.Minute, Concurrency: 1, Queue: 3, MaxWait: time.Hour}, s)
		var held []chan answer
		for i := range 5 { // two run, two are ready, one is collected
			held = append(held, do(bg, b, i))
		}
		waits := do(bg, b, 5)
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		err := b.Close(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || err.Error() != `batch "test": 1 batches still running and 3 items waiting: context deadline exceeded` {
			t.Errorf("%v", err)
		}
		if a := <-waits; !errors.Is(a.err, ErrClosed) || a.err.Error() != `batch "test": closed` {
			t.Errorf("%v", a.err)
		}
		if _, err := b.Do(bg, 6); !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
		check(t, b)
		close(hold)
		for i, end := range held {
			wantOK(t, end, i)
		}
		s.wantSent(t, []int{0, 1}, []int{2, 3}, []int{4})
		shut(t, b)
		gone, cancel2 := context.WithCancel(bg)
		cancel2()
		if err := b.Close(gone); err != nil {
			t.Errorf("Close of a closed batcher: %v", err)
		}
	})
}

// TestRunHangs: callers leave by their contexts, Close by its own, and what comes after is rejected and not piled up.
func TestRunHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		s := &server{reply: func(context.Context, []int) ([]int, error) { <-hang; return nil, nil }}
		b := newBatcher(t, Config{MaxItems: 1, Concurrency: 2, Queue: 2}, s)
		rejected := 0
		for range 10 {
			ctx, cancel := context.WithTimeout(bg, time.Second)
			_, err := b.Do(ctx, 1)
			if errors.Is(err, core.ErrFull) {
				rejected++
			} else if err != context.DeadlineExceeded {
				t.Errorf("%v", err)
			}
			cancel()
		}
		if n := b.Snapshot(); rejected != 0 || n.Running != 2 || n.Held != 0 {
			t.Errorf("%d rejected, %+v", rejected, n)
		}
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		if err := b.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		close(hang)
		shut(t, b)
	})
}

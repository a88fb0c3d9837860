package grpcmw

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/timeout"
)

func limit(t testing.TB, d time.Duration, mode ...core.Mode) *timeout.Timeout {
	t.Helper()
	c := timeout.Config{Limit: d}
	if len(mode) > 0 {
		c.Mode = mode[0]
	}
	m, err := timeout.New("t", c, timeout.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A unary call that hangs ends at its limit, on whichever side it is, and its guards hear of a timeout.
func TestUnaryTimeout(t *testing.T) {
	for _, side := range []string{"server", "client"} {
		synctest.Test(t, func(t *testing.T) {
			inside, outside, m := &ledger{}, &ledger{}, limit(t, time.Second)
			i := Chain(Recover(), Guard(Guarded{Guard: outside}), Timeout(m), Guard(Guarded{Guard: inside}))
			server, client := i, (*Interceptor)(nil)
			if side == "client" {
				server, client = nil, i
			}
			p := dial(t, server, client)
			p.service.serve = func(ctx context.Context, _ grpc.ServerStream) error { <-ctx.Done(); return ctx.Err() }
			start := time.Now()
			err := p.call(context.Background(), unary, nil)
			if status.Code(err) != codes.DeadlineExceeded || time.Since(start) != time.Second {
				t.Errorf("%s: %v after %v", side, err, time.Since(start))
			}
			if info, _, _ := details(t, err); (info.GetReason() == ReasonServerTimeout) != (side == "server") {
				t.Errorf("%s: %v", side, info)
			}
			if errors.Is(err, core.ErrTimeout) != (side == "client") {
				t.Errorf("%s: %v", side, err)
			}
			synctest.Wait()
			for _, g := range []*ledger{inside, outside} {
				if _, ended := g.read(); !slices.Equal(ended, []core.Outcome{core.Timeout}) {
					t.Errorf("%s: heard %v", side, ended)
				}
			}
			if s := m.Snapshot(); s.TimedOut != 1 || s.Admitted != 1 {
				t.Errorf("%s: %+v", side, s)
			}
		})
	}
}

// What comes in time, late without an error, from a caller in a hurry, or in shadow mode is not touched.
func TestUnaryTimeoutLeavesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := limit(t, time.Second)
		p := dial(t, Timeout(m), nil)
		for _, took := range []time.Duration{0, 2 * time.Second} {
			p.service.serve = func(context.Context, grpc.ServerStream) error { time.Sleep(took); return nil }
			if err := p.call(context.Background(), unary, nil); err != nil {
				t.Error(took, err)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		p.service.serve = func(ctx context.Context, _ grpc.ServerStream) error { <-ctx.Done(); return ctx.Err() }
		err := p.call(ctx, unary, nil)
		if info, _, _ := details(t, err); status.Code(err) != codes.DeadlineExceeded || info != nil {
			t.Error("the caller's deadline", err, info)
		}
		shadow := limit(t, time.Second, core.Shadow)
		p = dial(t, Timeout(shadow), nil)
		p.service.serve = func(ctx context.Context, _ grpc.ServerStream) error { time.Sleep(2 * time.Second); return ctx.Err() }
		if err := p.call(context.Background(), unary, nil); err != nil || shadow.Snapshot().Shadowed != 1 {
			t.Error(err, shadow.Snapshot())
		}
	})
}

// A caller without time enough is refused at the door.
func TestTimeoutRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := timeout.New("t", timeout.Config{Limit: time.Minute, MinRest: time.Second}, timeout.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		p := dial(t, Timeout(m), nil)
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		defer cancel()
		err = p.call(ctx, unary, nil)
		if info, _, _ := details(t, err); info.GetReason() != ReasonDeadline || p.service.called() != 0 {
			t.Error(err, info)
		}
		p = dial(t, nil, Timeout(m))
		if err := p.call(ctx, unary, nil); !errors.Is(err, core.ErrTooLong) || status.Code(err) != codes.DeadlineExceeded {
			t.Error(err)
		}
	})
}

// Each bound of a stream ends it at its moment, on either side, whatever its handler waits for, and no earlier.
func TestStreamTimeouts(t *testing.T) {
	recvAll := func(_ context.Context, s grpc.ServerStream) error {
		for {
			if err := s.RecvMsg(&testpb.StreamingOutputCallRequest{}); err != nil {
				return err
			}
		}
	}
	every := func(gap time.Duration) func(context.Context, grpc.ServerStream) error {
		return func(ctx context.Context, s grpc.ServerStream) error {
			for {
				select {
				case <-time.After(gap):
				case <-ctx.Done():
					return ctx.Err()
				}
				if err := send(s, bidi); err != nil {
					return err
				}
			}
		}
	}
	for _, tt := range []struct {
		name  string
		bound func(c *TimeoutConfig, m *timeout.Timeout)
		serve func(context.Context, grpc.ServerStream) error
		after time.Duration
	}{
		{"first, hangs", func(c *TimeoutConfig, m *timeout.Timeout) { c.First = m }, hangServe, 5 * time.Second},
		{"first, waits for the client", func(c *TimeoutConfig, m *timeout.Timeout) { c.First = m }, recvAll, 5 * time.Second},
		{"idle, hangs", func(c *TimeoutConfig, m *timeout.Timeout) { c.Idle = m }, hangServe, 5 * time.Second},
		{"idle, waits for the client", func(c *TimeoutConfig, m *timeout.Timeout) { c.Idle = m }, recvAll, 5 * time.Second},
		{"age, busy", func(c *TimeoutConfig, m *timeout.Timeout) { c.MaxAge = m }, every(time.Second), 5 * time.Second},
		{"first, busy", func(c *TimeoutConfig, m *timeout.Timeout) { c.First = m }, every(time.Second), 0},
		{"idle, busy", func(c *TimeoutConfig, m *timeout.Timeout) { c.Idle = m }, every(4 * time.Second), 0},
		{"idle, slow", func(c *TimeoutConfig, m *timeout.Timeout) { c.Idle = m }, every(6 * time.Second), 5 * time.Second},
	} {
		for _, side := range []string{"server", "client"} {
			t.Run(tt.name+"/"+side, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := limit(t, 5*time.Second)
					var c TimeoutConfig
					tt.bound(&c, m)
					inside, outside := &ledger{}, &ledger{}
					i := Chain(Guard(Guarded{Guard: outside}), Timeout(nil, c), Guard(Guarded{Guard: inside}))
					server, client := i, (*Interceptor)(nil)
					if side == "client" {
						server, client = nil, i
					}
					p := dial(t, server, client)
					p.service.serve = tt.serve
					ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
					defer cancel()
					start := time.Now()
					s, err := p.client.FullDuplexCall(ctx)
					for err == nil {
						_, err = s.Recv()
					}
					want, code, outcome := tt.after, codes.DeadlineExceeded, core.Timeout
					if want == 0 { // only the caller's deadline ends it
						want, outcome = time.Minute, core.Expired
					}
					if status.Code(err) != code || time.Since(start) != want {
						t.Errorf("%v after %v, want %v", err, time.Since(start), want)
					}
					if side == "client" && errors.Is(err, core.ErrTimeout) != (tt.after > 0) {
						t.Errorf("%v", err)
					}
					synctest.Wait()
					for _, g := range []*ledger{inside, outside} {
						if _, ended := g.read(); !slices.Equal(ended, []core.Outcome{outcome}) {
							t.Errorf("heard %v, want %v", ended, outcome)
						}
					}
					if n := m.Snapshot().TimedOut; (n == 1) != (tt.after > 0) {
						t.Errorf("%d timed out", n)
					}
				})
			})
		}
	}
}

func hangServe(ctx context.Context, _ grpc.ServerStream) error { <-ctx.Done(); return ctx.Err() }

// Streams that are opened and dropped give everything back when they are too old.
func TestDroppedStreams(t *testing.T) {
	streams := 10_000
	if testing.Short() {
		streams = 200
	}
	synctest.Test(t, func(t *testing.T) {
		slots, err := bulkhead.New("streams", bulkhead.Config{Limit: streams}, bulkhead.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		p := dial(t, nil, Chain(Guard(Guarded{Guard: slots}), Timeout(nil, TimeoutConfig{MaxAge: limit(t, time.Minute)})))
		p.service.serve = hangServe
		if err := p.call(timed(t, time.Second), unary, nil); status.Code(err) != codes.DeadlineExceeded {
			t.Fatal(err)
		}
		synctest.Wait()
		before := runtime.NumGoroutine()
		for range streams {
			if _, err := p.client.FullDuplexCall(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if n := slots.Snapshot().Running; n != int64(streams) {
			t.Errorf("%d slots taken", n)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := slots.Snapshot().Running; n != 0 {
			t.Errorf("%d slots lost", n)
		}
		if after := runtime.NumGoroutine(); after > before+2 {
			t.Errorf("%d goroutines, %d before", after, before)
		}
	})
}

func timed(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// A goroutine of the handler may receive for longer than the handler runs: what a policy leaves, it does not write to.
func TestReceiversThatOutliveTheirHandler(t *testing.T) {
	for range 20 {
		p := dial(t, Chain(Timeout(nil, TimeoutConfig{Idle: limit(t, time.Minute)}), Deadline(limit(t, time.Minute)), Validate()), nil)
		received := make(chan struct{})
		p.service.serve = func(_ context.Context, s grpc.ServerStream) error {
			go func() {
				defer close(received)
				for s.RecvMsg(&testpb.StreamingOutputCallRequest{}) == nil {
				}
			}()
			return nil
		}
		if err := p.call(timed(t, time.Minute), bidi, nil); err != nil {
			t.Error(err)
		}
		<-received
	}
}

// Nothing to bound is a mistake of the program.
func TestTimeoutOfNothing(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("accepted")
		}
	}()
	Timeout(nil)
}

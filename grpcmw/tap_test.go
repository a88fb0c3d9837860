package grpcmw

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/adaptive"
	"github.com/mw-go/mw/core/bulkhead"
	"github.com/mw-go/mw/core/ratelimit"
)

// look asks the handle about a call.
func look(h tap.ServerInHandle, method string, kv ...string) error {
	ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs(kv...))
	_, err := h(ctx, &tap.Info{FullMethodName: method})
	return err
}

const streamMethod = "/grpc.testing.TestService/FullDuplexCall"

// What a guard would not admit ends before it is read: with its status and RetryInfo, seen by nobody but the tap.
func TestTap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit, err := ratelimit.New("l", ratelimit.Config{Limit: 1, Period: time.Minute}, ratelimit.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		chain := Chain(Recover(), RateLimit(limit))
		var told []core.Decision
		door := NewTap(TapConfig{OnReject: func(_ Info, d core.Decision) { told = append(told, d) }})
		counts := &beginnings{}
		p := dialServer(t, chain, grpc.InTapHandle(door.Handle(chain)), grpc.StatsHandler(counts))
		if err := p.call(context.Background(), unary, nil); err != nil {
			t.Fatal(err)
		}
		for k := range kinds {
			var trailer metadata.MD
			err := p.call(context.Background(), k, nil, grpc.Trailer(&trailer))
			info, retry, quota := details(t, err)
			if status.Code(err) != codes.ResourceExhausted || info.GetReason() != ReasonRateLimited || quota == nil ||
				retry.GetRetryDelay().AsDuration() != time.Minute || len(trailer[keyPushback]) > 0 {
				t.Error(k, err, info, retry, trailer)
			}
		}
		if s := door.Snapshot(); s != (TapSnapshot{Asked: 5, Rejected: 4}) || len(told) != 4 || told[0].Reason != core.ReasonLimited {
			t.Errorf("%+v, told %v", s, told)
		}
		if n := counts.n.Load(); n != 1 || p.service.called() != 1 || limit.Snapshot().Admitted != 1 {
			t.Errorf("stats saw %d, the handler %d", n, p.service.called())
		}
		if _, err := healthpb.NewHealthClient(p.conn).Check(context.Background(), &healthpb.HealthCheckRequest{}); status.Code(err) != codes.Unimplemented {
			t.Error("health is not exempt:", err)
		}
	})
}

// beginnings is a stats handler that counts the calls.
type beginnings struct{ n atomic.Int32 }

func (*beginnings) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*beginnings) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*beginnings) HandleConn(context.Context, stats.ConnStats)                       {}
func (b *beginnings) HandleRPC(_ context.Context, s stats.RPCStats) {
	if _, ok := s.(*stats.Begin); ok {
		b.n.Add(1)
	}
}

// A bulkhead of one holds one, whatever the tap lets pass: check-only taps of others let three in. And of thousands of calls
// whose deadline comes between the two none is lost.
func TestTapTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots, _ := bulkhead.New("b", bulkhead.Config{Limit: 1}, bulkhead.Hooks{})
		chain := Bulkhead(slots)
		door := NewTap()
		p := dialServer(t, chain, grpc.InTapHandle(door.Handle(chain)))
		var running, most, served atomic.Int32
		p.service.serve = func(context.Context, grpc.ServerStream) error {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(time.Second)
			running.Add(-1)
			served.Add(1)
			return nil
		}
		ended := make(chan error)
		for range 10 {
			go func() { ended <- p.call(context.Background(), unary, nil) }()
		}
		for range 10 {
			if err := <-ended; err != nil && status.Code(err) != codes.ResourceExhausted {
				t.Error(err)
			}
		}
		if most.Load() != 1 || served.Load() != 1 {
			t.Errorf("%d at once, %d served", most.Load(), served.Load())
		}
		p.service.serve = nil
		for i := range 2000 {
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*time.Microsecond)
				defer cancel()
				ended <- p.call(ctx, unary, nil)
			}()
		}
		for range 2000 {
			<-ended
		}
		synctest.Wait()
		if n := slots.Snapshot().Running; n != 0 {
			t.Errorf("%d permits are gone", n)
		}
	})
}

// The guards of a method's own chain are asked, those of the right shape, and an overload turns the least critical away,
// retries first.
func TestTapAsksTheSameGuards(t *testing.T) {
	full := &ledger{kind: core.KindBulkhead, reject: core.Verdict{Reason: core.ReasonFull}}
	for _, tt := range []struct {
		name                   string
		conf                   GuardConfig
		unary, stream, unknown bool // turned away
	}{
		{"both", GuardConfig{}, true, true, true},
		{"unary", GuardConfig{Only: Unary}, true, false, false},
		{"streams", GuardConfig{Only: Streams}, false, true, false},
		{"skipped", GuardConfig{Skip: func(i Info) bool { return i.Method == "/"+unaryMethod }}, false, true, true},
	} {
		door := NewTap()
		h := door.Handle(Chain(Recover(), Guard(Guarded{full, tt.conf})))
		for range 2 {
			if a, b, c := look(h, "/"+unaryMethod) != nil, look(h, streamMethod) != nil, look(h, "/no/Such") != nil; a != tt.unary || b != tt.stream || c != tt.unknown {
				t.Errorf("%s: %v %v %v", tt.name, a, b, c)
			}
		}
		if err := look(h, "/grpc.health.v1.Health/Check"); err != nil {
			t.Error(err)
		}
		if n := 0; true {
			door.shapes.Range(func(any, any) bool { n++; return true })
			if n != 3 { // health among them
				t.Errorf("%d methods are kept: clients choose the names", n)
			}
		}
	}
	var classes []core.Class
	g := &ledger{heard: nil}
	h := NewTap().Handle(Shed(peeker{g, &classes}, GuardConfig{Class: ByClass(ClassConfig{Trusted: trust})}))
	_ = look(h, "/"+unaryMethod, "request-criticality", "critical-plus")
	_ = look(h, "/"+unaryMethod, "request-criticality", "critical-plus", keyAttempts, "1")
	if !slices.Equal(classes, []core.Class{core.CriticalPlus, core.Sheddable}) || g.asked != 0 {
		t.Error(classes, g.asked)
	}
}

// peeker writes down the classes that it is asked for.
type peeker struct {
	*ledger
	classes *[]core.Class
}

func (p peeker) Peek(c core.Call) core.Decision {
	*p.classes = append(*p.classes, c.Class)
	return p.ledger.Peek(c)
}

// A function that panics in the tap would end the process; the call passes and it panics where Recover stands.
func TestTapAndPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, conf := range map[string]GuardConfig{
			"key":   {Key: func(context.Context, Info) core.Key { panic("boom") }},
			"cost":  {Cost: func(context.Context, Info) uint32 { panic("boom") }},
			"class": {Class: func(context.Context, Info) core.Class { panic("boom") }},
			"skip":  {Skip: func(Info) bool { panic("boom") }},
		} {
			slots, _ := bulkhead.New("b", bulkhead.Config{Limit: 1}, bulkhead.Hooks{})
			chain := Chain(Recover(RecoverConfig{Logger: quiet}), Bulkhead(slots, conf))
			door := NewTap()
			p := dialServer(t, chain, grpc.InTapHandle(door.Handle(chain)))
			for range 3 {
				if err := p.call(context.Background(), unary, nil); status.Code(err) != codes.Internal {
					t.Error(name, err)
				}
			}
			if s := door.Snapshot(); s != (TapSnapshot{Asked: 3, Broken: 3}) || slots.Snapshot().Running != 0 {
				t.Errorf("%s: %+v", name, s)
			}
		}
		full := &ledger{kind: core.KindBulkhead, reject: core.Verdict{Reason: core.ReasonFull}}
		chain := Guard(Guarded{Guard: full})
		door := NewTap(TapConfig{OnReject: func(Info, core.Decision) { panic("boom") }})
		p := dialServer(t, chain, grpc.InTapHandle(door.Handle(chain)))
		if err := p.call(context.Background(), unary, nil); status.Code(err) != codes.ResourceExhausted {
			t.Error(err)
		}
	})
	for _, f := range []func(){func() { NewTap().Handle(nil) }, func() { (*Tap)(nil).Handle(Recover()) }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("nil was taken")
				}
			}()
			f()
		}()
	}
}

// What an overload sheds at the door the adaptive limit counts as rejected: it goes on to know how many come.
func TestTapTellsTheAdaptiveLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := adaptive.New("a", adaptive.Config{InitialLimit: 4, MinLimit: 4, MaxLimit: 4, MinSamples: 1}, core.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		chain := Shed(l, GuardConfig{Class: ByClass(ClassConfig{Trusted: trust})})
		door := NewTap()
		p := dialServer(t, Chain(chain), grpc.InTapHandle(door.Handle(chain)))
		p.service.serve = func(context.Context, grpc.ServerStream) error { time.Sleep(50 * time.Millisecond); return nil }
		var good, shed [2]atomic.Int32 // critical, sheddable
		for i := range 20000 {
			class := i % 2
			go func() {
				ctx := metadata.AppendToOutgoingContext(context.Background(), "request-criticality", [...]string{"critical", "sheddable"}[class])
				if _, err := p.client.UnaryCall(ctx, &testpb.SimpleRequest{}); err == nil {
					good[class].Add(1)
				} else {
					shed[class].Add(1)
				}
			}()
			time.Sleep(time.Millisecond) // 1000 a second, half of them sheddable, where 80 can be served
		}
		time.Sleep(time.Second)
		s, d := l.Snapshot(), door.Snapshot()
		t.Logf("good %d %d, shed %d %d, door %+v, limit %+v", good[0].Load(), good[1].Load(), shed[0].Load(), shed[1].Load(), d, s.Status)
		if total := shed[0].Load() + shed[1].Load(); d.Rejected < uint64(total)/4 || s.Rejected < uint64(total)*95/100 {
			t.Errorf("the door turned %d of %d away, the limit knows of %d", d.Rejected, total, s.Rejected)
		}
		if c, n := good[0].Load(), good[1].Load(); c < 20*80*8/10 || n > c/10 {
			t.Errorf("served %d critical calls and %d others", c, n)
		}
		if s.Running != 0 {
			t.Error(s.Running)
		}
	})
}

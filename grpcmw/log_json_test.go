package grpcmw

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw/core"
)

// The line is the one that slog writes.
func TestLogJSON(t *testing.T) {
	for name, h := range map[string]grpc.UnaryHandler{
		"ok":     func(context.Context, any) (any, error) { time.Sleep(123450 * time.Nanosecond); return nil, nil },
		"fails":  func(context.Context, any) (any, error) { return nil, status.Error(codes.Internal, "secret") },
		"panics": func(context.Context, any) (any, error) { panic("secret") },
	} {
		t.Run(name, func(t *testing.T) {
			var bySlog, direct bytes.Buffer
			synctest.Test(t, func(*testing.T) { // one time for both
				chain := Chain(Recover(RecoverConfig{Logger: quiet}), RequestID(),
					Log(LogConfig{Logger: slog.New(slog.NewJSONHandler(&bySlog, nil))}), Log(LogConfig{JSON: &direct}))
				ctx := peer.NewContext(context.Background(), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}})
				info := &grpc.UnaryServerInfo{FullMethod: "/shop.\"Orders\\\x00/Pl\u2028ace\xff"}
				_, _ = chain.UnaryServer(grpc.NewContextWithServerTransportStream(ctx, deaf{}), nil, info, h)
			})
			if direct.String() != bySlog.String() || !json.Valid(direct.Bytes()) || bytes.Contains(direct.Bytes(), []byte("secret")) {
				t.Errorf("\n got %s\nwant %s", direct.String(), bySlog.String())
			}
		})
	}
}

func TestLogJSONOrLogger(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("both were taken")
		}
	}()
	Log(LogConfig{JSON: io.Discard, Logger: quiet})
}

// The text of an address is the one that net writes, but for IPv4 in IPv6.
func TestAddrText(t *testing.T) {
	for _, a := range []net.Addr{
		&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}, &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 443},
		&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0", Port: 1}, &net.TCPAddr{Port: 9}, &net.UnixAddr{Name: "/run/shop", Net: "unix"},
	} {
		if got, want := addrText(a), a.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A line costs the chain's allocation, and the text of the address.
func TestLogAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx := peer.NewContext(context.Background(), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}})
	info := &grpc.UnaryServerInfo{FullMethod: "/shop.Orders/Place"}
	handler := func(context.Context, any) (any, error) { return nil, nil }
	log := Log(LogConfig{JSON: io.Discard})
	if n := testing.AllocsPerRun(200, func() { _, _ = log.UnaryServer(ctx, nil, info, handler) }); n > 3 {
		t.Errorf("%v allocations", n)
	}
}

// Alone and in a chain an Observe tells the same of a call.
func TestObserveAloneTellsTheSame(t *testing.T) {
	guard := &ledger{reject: core.Verdict{Reason: core.ReasonFull}}
	info := &grpc.UnaryServerInfo{FullMethod: "/shop.Orders/Place"}
	for name, h := range map[string]grpc.UnaryHandler{
		"ok":     func(context.Context, any) (any, error) { return "x", nil },
		"fails":  func(context.Context, any) (any, error) { return nil, status.Error(codes.NotFound, "") },
		"panics": func(context.Context, any) (any, error) { panic("planted") },
		"rejected": func(ctx context.Context, req any) (any, error) {
			return Guard(Guarded{Guard: guard}).UnaryServer(ctx, req, info, func(context.Context, any) (any, error) { return nil, nil })
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			var got [2]Summary
			for i, around := range []func(*Interceptor) *Interceptor{
				func(o *Interceptor) *Interceptor { return o }, func(o *Interceptor) *Interceptor { return Chain(Chain(o), Observe(func(Summary) {})) },
			} {
				func() {
					defer func() { _ = recover() }()
					ctx := grpc.NewContextWithServerTransportStream(t.Context(), deaf{})
					_, _ = around(Observe(func(s Summary) { got[i] = s })).UnaryServer(ctx, nil, info, h)
				}()
			}
			got[0].Err, got[1].Err = nil, nil
			if got[0] != got[1] || got[0].Method == "" {
				t.Errorf("%s:\nalone %+v\nchain %+v", name, got[0], got[1])
			}
		})
	}
}

package grpcmw

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/mw-go/mw/core"
)

// heardOf collects summaries.
type heardOf struct {
	mu    sync.Mutex
	begun int
	list  []Summary
}

func (h *heardOf) policy() *Interceptor {
	return Observe(func(s Summary) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.list = append(h.list, s)
	}, ObserveConfig{Begin: func(Summary) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.begun++
	}})
}

// Whatever becomes of a call: begun is ended, once, with the code that the client got.
func TestObserveEveryEnding(t *testing.T) {
	for _, end := range endings {
		for k := range kinds {
			if end.impossible(k) {
				continue
			}
			t.Run(end.name+"/"+k.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var server, client heardOf
					p := dial(t, Chain(Recover(RecoverConfig{Logger: quiet}), server.policy(), Log(LogConfig{Logger: quiet})), client.policy())
					end.run(t, p, k)
					synctest.Wait()
					for _, side := range []*heardOf{&server, &client} {
						if side.begun != 1 || len(side.list) != 1 {
							t.Fatalf("%d begun, %d ended", side.begun, len(side.list))
						}
						s := side.list[0]
						if s.Server != (side == &server) || s.Kind != Kind(k) || !strings.HasPrefix(s.Method, "/grpc.testing.TestService/") {
							t.Errorf("%+v", s)
						}
						if (s.Code == codes.OK) != (s.ErrorType == "") {
							t.Errorf("code %v is %q", s.Code, s.ErrorType)
						}
					}
					if got := client.list[0].Code; got != end.code && end.name != "abandoned" {
						t.Errorf("the client observed %v, want %v", got, end.code)
					}
					if got := server.list[0].ErrorType; (got == "panic") != (strings.Contains(end.name, "panic") || end.name == "Goexit") {
						t.Errorf("error type %q", got)
					}
				})
			})
		}
	}
}

// Messages are counted as they pass, and the time is that of the call.
func TestObserveCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var server, client heardOf
		p := dial(t, server.policy(), client.policy())
		p.service.serve = func(_ context.Context, s grpc.ServerStream) error {
			time.Sleep(time.Second)
			for range 3 {
				if err := send(s, bidi); err != nil {
					return err
				}
			}
			return nil
		}
		if err := p.call(context.Background(), bidi, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := server.list[0]; s.Sent != 3 || s.Received != 0 || s.Duration != time.Second {
			t.Errorf("%+v", s)
		}
		if s := client.list[0]; s.Received != 3 || s.Sent != 0 || s.Duration != time.Second || s.Target != "passthrough:shop" {
			t.Errorf("%+v", s)
		}
		p.service.serve = nil
		if err := p.call(context.Background(), unary, nil); err != nil {
			t.Fatal(err)
		}
		if s := server.list[1]; s.Sent != 1 || s.Received != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// The record of a call.
func TestLog(t *testing.T) {
	for _, tt := range []struct {
		name  string
		serve func(context.Context, grpc.ServerStream) error
		guard *ledger
		want  map[string]any
	}{
		{"ok", nil, &ledger{}, map[string]any{"level": "INFO", "rpc.response.status_code": "OK", "error.type": nil}},
		{"not found", answers(code(codes.NotFound)), &ledger{}, map[string]any{"level": "INFO", "error.type": "NOT_FOUND"}},
		{"internal", answers(code(codes.Internal)), &ledger{}, map[string]any{"level": "ERROR", "error.type": "INTERNAL"}},
		{"panic", func(context.Context, grpc.ServerStream) error { panic("x") }, &ledger{},
			map[string]any{"level": "ERROR", "error.type": "panic", "rpc.response.status_code": "INTERNAL"}},
		{"rejected", nil, &ledger{kind: core.KindBreaker, reject: core.Verdict{Reason: core.ReasonOpen}},
			map[string]any{"level": "WARN", "error.type": "open", "rpc.response.status_code": "UNAVAILABLE"}},
	} {
		var log bytes.Buffer
		logger := slog.New(slog.NewJSONHandler(&log, nil))
		p := dial(t, Chain(Recover(RecoverConfig{Logger: quiet}), RequestID(), Log(LogConfig{Logger: logger}), Guard(Guarded{Guard: tt.guard})), nil)
		p.service.serve = tt.serve
		_ = p.call(context.Background(), unary, nil)
		p.server.GracefulStop()
		var got map[string]any
		if err := json.Unmarshal(log.Bytes(), &got); err != nil {
			t.Fatal(tt.name, err, log.String())
		}
		tt.want["msg"], tt.want["rpc.system.name"], tt.want["rpc.method"] = "call", "grpc", "grpc.testing.TestService/UnaryCall"
		for key, want := range tt.want {
			if got[key] != want {
				t.Errorf("%s: %s is %v, want %v", tt.name, key, got[key], want)
			}
		}
		if id, _ := got["request.id"].(string); len(id) != 32 {
			t.Errorf("%s: id %q", tt.name, id)
		}
		if _, ok := got["rpc.server.call.duration"].(float64); !ok {
			t.Errorf("%s: no duration", tt.name)
		}
	}
}

// Health checks are not logged nor observed unless asked for, and a level that is off costs no record.
func TestLogSkips(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))
	handler := func(context.Context, any) (any, error) { return nil, nil }
	_, _ = Log(LogConfig{Logger: logger, Everything: true}).UnaryServer(context.Background(), nil, &grpc.UnaryServerInfo{FullMethod: "/a/b"}, handler)
	logger = slog.New(slog.NewTextHandler(&log, nil))
	health := &grpc.UnaryServerInfo{FullMethod: "/grpc.health.v1.Health/Check"}
	_, _ = Log(LogConfig{Logger: logger}).UnaryServer(context.Background(), nil, health, handler)
	_, _ = Log(LogConfig{Logger: logger, Skip: func(Info) bool { return true }}).UnaryServer(context.Background(), nil, &grpc.UnaryServerInfo{}, handler)
	if log.Len() > 0 {
		t.Error(log.String())
	}
	_, _ = Log(LogConfig{Logger: logger, Everything: true}).UnaryServer(context.Background(), nil, health, handler)
	if !strings.Contains(log.String(), "grpc.health") {
		t.Error("nothing logged")
	}
}

func TestCodeName(t *testing.T) {
	for c := codes.OK; c <= codes.Unauthenticated; c++ {
		var back codes.Code
		if err := back.UnmarshalJSON([]byte(`"` + CodeName(c) + `"`)); err != nil || back != c {
			t.Errorf("%v is %q, which is %v (%v)", c, CodeName(c), back, err)
		}
	}
	if CodeName(77) != "77" {
		t.Error(CodeName(77))
	}
}

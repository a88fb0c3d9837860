package grpcmw

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// The client learns that something broke and nothing else; the log has the value, the stack and the id.
func TestRecover(t *testing.T) {
	for k := range kinds {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			p := dial(t, Chain(Recover(RecoverConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))}), RequestID()), nil)
			p.service.serve = func(context.Context, grpc.ServerStream) error { panic("password=hunter2") }
			var trailer metadata.MD
			err := p.call(context.Background(), k, nil, grpc.Trailer(&trailer))
			st := status.Convert(err)
			if st.Code() != codes.Internal || st.Message() != "internal error" || strings.Contains(err.Error(), "hunter2") {
				t.Error(err)
			}
			if info, _, _ := details(t, err); info.GetReason() != ReasonPanic {
				t.Error(info)
			}
			id := strings.Join(trailer[keyRequestID], ",")
			for _, want := range []string{"hunter2", "recover_test.go", "request.id=" + id, "rpc.method=/grpc.testing.TestService/"} {
				if !strings.Contains(log.String(), want) || len(id) != 32 {
					t.Errorf("%q is not in the log: %s", want, log.String())
				}
			}
			if err := p.call(context.Background(), k, nil); status.Code(err) != codes.Internal {
				t.Error("the second call", err)
			}
		})
	}
}

// A logger that panics does not end the process, and the error unwraps to what happened.
func TestRecoverWithABadLogger(t *testing.T) {
	i := Recover(RecoverConfig{Logger: slog.New(badHandler{})})
	inner := single(fake{func(c *serverCall) error { c.resp = "half"; panic(errors.New("boom")) }})
	resp, err := Chain(i, inner).UnaryServer(context.Background(), nil, &grpc.UnaryServerInfo{FullMethod: "/a/b"}, nil)
	if resp != nil {
		t.Error("a reply beside the error")
	}
	if status.Code(err) != codes.Internal || errors.Unwrap(err) == nil || !strings.Contains(errors.Unwrap(err).Error(), "boom") {
		t.Error(err)
	}
}

// fake is a layer for tests.
type fake struct{ serve func(c *serverCall) error }

func (fake) layer() string                        { return "fake" }
func (f fake) server(c *serverCall, at int) error { return f.serve(c) }

type badHandler struct{ slog.Handler }

func (badHandler) Enabled(context.Context, slog.Level) bool { panic("logger") }

// The id is the caller's if it is trusted and sane, goes back as a trailer, and on to the next service.
func TestRequestID(t *testing.T) {
	for _, tt := range []struct {
		trust bool
		sent  []string
		kept  bool
	}{
		{true, []string{"abc-1"}, true}, {false, []string{"abc-1"}, false}, {true, []string{"a b"}, false},
		{true, []string{"abc-1", "b"}, false}, {true, nil, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			back := dial(t, RequestID(RequestIDConfig{TrustIncoming: true}), RequestID())
			var behind string
			back.service.serve = func(ctx context.Context, _ grpc.ServerStream) error { behind = RequestIDFrom(ctx); return nil }
			front := dial(t, RequestID(RequestIDConfig{TrustIncoming: tt.trust}), nil)
			var id string
			front.service.serve = func(ctx context.Context, _ grpc.ServerStream) error {
				id = RequestIDFrom(ctx)
				return back.call(ctx, unary, nil)
			}
			ctx := context.Background()
			for _, v := range tt.sent {
				ctx = metadata.AppendToOutgoingContext(ctx, keyRequestID, v)
			}
			var header, trailer metadata.MD
			if err := front.call(ctx, unary, nil, grpc.Header(&header), grpc.Trailer(&trailer)); err != nil {
				t.Fatal(err)
			}
			if got := trailer[keyRequestID]; (len(got) == 1 && got[0] == id) != (len(tt.sent) > 0) || id == "" || (id == "abc-1") != tt.kept {
				t.Errorf("%v: %q, trailer %q", tt, id, got)
			}
			if len(header[keyRequestID]) > 0 {
				t.Error("a header would commit the attempt")
			}
			if behind != id {
				t.Errorf("the service behind knows it as %q", behind)
			}
		})
	}
}

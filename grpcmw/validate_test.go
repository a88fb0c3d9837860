package grpcmw

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// fieldFault is what protoc-gen-validate makes.
type fieldFault struct{ field, reason string }

func (f fieldFault) Error() string  { return f.field + ": " + f.reason }
func (f fieldFault) Field() string  { return f.field }
func (f fieldFault) Reason() string { return f.reason }

type manyFaults []error

func (m manyFaults) Error() string      { return "many" }
func (m manyFaults) AllErrors() []error { return m }

// violations lists the fields that a status names.
func violations(err error) string {
	var list []string
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.FieldViolations {
				list = append(list, v.Field+"="+v.Description)
			}
		}
	}
	return strings.Join(list, ", ")
}

// Every kind of call, on either side: an invalid message ends it with the fields that are wrong, and costs nothing else.
func TestValidate(t *testing.T) {
	for _, side := range []string{"server", "client"} {
		for k := range kinds {
			synctest.Test(t, func(t *testing.T) {
				wrong := errors.Join(fieldFault{"name", "too long"}, fmt.Errorf("wrapped: %w", fieldFault{"age", "negative"}), errors.New("secret"))
				i := Validate(ValidateConfig{Check: func(m any) error { return wrong }})
				server, client := i, (*Interceptor)(nil)
				if side == "client" {
					server, client = nil, i
				}
				p := dial(t, server, client)
				p.service.serve = func(_ context.Context, s grpc.ServerStream) error {
					if s == nil {
						return nil
					}
					return s.RecvMsg(&testpb.StreamingInputCallRequest{})
				}
				err := oneMessage(p, k)
				if status.Code(err) != codes.InvalidArgument || violations(err) != "name=too long, age=negative" || strings.Contains(err.Error(), "secret") {
					t.Errorf("%s, %v: %v, %q", side, k, err, violations(err))
				}
				if errors.Is(err, wrong) != (side == "client") {
					t.Errorf("%s, %v: the cause", side, k)
				}
				synctest.Wait()
			})
		}
	}
}

// oneMessage makes a call of the kind with a message in it.
func oneMessage(p *pair, k kind) error {
	ctx := context.Background()
	switch k {
	case clientStreaming:
		s, err := p.client.StreamingInputCall(ctx)
		if err == nil {
			err = s.Send(&testpb.StreamingInputCallRequest{})
		}
		if err == nil {
			_, err = s.CloseAndRecv()
		}
		return err
	case bidi:
		s, err := p.client.FullDuplexCall(ctx)
		if err == nil {
			err = s.Send(&testpb.StreamingOutputCallRequest{})
		}
		if err == nil {
			_, err = s.Recv()
		}
		return err
	default:
		return p.call(ctx, k, nil)
	}
}

// own validates itself.
type own struct{ err error }

func (o own) Validate() error { return o.err }

type ownAll struct{ own }

func (o ownAll) ValidateAll() error { return manyFaults{o.err, o.err} }

// Messages that know how to validate are asked; what they say of fields is shown, bounded.
func TestValidateAsksTheMessage(t *testing.T) {
	var many manyFaults
	for range 200 {
		many = append(many, fieldFault{"f", "r"})
	}
	handled := 0
	handler := func(context.Context, any) (any, error) { handled++; return nil, nil }
	for _, tt := range []struct {
		message any
		want    string
		ok      bool
	}{
		{own{nil}, "", true}, {"text", "", true}, {nil, "", true},
		{own{errors.New("secret")}, "", false},
		{own{fieldFault{"a", "b"}}, "a=b", false},
		{ownAll{own{fieldFault{"a", "b"}}}, "a=b, a=b", false},
		{own{schema.Errors{{Path: "p", Want: "1 to 3"}}}, "p=1 to 3", false},
		{own{many}, strings.Repeat("f=r, ", 49) + "f=r", false},
	} {
		handled = 0
		_, err := Validate().UnaryServer(context.Background(), tt.message, &grpc.UnaryServerInfo{FullMethod: "/a/b"}, handler)
		if (err == nil) != tt.ok || (handled == 1) != tt.ok || violations(err) != tt.want {
			t.Errorf("%v: %v, %q", tt.message, err, violations(err))
		}
	}
}

// A Check that fails for a reason of its own says so.
func TestValidateThatCannotJudge(t *testing.T) {
	i := Validate(ValidateConfig{Check: func(any) error { return status.Error(codes.Internal, "no rules") }})
	_, err := i.UnaryServer(context.Background(), "", &grpc.UnaryServerInfo{FullMethod: "/a/b"}, nil)
	if status.Code(err) != codes.Internal {
		t.Error(err)
	}
}

// In shadow mode it tells and lets pass; a mode of breakers is none of its own.
func TestValidateModes(t *testing.T) {
	handler := func(context.Context, any) (any, error) { return nil, nil }
	for mode, told := range map[core.Mode]int{core.Enforce: 1, core.Shadow: 1, core.Disabled: 0} {
		n := 0
		i := Validate(ValidateConfig{Mode: mode, OnInvalid: func(context.Context, Info, error) { n++ }})
		_, err := i.UnaryServer(context.Background(), own{errors.New("x")}, &grpc.UnaryServerInfo{FullMethod: "/a/b"}, handler)
		if (err != nil) != (mode == core.Enforce) || n != told {
			t.Error(mode, err, n)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("accepted")
		}
	}()
	Validate(ValidateConfig{Mode: core.ForcedOpen})
}

package protovalidate_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/grpcmw"
	"github.com/mw-go/mw/grpcmw/protovalidate"
)

// order is a message type with a name of at least three letters, and a rule of the server's own if cel is not empty.
func order(t testing.TB, cel string) protoreflect.MessageType {
	t.Helper()
	rules := &validate.FieldRules{Type: &validate.FieldRules_String_{String_: &validate.StringRules{MinLen: proto.Uint64(3)}}}
	if cel != "" {
		rules.Cel = []*validate.Rule{{Id: proto.String("own"), Expression: proto.String(cel)}}
	}
	options := &descriptorpb.FieldOptions{}
	proto.SetExtension(options, validate.E_Field, rules)
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String(t.Name() + ".proto"), Package: proto.String("test"), Syntax: proto.String("proto3"),
		Dependency: []string{"buf/validate/validate.proto"},
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: proto.String("Order"),
			Field: []*descriptorpb.FieldDescriptorProto{{
				Name: proto.String("name"), Number: proto.Int32(1), Options: options,
				Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
			}},
		}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return dynamicpb.NewMessageType(file.Messages().Get(0))
}

func named(t protoreflect.MessageType, name string) proto.Message {
	m := t.New()
	m.Set(t.Descriptor().Fields().Get(0), protoreflect.ValueOfString(name))
	return m.Interface()
}

func call(i *grpcmw.Interceptor, message any) error {
	_, err := i.UnaryServer(context.Background(), message, &grpc.UnaryServerInfo{FullMethod: "/shop.Orders/Place"},
		func(context.Context, any) (any, error) { return nil, nil })
	return err
}

// A message that breaks a rule is refused with its field and the rule's words, and without what was sent.
func TestRulesOfMessages(t *testing.T) {
	i, err := protovalidate.New(grpcmw.ValidateConfig{})
	if err != nil {
		t.Fatal(err)
	}
	kind := order(t, "")
	for _, fine := range []any{named(kind, "pear"), &emptypb.Empty{}, "no message", nil} {
		if err := call(i, fine); err != nil {
			t.Errorf("%v: %v", fine, err)
		}
	}
	err = call(i, named(kind, "zq"))
	st := status.Convert(err)
	if st.Code() != codes.InvalidArgument || strings.Contains(err.Error(), "zq") {
		t.Fatal(err)
	}
	for _, d := range st.Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			if v := bad.FieldViolations; len(v) != 1 || v[0].Field != "name" || !strings.Contains(v[0].Description, "3 characters") {
				t.Errorf("%v", v)
			}
			return
		}
	}
	t.Error("no fields")
}

// A rule that does not compile is the server's fault, and nothing of it reaches the client.
func TestRulesThatDoNotCompile(t *testing.T) {
	i, err := protovalidate.New(grpcmw.ValidateConfig{})
	if err != nil {
		t.Fatal(err)
	}
	err = call(i, named(order(t, "this.unknown("), "pear"))
	if st := status.Convert(err); st.Code() != codes.Internal || st.Message() != "internal error" {
		t.Errorf("%v", err)
	}
	if _, err := protovalidate.New(grpcmw.ValidateConfig{Check: func(any) error { return nil }}); err == nil {
		t.Error("two Checks")
	}
}

// In shadow mode a message that breaks a rule passes, and somebody hears of it.
func ExampleNew() {
	validates, err := protovalidate.New(grpcmw.ValidateConfig{
		Mode:      core.Shadow,
		OnInvalid: func(_ context.Context, i grpcmw.Info, err error) { fmt.Println(i.Method, err) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(call(validates, &emptypb.Empty{}))
	// Output: <nil>
}

// Package protovalidate checks messages by the rules in their definitions (buf.validate), for grpcmw.Validate. It is a
// package of its own, since it links an evaluator of CEL.
package protovalidate

import (
	"errors"
	"fmt"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/mw-go/mw/grpcmw"
)

// Check returns what grpcmw.ValidateConfig.Check wants: a function that judges messages by their rules, each violation with
// the path of its field and the rule's own message, which holds no values. Messages that are not protobuf's, and those
// without rules, pass. Rules that do not compile are the server's own fault: the call ends with Internal and a fixed text.
//
// The options are protovalidate's, such as WithMessages, which compiles rules before the first message of a type comes. The
// error is protovalidate's of options that make no sense. The function is safe for concurrent use.
func Check(options ...protovalidate.ValidatorOption) (func(message any) error, error) {
	v, err := protovalidate.New(options...)
	if err != nil {
		return nil, fmt.Errorf("protovalidate: %w", err)
	}
	return func(message any) error {
		m, ok := message.(proto.Message)
		if !ok {
			return nil
		}
		err := v.Validate(m)
		if err == nil {
			return nil
		}
		broken, ok := errors.AsType[*protovalidate.ValidationError](err)
		if !ok {
			return &fault{err}
		}
		var all violations
		for _, one := range broken.Violations {
			all = append(all, violation{protovalidate.FieldPathString(one.Proto.GetField()), one.Proto.GetMessage()})
		}
		return all
	}, nil
}

// New returns grpcmw.Validate by the rules of messages. The rest of c counts as there; its Check must be nil.
func New(c grpcmw.ValidateConfig, options ...protovalidate.ValidatorOption) (*grpcmw.Interceptor, error) {
	if c.Check != nil {
		return nil, errors.New("protovalidate: New: a Check is set already")
	}
	check, err := Check(options...)
	if err != nil {
		return nil, err
	}
	c.Check = check
	return grpcmw.Validate(c), nil
}

// violations are what is wrong with a message, in the form that grpcmw.Validate shows.
type violations []error

func (v violations) Error() string   { return errors.Join(v...).Error() }
func (v violations) Unwrap() []error { return v }

type violation struct{ field, reason string }

func (v violation) Error() string  { return v.field + ": " + v.reason }
func (v violation) Field() string  { return v.field }
func (v violation) Reason() string { return v.reason }

// fault is that of rules that cannot be evaluated.
type fault struct{ cause error }

func (f *fault) Error() string              { return "protovalidate: " + f.cause.Error() }
func (f *fault) Unwrap() error              { return f.cause }
func (f *fault) GRPCStatus() *status.Status { return status.New(codes.Internal, "internal error") }

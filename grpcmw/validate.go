package grpcmw

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
)

// ReasonInvalid is the reason in the ErrorInfo of a message that did not validate.
const ReasonInvalid = "INVALID_MESSAGE"

// ValidateConfig is the Config of Validate. The zero value is the default.
type ValidateConfig struct {
	// Check judges a message. nil means to call its ValidateAll() error, or else its Validate() error, if it has one. What it
	// returns is shown to the client as far as it names fields, see Validate.
	Check func(message any) error
	// Mode is enforce; shadow, which tells OnInvalid and lets the message pass; or disabled. Default enforce.
	Mode core.Mode
	// OnInvalid hears of each message that did not validate. It runs in the goroutine of the call. nil drops it.
	OnInvalid func(ctx context.Context, i Info, err error)
}

// Validate returns the policy that checks the messages that a server receives, of unary calls and streams, and those that a
// client sends, before they cost anything else. One that does not validate ends the call with InvalidArgument, a fixed text
// and a BadRequest with a violation a field: those of schema.Errors, and of errors that have Field() string and Reason()
// string, also several in one that has AllErrors() []error or Unwrap() []error. What names no field is not shown: it may
// hold what was sent. An error with a status of its own ends the call with that. On a client the error unwraps to the cause. At
// most one Config.
func Validate(c ...ValidateConfig) *Interceptor {
	m := &validator{atMostOne("Validate", c)}
	if m.Check == nil {
		m.Check = ownCheck
	}
	if m.Mode > core.Disabled {
		panic("grpcmw: Validate: mode " + m.Mode.String() + " is not allowed (allowed: enforce|shadow|disabled)")
	}
	return single(m)
}

type validator struct{ ValidateConfig }

func (*validator) layer() string { return "Validate" }

// ownCheck asks the message itself.
func ownCheck(message any) error {
	switch m := message.(type) {
	case interface{ ValidateAll() error }:
		return m.ValidateAll()
	case interface{ Validate() error }:
		return m.Validate()
	default:
		return nil
	}
}

// judge returns the error that the call ends with, nil if it goes on.
func (m *validator) judge(ctx context.Context, i Info, message any) error {
	if m.Mode == core.Disabled || message == nil {
		return nil
	}
	err := m.Check(message)
	if err == nil {
		return nil
	}
	if m.OnInvalid != nil {
		m.OnInvalid(ctx, i, err)
	}
	if m.Mode == core.Shadow {
		return nil
	}
	var has interface{ GRPCStatus() *status.Status }
	if errors.As(err, &has) { // it is not the message that is wrong
		return err
	}
	return &failure{invalid(err), err}
}

// What is written about a message that is wrong everywhere is bounded, for it goes into a trailer, of which peers take 8 to 16
// kB, and its sender may have chosen the words: keys of a map are part of a field's name.
const (
	maxViolations     = 50
	maxViolationBytes = 4096
	maxViolationText  = 256
)

// clip makes a text short enough and fit to be encoded.
func clip(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxViolationText)], "\uFFFD")
}

func invalid(err error) *status.Status {
	bad := &errdetails.BadRequest{}
	collect(err, bad)
	st := errorInfo(codes.InvalidArgument, "invalid message", ReasonInvalid)
	if len(bad.FieldViolations) == 0 {
		return st
	}
	return withDetails(codes.InvalidArgument, "invalid message", &errdetails.ErrorInfo{Reason: ReasonInvalid, Domain: Domain}, bad)
}

// collect finds the fields that err names.
func collect(err error, bad *errdetails.BadRequest) {
	if err == nil || len(bad.FieldViolations) >= maxViolations || proto.Size(bad) >= maxViolationBytes {
		return
	}
	add := func(field, text string) {
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: clip(field), Description: clip(text)})
	}
	switch e := err.(type) {
	case *schema.FieldError:
		add(e.Path, e.Want)
	case interface {
		Field() string
		Reason() string
	}:
		add(e.Field(), e.Reason())
	case interface{ AllErrors() []error }:
		for _, err := range e.AllErrors() {
			collect(err, bad)
		}
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			collect(err, bad)
		}
	default:
		collect(errors.Unwrap(err), bad)
	}
}

func (m *validator) server(c *serverCall, at int) error {
	i := Info{Method: c.method, Stream: c.info != nil}
	if c.info == nil {
		if err := m.judge(c.ctx, i, c.req); err != nil {
			return err
		}
		return c.next(at)
	}
	outer := c.stream.check
	c.stream.check = func(message any) error {
		if outer != nil {
			if err := outer(message); err != nil {
				return err
			}
		}
		return m.judge(c.ctx, i, message)
	}
	return c.next(at)
}

func (m *validator) unaryClient(ctx context.Context, c *clientCall, at int, req, reply any, opts []grpc.CallOption) error {
	if err := m.judge(ctx, c.info(), req); err != nil {
		return err
	}
	return c.unary(ctx, at+1, req, reply, opts)
}

func (m *validator) streamClient(ctx context.Context, c *clientCall, at int, opts []grpc.CallOption) (grpc.ClientStream, error) {
	if m.Mode == core.Disabled {
		return c.stream(ctx, at+1, opts)
	}
	inner, cancel := context.WithCancel(ctx)
	opened := false
	defer func() {
		if !opened {
			cancel()
		}
	}()
	s, err := c.stream(inner, at+1, withFinish(func(error) { cancel() }, opts))
	if err != nil {
		return nil, err
	}
	opened = true
	return &validatedStream{s, m, ctx, c.info(), cancel}, nil
}

// validatedStream checks what a client sends. A message that does not validate is not sent, and ends the stream: callers do
// not use one again after an error of SendMsg, nor close it.
type validatedStream struct {
	grpc.ClientStream
	m      *validator
	ctx    context.Context
	i      Info
	cancel context.CancelFunc
}

func (s *validatedStream) SendMsg(message any) error {
	if err := s.m.judge(s.ctx, s.i, message); err != nil {
		s.cancel()
		return err
	}
	return s.ClientStream.SendMsg(message)
}

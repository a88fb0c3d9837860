package grpcmw

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"google.golang.org/grpc/codes"

	"github.com/mw-go/mw/core"
)

// RecoverConfig is the Config of Recover. The zero value is the default.
type RecoverConfig struct {
	// Logger gets one record a panic. nil means slog.Default(), looked up at each panic.
	Logger *slog.Logger
}

// Recover returns the policy that keeps a panic of a handler from ending the process. The client gets Internal with a fixed
// text and the ErrorInfo reason PANIC; the value and the stack, which may hold secrets, go to the log alone, with the id of the
// call. It belongs outermost: it sees only panics of what it wraps. All other policies of this package keep their books
// in whatever order they stand.
//
// runtime.Goexit of a handler is not a panic and goes on; gRPC answers nothing then, and the client waits for its deadline. A
// panic in a goroutine that a handler has started cannot be caught by anybody else. On a client Recover does nothing. At
// most one Config.
func Recover(c ...RecoverConfig) *Interceptor {
	return single(&recoverer{log: atMostOne("Recover", c).Logger})
}

type recoverer struct{ log *slog.Logger }

func (*recoverer) layer() string { return "Recover" }

const errorPanic = "panic"

func (m *recoverer) server(c *serverCall, at int) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		c.fail(errorPanic)
		c.resp = nil
		m.report(c, p)
		err = &failure{errorInfo(codes.Internal, "internal error", ReasonPanic), &panicked{p}}
	}()
	return c.next(at)
}

// report writes the panic to the log. A panic of the logger's handler must not end the process either.
func (m *recoverer) report(c *serverCall, value any) {
	stack := debug.Stack()
	if p, ok := value.(*core.PanicError); ok {
		stack = p.Stack
	}
	defer func() { _ = recover() }()
	log := m.log
	if log == nil {
		log = slog.Default()
	}
	log.LogAttrs(context.WithoutCancel(c.ctx), slog.LevelError, "panic",
		slog.String("rpc.method", c.method), slog.String("request.id", c.id),
		slog.String("exception.message", fmt.Sprint(value)), slog.String("exception.stacktrace", string(stack)))
}

// panicked is the cause of the error that a panic became.
type panicked struct{ value any }

func (p *panicked) Error() string { return fmt.Sprint("panic: ", p.value) }

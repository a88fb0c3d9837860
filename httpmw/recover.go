package httpmw

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/mw-go/mw/core"
)

// RecoverConfig is the Config of Recover. The zero value is the default.
type RecoverConfig struct {
	// Logger gets one record a panic. nil means slog.Default(), looked up at each panic.
	Logger *slog.Logger
}

// Recover returns a middleware that keeps a panic of the handler from taking the answer with it.
//
// The panic is logged at level error with its value, its stack and the request id. The value may hold secrets: it goes to
// the log and never to the client. Then, if nothing of the response was sent, the client gets a 500 with a problem document;
// if something was, or the handler announced trailers, the response is aborted by panicking with http.ErrAbortHandler,
// so that the client sees a broken message and not a truncated one that looks whole; if the connection was hijacked,
// nothing more.
//
// A panic with http.ErrAbortHandler is how a handler aborts its response: it is neither logged nor changed.
// runtime.Goexit is not a panic and goes on; net/http then closes the connection.
//
// Recover belongs near the outside of the chain: it sees only panics of what it wraps. The behaviour is that of chi's
// Recoverer, but for the abort, which is missing there. At most one Config.
func Recover(c ...RecoverConfig) func(http.Handler) http.Handler {
	return wrap("Recover", &recoverer{log: atMostOne("Recover", c).Logger})
}

type recoverer struct{ log *slog.Logger }

func (m *recoverer) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	defer func() {
		switch v := recover(); v {
		case nil: // a normal return, or Goexit
		case http.ErrAbortHandler:
			panic(v)
		default:
			m.recovered(x, w, r, v)
		}
	}()
	next.ServeHTTP(w, r)
}

// recovered runs inside the deferred call, so that the stack still shows where the panic came from.
func (m *recoverer) recovered(x *exchange, w http.ResponseWriter, r *http.Request, v any) {
	x.rec.failure = errorPanic // whatever else went wrong before
	stack := debug.Stack()
	if e, ok := v.(*core.PanicError); ok { // it has crossed a goroutine, as in an enforced Timeout
		v, stack = e.Value, e.Stack
	}
	log := m.log
	if log == nil {
		log = slog.Default()
	}
	log.LogAttrs(r.Context(), slog.LevelError, "panic in a handler",
		slog.String("exception.type", fmt.Sprintf("%T", v)),
		slog.String("exception.message", printable(fmt.Sprint(v), 4096)),
		slog.String("exception.stacktrace", string(stack)),
		slog.String(attrMethod, method(r.Method)),
		slog.String(attrRoute, x.route()),
		slog.String(attrPath, printable(r.URL.Path, maxPath)),
		slog.String(attrRequestID, x.rec.id),
	)
	if x.hijacked || writeProblem(w, r, problemPanic) {
		return
	}
	panic(http.ErrAbortHandler)
}

package httpmw

import (
	"context"
	"errors"
	"maps"
	"net/http"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/fallback"
	"github.com/mw-go/mw/core/schema"
	"github.com/mw-go/mw/httpmw/internal/intercept"
)

// FallbackConfig is the Config of Fallback and ClientFallback. The zero value is the default.
type FallbackConfig struct {
	// Classify says which responses are failures: all that are no core.Success. nil means ClassifyStatus, and for a client 408
	// and 425 are failures as well.
	Classify func(status int, h http.Header) core.Outcome `key:"-"`
	// StepHeader is a field of the response that names the step that answered. Default none: nobody is told.
	StepHeader string
	// Buffer is how many bytes of a failure's body are held on a server. A failure that is longer goes to the client.
	// Default 65536. Range 1 to 1073741824.
	Buffer int `default:"65536" range:"1..1073741824"`
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c FallbackConfig) Validate() error {
	return schema.Validate(c, checkField("step_header", c.StepHeader))
}

// prepare returns c with its defaults, as net/http writes the name.
func (c FallbackConfig) prepare() (FallbackConfig, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	c = schema.Fill(c)
	c.StepHeader = http.CanonicalHeaderKey(c.StepHeader)
	return c, nil
}

// FallbackStep is a place to ask when those before it have failed.
type FallbackStep struct {
	// By is the step's policy: its name, time, limit and mode. Required.
	By *fallback.Fallback
	// Handler answers. A failure by status of its own goes on to the next step. Required.
	Handler http.Handler

	name string
}

// Fallback returns a middleware that answers from somewhere else when the handler's response is a failure by its status:
// from the steps in order, until one has a response that is none. If none has, the client gets the handler's own.
//
// So a failure is held until the handler returns, and nothing else is: a response that is no failure goes to the client as
// it is written. A failure that is longer than Buffer, or flushed or a stream, goes to the client too, and it is too late
// for a step. The fields that the handler or a step before have set are gone when a step answers.
//
// A step runs if its condition holds (fallback.Hooks.When gets a *StatusError), never after a panic, and not once the
// request's context is done: nobody waits, or a Timeout outside has its own answer. A rejection by a guard further
// in is a failure like others; what a step answers is then what guards and logs outside are told. The request's
// body may have been read before. A step that returns without an answer after its time has failed.
//
// Put it inside of Timeout and outside of the guards that it answers for. It fails if there is no step, if one has no policy
// or no handler, and if the Config does not validate. It costs four allocations, and more only for failures.
func Fallback(c FallbackConfig, steps ...FallbackStep) (func(http.Handler) http.Handler, error) {
	c, err := c.prepare()
	if err != nil {
		return nil, err
	}
	if len(steps) == 0 {
		return nil, errNoSteps
	}
	chain := make(fallback.Chain[struct{}], len(steps))
	for i, s := range steps {
		chain[i].By = s.By
		if s.Handler != nil {
			chain[i].Run = func(context.Context, error) (none struct{}, err error) { return none, nil }
		}
	}
	if err := chain.Validate(); err != nil {
		return nil, err
	}
	steps = append([]FallbackStep(nil), steps...)
	for i := range steps {
		steps[i].name = steps[i].By.Status().Policy.Name
	}
	return wrap("Fallback", &falling{FallbackConfig: c, steps: steps}), nil
}

var errNoSteps = errors.New("httpmw: Fallback: no step")

type falling struct {
	FallbackConfig
	steps []FallbackStep
}

func (m *falling) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	f := &attempted{m: m}
	f.before = maps.Clone(w.Header())
	next.ServeHTTP(f.Begin(w, r, m.Buffer, f), r)
	switch {
	case f.Status() == 0: // a layer outside may have an answer
	case !f.failed(), m.answered(f, x, w, r):
		_ = f.Finish() // the client may be gone
	}
}

// attempted is the response of a handler that is held while it is a failure.
type attempted struct {
	intercept.Writer
	m      *falling
	before http.Header // what the header was, not deep: values are replaced, not changed
}

// Decide holds failures.
func (f *attempted) Decide(w *intercept.Writer, m intercept.Moment) intercept.Action {
	if m == intercept.Header && f.m.classify(w.Status(), w.Header()) != core.Success {
		return intercept.Hold
	}
	return intercept.Pass
}

func (c *FallbackConfig) classify(status int, h http.Header) core.Outcome {
	if c.Classify != nil {
		return c.Classify(status, h)
	}
	return ClassifyStatus(status, h)
}

// failed reports whether a failure is held.
func (f *attempted) failed() bool { return f.Status() != 0 && !f.Sent() }

// err is the failure.
func (f *attempted) err(h http.Header) *StatusError {
	return &StatusError{Status: f.Status(), Header: h, outcome: f.m.classify(f.Status(), h)}
}

// answered asks the steps. It returns true if none has answered, and the response is what it was.
func (m *falling) answered(f *attempted, x *exchange, w http.ResponseWriter, r *http.Request) (held bool) {
	failure := maps.Clone(w.Header())
	rejected, errorType := x.rec.rejected, x.rec.failure
	chain := make(fallback.Chain[struct{}], len(m.steps))
	for i := range m.steps {
		chain[i] = fallback.Step[struct{}]{By: m.steps[i].By, Run: func(ctx context.Context, _ error) (none struct{}, err error) {
			reset(w.Header(), f.before)
			x.rec.rejected, x.rec.failure = false, ""
			return none, m.run(&m.steps[i], ctx, w, r)
		}}
	}
	_, err := fallback.Do(r.Context(), chain, func(context.Context) (none struct{}, err error) { return none, f.err(failure) })
	if err == nil {
		return false
	}
	reset(w.Header(), failure)
	x.rec.rejected, x.rec.failure = rejected, errorType
	return true
}

// run lets a step answer.
func (m *falling) run(s *FallbackStep, ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	if m.StepHeader != "" {
		w.Header()[m.StepHeader] = []string{s.name}
	}
	f := &attempted{m: m}
	s.Handler.ServeHTTP(f.Begin(w, r, m.Buffer, f), r.WithContext(ctx))
	switch {
	case f.failed():
		return f.err(maps.Clone(w.Header()))
	case f.Status() == 0 && !f.Hijacked() && ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return f.Finish()
}

// reset makes h what it was.
func reset(h, was http.Header) {
	clear(h)
	maps.Copy(h, was)
}

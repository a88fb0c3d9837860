package trace

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/propagation"

	"github.com/mw-go/mw/internal/tracefield"
)

// entry is a propagator that reads the fields of a request through carrier.
type entry struct{ propagation.TextMapPropagator }

// Extract implements propagation.TextMapPropagator.
func (e entry) Extract(ctx context.Context, c propagation.TextMapCarrier) context.Context {
	if h, ok := c.(propagation.HeaderCarrier); ok {
		c = carrier{h}
	}
	return e.TextMapPropagator.Extract(ctx, c)
}

// carrier is a header whose fields have been looked at.
type carrier struct{ propagation.HeaderCarrier }

// Get returns the one value of a field.
func (c carrier) Get(key string) string {
	return tracefield.Value(strings.ToLower(key), c.HeaderCarrier.Values(key))
}

// Values returns what Get does, as propagators that take several lines ask for it.
func (c carrier) Values(key string) []string {
	if !tracefield.Checked(strings.ToLower(key)) {
		return c.HeaderCarrier.Values(key)
	}
	if v := c.Get(key); v != "" {
		return []string{v}
	}
	return nil
}

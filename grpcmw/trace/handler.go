package trace

import (
	"context"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"

	"github.com/mw-go/mw/internal/tracefield"
)

// ServerOption returns the option of a server that runs each call in a span. It is empty if no provider is set, unless
// Config.Late is set. At most one Config.
func ServerOption(c ...Config) grpc.ServerOption {
	config := atMostOne("ServerOption", c)
	if !config.wanted() {
		return grpc.EmptyServerOption{}
	}
	return grpc.StatsHandler(&handler{config, otelgrpc.NewServerHandler(config.options()...)})
}

// DialOption returns the option of a client that makes each call, and each attempt of a Retry, in a span. It is empty if no
// provider is set, unless Config.Late is set. At most one Config.
func DialOption(c ...Config) grpc.DialOption {
	config := atMostOne("DialOption", c)
	if !config.wanted() {
		return grpc.EmptyDialOption{}
	}
	return grpc.WithStatsHandler(&handler{config, otelgrpc.NewClientHandler(config.options()...)})
}

// handler passes on to otelgrpc what belongs to calls that have spans.
type handler struct {
	config Config
	stats.Handler
}

// spanKey marks the context of a call that otelgrpc was told of.
type spanKey struct{}

// TagRPC implements stats.Handler.
func (h *handler) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	if !h.config.on(ctx) {
		return ctx
	}
	return context.WithValue(h.Handler.TagRPC(ctx, info), spanKey{}, h)
}

// HandleRPC implements stats.Handler. otelgrpc would end the span of the caller if it had none of its own.
func (h *handler) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if ctx.Value(spanKey{}) == h {
		h.Handler.HandleRPC(ctx, s)
	}
}

// entry is a propagator that reads a call's metadata through carrier.
type entry struct{ propagation.TextMapPropagator }

// Extract implements propagation.TextMapPropagator.
func (e entry) Extract(ctx context.Context, c propagation.TextMapCarrier) context.Context {
	return e.TextMapPropagator.Extract(ctx, carrier{c, ctx})
}

// carrier is a call's metadata whose fields have been looked at. otelgrpc's own takes the first of several values.
type carrier struct {
	propagation.TextMapCarrier
	ctx context.Context //nolint:containedctx // the metadata are in it
}

// Get returns the one value of a field.
func (c carrier) Get(key string) string {
	return tracefield.Value(strings.ToLower(key), metadata.ValueFromIncomingContext(c.ctx, key))
}

// Values returns what Get does, as propagators that take several lines ask for it.
func (c carrier) Values(key string) []string {
	if !tracefield.Checked(strings.ToLower(key)) {
		return metadata.ValueFromIncomingContext(c.ctx, key)
	}
	if v := c.Get(key); v != "" {
		return []string{v}
	}
	return nil
}

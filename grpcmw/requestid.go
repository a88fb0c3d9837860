package grpcmw

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/mw-go/mw/internal/reqid"
)

// keyRequestID is the metadata key of request ids.
const keyRequestID = "x-request-id"

// RequestIDConfig is the Config of RequestID. The zero value is the default.
type RequestIDConfig struct {
	// TrustIncoming takes over the x-request-id of the call, if there is exactly one and it is sane: 1 to 128 bytes of A-Z
	// a-z 0-9 . _ ~ + / = : -. Anything else is replaced. Default false: whoever can choose ids can make two calls look like
	// one in the logs.
	TrustIncoming bool
}

// RequestID returns the policy that gives each call on a server an id, for RequestIDFrom and the logs, and sends it to the
// client as a trailer, x-request-id: a response header would keep clients from retrying a failure. On a client it passes the
// id of the call being served on to the next service, unless the caller has set one. A new id is 128 random bits in 32
// hexadecimal digits. At most one Config.
//
// The trailer goes with every failure, and with a success if the client had sent an id: who asks for none has no use for it,
// and it would cost either end more than all guards together.
func RequestID(c ...RequestIDConfig) *Interceptor {
	return single(&requestID{trust: atMostOne("RequestID", c).TrustIncoming})
}

type requestID struct{ trust bool }

func (*requestID) layer() string { return "RequestID" }

func (m *requestID) server(c *serverCall, at int) (err error) {
	if c.id != "" { // a RequestID outside has seen to it
		return c.next(at)
	}
	sent := metadata.ValueFromIncomingContext(c.ctx, keyRequestID)
	if c.id = m.incoming(sent); c.id == "" {
		c.id = reqid.New()
	}
	finished := false
	defer func() {
		if err != nil || !finished || len(sent) > 0 {
			c.idValue[0] = c.id
			c.setTrailer(metadata.MD{keyRequestID: c.idValue[:]})
		}
	}()
	err = c.next(at)
	finished = true
	return err
}

// incoming returns the call's own id, "" if it is not to be used.
func (m *requestID) incoming(sent []string) string {
	if !m.trust || len(sent) != 1 || !reqid.Sane(sent[0]) {
		return ""
	}
	return sent[0]
}

func (m *requestID) unaryClient(ctx context.Context, c *clientCall, at int, req, reply any, opts []grpc.CallOption) error {
	return c.unary(m.outgoing(ctx), at+1, req, reply, opts)
}

func (m *requestID) streamClient(ctx context.Context, c *clientCall, at int, opts []grpc.CallOption) (grpc.ClientStream, error) {
	return c.stream(m.outgoing(ctx), at+1, opts)
}

func (m *requestID) outgoing(ctx context.Context) context.Context {
	id := RequestIDFrom(ctx)
	if id == "" {
		return ctx
	}
	if md, ok := metadata.FromOutgoingContext(ctx); ok && len(md[keyRequestID]) > 0 {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, keyRequestID, id)
}

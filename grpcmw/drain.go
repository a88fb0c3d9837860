package grpcmw

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/mw-go/mw/core/lifecycle"
)

// Drain stops s when l drains: gracefully, so that clients hear that they should go elsewhere and calls come to their end, and
// by force when the grace is over, which GracefulStop by itself never does. Make the server with
// grpc.WaitForHandlers(true), so that handlers have returned when Shutdown does. The error is l.OnDrain's.
func Drain(l *lifecycle.Lifecycle, s *grpc.Server) error {
	return l.OnDrain("grpc", func(ctx context.Context) error {
		graceful := make(chan struct{})
		go func() {
			defer close(graceful)
			s.GracefulStop()
		}()
		select {
		case <-graceful:
			return nil
		case <-ctx.Done():
		}
		s.Stop()
		<-graceful
		return context.Cause(ctx)
	})
}

// Draining returns the policy that tells handlers of the draining, see DrainSignal, and turns away calls that begin after it:
// Unavailable with the ErrorInfo reason DRAINING and a pushback of 0, for another replica can take them at once. On a client
// it does nothing.
func Draining(l *lifecycle.Lifecycle) *Interceptor {
	if l == nil {
		panic("grpcmw: Draining: nil Lifecycle")
	}
	return single(&draining{l})
}

type draining struct{ life *lifecycle.Lifecycle }

func (*draining) layer() string { return "Draining" }

const errorDraining = "draining"

func (m *draining) server(c *serverCall, at int) error {
	c.drain = m.life.Draining()
	select {
	case <-c.drain:
		if c.exempt {
			break
		}
		c.rejected = true // it says nothing of the handler
		c.fail(errorDraining)
		c.setTrailer(metadata.Pairs(keyPushback, "0"))
		return &failure{errorInfo(codes.Unavailable, "draining", ReasonDraining), nil}
	default:
	}
	return c.next(at)
}

// DrainSignal returns a channel that is closed when the server drains: the handler of a stream that has no end of its own
// selects on it, and ends. It is nil, which no select ever takes, if Draining did not run.
func DrainSignal(ctx context.Context) <-chan struct{} {
	if c := serverCallOf(ctx); c != nil {
		return c.drain
	}
	return nil
}

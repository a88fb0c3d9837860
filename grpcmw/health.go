package grpcmw

import (
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/mw-go/mw/core/lifecycle"
)

// Health is the standard health service over a Lifecycle: SERVING while it is ready, else NOT_SERVING, for the whole server,
// whose name is "", and the services named. Of others it knows nothing, as the protocol says. Register it with
// healthpb.RegisterHealthServer. Safe for concurrent use.
type Health struct {
	healthpb.UnimplementedHealthServer
	life     *lifecycle.Lifecycle
	services []string
}

// NewHealth returns the health of l for the server and the services, such as "shop.Orders".
func NewHealth(l *lifecycle.Lifecycle, services ...string) *Health {
	if l == nil {
		panic("grpcmw: NewHealth: nil Lifecycle")
	}
	return &Health{life: l, services: append([]string{""}, services...)}
}

func serving(s lifecycle.State) healthpb.HealthCheckResponse_ServingStatus {
	if s == lifecycle.Ready {
		return healthpb.HealthCheckResponse_SERVING
	}
	return healthpb.HealthCheckResponse_NOT_SERVING
}

// Check answers at once; NotFound for a service that it does not know.
func (h *Health) Check(_ context.Context, in *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	if !slices.Contains(h.services, in.GetService()) {
		return nil, status.Error(codes.NotFound, "unknown service")
	}
	return &healthpb.HealthCheckResponse{Status: serving(h.life.State())}, nil
}

// List answers for every service.
func (h *Health) List(context.Context, *healthpb.HealthListRequest) (*healthpb.HealthListResponse, error) {
	out := &healthpb.HealthListResponse{Statuses: make(map[string]*healthpb.HealthCheckResponse)}
	s := serving(h.life.State())
	for _, name := range h.services {
		out.Statuses[name] = &healthpb.HealthCheckResponse{Status: s}
	}
	return out, nil
}

// Watch sends the status, and again each time that it changes, until the client leaves or everything has to come to an end; a
// service that it does not know stays SERVICE_UNKNOWN. The last message before the end is NOT_SERVING.
func (h *Health) Watch(in *healthpb.HealthCheckRequest, s grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	if !slices.Contains(h.services, in.GetService()) {
		if err := s.Send(&healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVICE_UNKNOWN}); err != nil {
			return err
		}
		select {
		case <-s.Context().Done():
		case <-h.life.Draining():
		}
		return status.Error(codes.Canceled, "watch ended")
	}
	states, cancel := h.life.Watch()
	defer cancel()
	last := healthpb.HealthCheckResponse_UNKNOWN
	for {
		select {
		case now := <-states:
			if next := serving(now); next != last {
				if err := s.Send(&healthpb.HealthCheckResponse{Status: next}); err != nil {
					return err
				}
				last = next
			}
			if now >= lifecycle.Draining {
				return status.Error(codes.Unavailable, "draining")
			}
		case <-s.Context().Done():
			return status.Error(codes.Canceled, "watch ended")
		}
	}
}

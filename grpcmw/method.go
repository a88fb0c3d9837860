package grpcmw

import "strings"

// exempt holds for the methods that operations needs when nothing else goes: health checks, reflection and channelz. No
// policy of this package rejects, delays or counts them as load, unless it is told to.
func exempt(method string) bool {
	return strings.HasPrefix(method, "/grpc.health.") || strings.HasPrefix(method, "/grpc.reflection.") ||
		strings.HasPrefix(method, "/grpc.channelz.")
}

// splitMethod cuts "/package.Service/Method" in two. What has no such form is all service.
func splitMethod(full string) (service, method string) {
	full = strings.TrimPrefix(full, "/")
	if i := strings.LastIndexByte(full, '/'); i >= 0 {
		return full[:i], full[i+1:]
	}
	return full, ""
}

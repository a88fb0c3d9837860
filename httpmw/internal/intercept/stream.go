package intercept

import (
	"net/http"
	"strings"
)

// Streams reports whether a response header is that of a stream: server-sent events, gRPC, parts that replace one
// another. Nobody holds one, whatever its length.
func Streams(h http.Header) bool {
	kind := mediaType(h)
	return kind == "text/event-stream" || kind == "multipart/x-mixed-replace" || isGRPC(kind)
}

// Bypasses reports whether a request asks for something that is no plain response: an upgrade, a tunnel, gRPC. A layer
// that is in the way of such a thing leaves the request alone.
func Bypasses(r *http.Request) bool {
	return r.Method == http.MethodConnect || len(r.Header["Upgrade"]) > 0 || isGRPC(mediaType(r.Header))
}

func isGRPC(kind string) bool {
	return kind == "application/grpc" || strings.HasPrefix(kind, "application/grpc+") ||
		strings.HasPrefix(kind, "application/grpc-web")
}

// mediaType is the Content-Type without parameters, in lower case.
func mediaType(h http.Header) string {
	v := h["Content-Type"]
	if len(v) == 0 {
		return ""
	}
	kind, _, _ := strings.Cut(v[0], ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

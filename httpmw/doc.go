// Package httpmw puts the guards of mw in front of net/http handlers and behind http.Clients, and brings the
// middlewares that every service needs round them: panics, request ids, client addresses, access logs, timeouts.
//
// # Shape
//
// Every middleware is a plain func(http.Handler) http.Handler and joins others by mw.Chain:
//
//	AccessLog > Recover > RequestID > ClientIP > Timeout > guards > mux
//
// Those whose defaults suffice take at most one Config. Those that can refuse their Config return an error beside the
// middleware. A nil handler is a mistake of the program and panics at wiring. A middleware may be put in front of any
// number of handlers, and what it returns is safe for concurrent use.
//
// # One record a request
//
// The first middleware of this package that sees a request makes one record of it and wraps the ResponseWriter once;
// all others find both. The record holds the request id, the client's address, the start, the status and the bytes; it
// is also the request's context value, so that handlers can ask RequestIDFrom, ClientAddr, StartTime and RouteOf.
//
// The wrapped writer is an http.Flusher, http.Hijacker, io.ReaderFrom or http.Pusher exactly if the server's is, and
// unwraps for http.ResponseController. Server-sent events, WebSocket upgrades, sendfile, trailers and 103 Early Hints
// work through the whole chain. The deprecated http.CloseNotifier is not passed on: use the request's context.
//
// A middleware of another package that replaces the ResponseWriter may stand anywhere in the chain. Layers inside it
// never bypass it: they write to the writer they were given, and keep their own idea of what was sent. They share the
// record if that writer unwraps to it, and otherwise (http.TimeoutHandler, which runs its handler in another
// goroutine) get a record of their own that starts as a copy.
//
// Observe and ClientObserve are the seam for whoever wants to know how requests went: metrics, traces, audits.
//
// # Truncation is visible
//
// A response that has begun and cannot be finished is aborted, never ended cleanly: the client sees an unexpected EOF
// on HTTP/1.1 and a reset stream on HTTP/2.
package httpmw

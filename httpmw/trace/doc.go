// Package trace puts spans of OpenTelemetry round requests, on both sides, by otelhttp.
//
//	server := trace.Server()
//	client := trace.Client()
//
// What otelhttp does it does; what is measured wrong or dear in it is mended here:
//
//   - While no TracerProvider is set, a request goes past it: otelhttp with the no-op provider takes 29 allocations, this
//     takes none. A provider that is set later is used from the next request on.
//   - A span has the name and the http.route of the pattern that matched, although the mux runs inside.
//   - client.address is what httpmw.ClientIP has found, or the peer; never what X-Forwarded-For claims.
//   - A handler that panics leaves a span with an error.
//   - url.full of a client's span has no query, which may hold secrets, unless Config.Query is set.
//   - A client's span has http.request.resend_count: attempts of core/retry before this one, and redirects.
//   - Several tracestate fields are read as one; more than 32 members, 8192 bytes or a traceparent sent twice are not
//     taken over, and neither is baggage of more than 8192 bytes.
//   - It makes no metrics; packages metrics and otelmetrics do.
//
// otelhttp wraps the ResponseWriter. The layers of httpmw inside it find the record of those outside through that
// wrapper, so there is still one.
package trace

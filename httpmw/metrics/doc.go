// Package metrics counts and times HTTP requests for Prometheus, on both sides.
//
//	server, err := metrics.Server(metrics.Config{Registerer: registry})
//	client, err := metrics.Client(metrics.Config{Registerer: registry})
//
// The names are those of OpenTelemetry's semantic conventions in Prometheus' form:
//
//	http_server_request_duration_seconds    histogram: 5 ms to 10 s, the boundaries that OpenTelemetry advises
//	    http_request_method                 GET, HEAD, ...; _OTHER for methods that no standard knows
//	    http_route                          the pattern's path, "unmatched" without one; never the path of the request
//	    http_response_status_code           the number; empty if nothing was sent: hijacked, or broken off before
//	    error_type                          panic, timeout, aborted, canceled, the reason of a rejection by one of our
//	                                        guards, or the number of a 5xx status; empty otherwise
//	http_server_active_requests             gauge, by http_request_method
//	http_server_request_body_size_bytes     histograms with the labels of the first, if Config.Sizes is set
//	http_server_response_body_size_bytes
//	http_client_request_duration_seconds    histogram, from RoundTrip to the end of the response's body
//	    http_request_method, http_response_status_code, error_type (4xx too, and see httpmw.ClientErrorType)
//	    server_address, server_port         where the request went; _OTHER for hosts beyond Config.MaxHosts
//	http_client_active_requests             gauge, by http_request_method
//	http_client_request_body_size_bytes     if Config.Sizes is set
//	http_client_response_body_size_bytes
//
// So a rejection by a guard, a client that left and a handler's own failure can be told apart in alerts.
//
// # Bounds
//
// A route is a pattern of the program, a method one of eleven, and yet a handler may answer any status: the combinations that
// have series of their own are at most Config.MaxSeries. Those beyond share the one whose labels are all _OTHER, which is not
// made before it is needed.
//
// # Cost
//
// Server and Client stand on httpmw.Observe and httpmw.ClientObserve, which wrap nothing a second time. In a combination
// that was seen before neither allocates, but for the body that ClientObserve puts in place.
package metrics

// Package conformance holds no code, only the test that the middlewares of httpmw change nothing but what they are there
// to change.
//
// Handlers are generated from seeds: statuses, informational answers, flushes, trailers, panics at any byte, hijacking,
// ranges, full duplex, copies of files, deadlines, wrong lengths. Each is served bare and behind every middleware, over
// HTTP/1.1 and HTTP/2, and everything that its client and the handler itself could tell is compared. A difference is
// either in the closed list of allowed_test.go, with the reason, or a fault. planted_test.go shows that the comparison finds
// every known way of wrapping a ResponseWriter badly.
//
// go1_test.go pins what the documentation says of net/http itself, and slow_test.go holds many slow clients against a
// few quick ones.
package conformance

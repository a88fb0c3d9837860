// Package mw composes middlewares of any kind: net/http handlers, http.RoundTrippers, or functions of your own.
//
// It holds two functions and imports nothing. The patterns live in core, the adapters in httpmw and grpcmw, the
// configuration in hotconfig.
package mw

// Chain joins middlewares into one. The first is the outermost: it sees the request first and the response last, so
// Chain(a, b)(h) is a(b(h)). Nil entries are skipped, which lets an optional middleware stand in the list as a nil
// func. Chain copies its arguments: changing the slice later changes nothing. With no (or only nil) entries it returns
// its argument as it is.
//
// H is the thing being wrapped, most often http.Handler or http.RoundTripper; it is inferred from the middlewares.
// The middlewares run once each time the returned function is called, not once a request. Safe for concurrent use if
// the middlewares are.
func Chain[H any](ms ...func(H) H) func(H) H {
	kept := make([]func(H) H, 0, len(ms))
	for _, m := range ms {
		if m != nil {
			kept = append(kept, m)
		}
	}
	return func(h H) H {
		for i := len(kept) - 1; i >= 0; i-- {
			h = kept[i](h)
		}
		return h
	}
}

// Must returns v, or panics with err. It is for wiring at start-up, where a constructor can refuse its Config and
// there is nothing to do but stop:
//
//	handler := mw.Chain(httpmw.RequestID(), mw.Must(httpmw.Timeout(requests)))(mux)
//
// Do not use it on values that arrive later, such as a reloaded configuration: keep the error there.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

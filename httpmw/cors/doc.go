// Package cors lets pages of other origins use a service from a browser: the CORS protocol of the Fetch standard.
//
// The protocol is that of github.com/jub0bs/cors, which refuses dangerous settings and is quick with hostile preflights.
// This package adds what was found missing there:
//
//	Vary on preflights and other OPTIONS responses, for the caches that keep those against the rules
//	Vary: Origin also where the handler sets Vary itself
//	a bound on Access-Control-Request-Headers, which is sent back where every name is allowed to pages with credentials
//	errors that name the field of the Config
//
// CORS protects no service: browsers enforce it, and everything else ignores it. Against requests that other sites make
// browsers send there is httpmw.CSRF, and against strangers authentication.
package cors

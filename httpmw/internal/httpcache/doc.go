// Package httpcache has the parts of an HTTP cache that know nothing of handlers and transports: the Cache-Control of
// RFC 9111 section 5.2, and a shelf that is bounded by bytes.
package httpcache

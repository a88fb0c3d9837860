package httpmw

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"sync/atomic"
)

// nonce is the number used once of a Content-Security-Policy.
type nonce struct {
	value string
	asked atomic.Bool // it may be in the body
}

// newNonce returns 128 random bits, in characters that no template has to escape.
func newNonce() *nonce {
	var bits [16]byte
	_, _ = rand.Read(bits[:]) // never fails: it crashes the program instead
	var text [22]byte
	base64.RawURLEncoding.Encode(text[:], bits[:])
	return &nonce{value: string(text[:])}
}

// CSPNonce returns the nonce that the Content-Security-Policy of the response allows, for the nonce attribute of script and
// style elements: 22 characters of base64url, new for each request. It is empty if SecureHeaders did not run or its policies
// have none. A response whose handler has asked is sent with Cache-Control: no-store, unless the handler sets that field.
//
// Ask before the header is sent. ctx is the request's context or one derived from it. Safe for concurrent use.
func CSPNonce(ctx context.Context) string {
	rec := recordOf(ctx)
	if rec == nil || rec.nonce == nil {
		return ""
	}
	if !rec.nonce.asked.Load() {
		rec.nonce.asked.Store(true)
	}
	return rec.nonce.value
}

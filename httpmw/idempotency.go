package httpmw

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mw-go/mw/core"
	"github.com/mw-go/mw/core/schema"
	"github.com/mw-go/mw/httpmw/internal/intercept"
)

// IdempotencyKeyConfig is the Config of IdempotencyKey. The zero value is the default.
type IdempotencyKeyConfig struct {
	// Methods are the methods whose requests are looked at. Default POST and PATCH.
	Methods []string
	// Required refuses requests of these methods that have no key. Default false: they pass as if nobody looked.
	Required bool
	// Bare takes keys without quotes as well, as many clients send them. Default false: the field is a String of RFC 9651.
	Bare bool
	// MaxKey is how long a key may be, in bytes. Default 255. Range 16 to 4096.
	MaxKey int `default:"255" range:"16..4096"`
	// MaxBody is how long the body of a request with a key may be, in bytes: it is held while the request runs. Default
	// 1048576, 1 MiB. Range 1 to 1073741824.
	MaxBody int64 `default:"1048576" range:"1..1073741824"`
	// MaxReply is how long the body of a reply may be to be kept, in bytes. Default 65536. Range 1 to 16777216.
	MaxReply int `default:"65536" range:"1..16777216"`
	// TTL is how long a reply is kept, and its key known. Default 24h. Range 1s to 8760h.
	TTL time.Duration `default:"24h" range:"1s..8760h"`
	// Lease is for how long a key is taken by a request of which nothing more is heard, because its process ended. A
	// request that runs for longer is not protected after it. Default 10m. Range 1s to 24h.
	Lease time.Duration `default:"10m" range:"1s..24h"`
	// Once takes a request whose handler came to no end for carried out, since its effects may be half done: one that
	// ended by a panic, an abort or runtime.Goexit, broke off, or had not answered when a Timeout passed. Default false:
	// the next request with the key runs.
	Once bool
	// Keep decides which replies are kept and replayed; after others the next request with the key runs. nil means all but
	// 401, 408, 425, 429 and 5xx. What one of our own guards inside rejected is never kept. It must be safe for
	// concurrent use.
	Keep func(status int, h http.Header) bool `key:"-"`
	// Store keeps the replies. nil means in the memory of this process.
	Store IdempotencyStore `key:"-"`
	// StoreTimeout bounds each operation on the Store. Default 250ms. Range 1ms to 1m.
	StoreTimeout time.Duration `default:"250ms" range:"1ms..1m"`
	// Memory is how many bytes the replies may take without a Store. The oldest go first, and their keys are free again;
	// those that are in progress stay. Default 67108864, 64 MiB. Range 1048576 to 1099511627776.
	Memory int64 `default:"67108864" range:"1048576..1099511627776"`
	// Mode says what happens to a request that is not run. In shadow mode every request runs, keys are taken and
	// compared, and no reply is kept. Default enforce.
	Mode core.Mode `default:"enforce" range:"enforce|shadow|disabled"`
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c IdempotencyKeyConfig) Validate() error {
	var faults []error
	for i, method := range c.Methods {
		if !isToken(method) || method != strings.ToUpper(method) {
			faults = append(faults, schema.Fault(schema.At("methods", i), method, "a method in capitals"))
		}
	}
	return schema.Validate(c, faults...)
}

// IdempotencyKey returns a middleware that lets a client send a request again without fear that it is carried out twice
// (draft-ietf-httpapi-idempotency-key-header-07): what has the same Idempotency-Key gets the reply of the first.
//
//	request with a key                                   answer
//	new                                                  the handler's; it is kept and then sent
//	the first is in progress                             409, Retry-After: 1
//	the first was answered                               its reply, with Idempotency-Replayed: true
//	the first was answered, and its reply was not kept   409: streamed, longer than MaxReply, with trailers
//	another method, path, query, Content-Type or body    422
//	the key is malformed, or missing and Required        400
//	the body is longer than MaxBody                      413
//	the store does not answer                            503, Retry-After: 1
//
// scope says whose key it is, such as the name of the authenticated user and the API that he calls: a key means nothing
// in another scope, and nobody sees the reply to somebody else. Requests for which it returns "" pass as if they had no
// key. It must be safe for concurrent use and not read the body.
//
// The reply is held until it is in the store, so whoever has seen it will see it again. Kept are the status, the body and
// the fields that the handlers inside have set, but for those of one exchange (Date, Connection, RateLimit, X-Request-ID,
// Server-Timing). A response that is flushed is a stream: it passes at once and is not kept. A reply that is no
// conclusion is not kept either, and the next request with its key runs: see Keep and Once. If a Timeout outside has
// passed and the handler has not answered, nothing is kept and the Timeout answers.
//
// Put it inside of what authenticates, limits and decodes requests, and Compress and ETag outside of it. It fails if the
// Config does not validate, and panics if scope is nil.
func IdempotencyKey(scope func(*http.Request) string, c IdempotencyKeyConfig) (func(http.Handler) http.Handler, error) {
	if scope == nil {
		panic("httpmw: IdempotencyKey: nil scope")
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	m := &idempotency{schema.Fill(c), scope}
	if len(m.Methods) == 0 {
		m.Methods = []string{http.MethodPost, http.MethodPatch}
	}
	if m.Keep == nil {
		m.Keep = conclusive
	}
	if m.Store == nil {
		m.Store = newIdempotencyMemory(m.Memory)
	}
	return wrap("IdempotencyKey", m), nil
}

// conclusive is the default of Keep.
func conclusive(status int, _ http.Header) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	default:
		return status < 500
	}
}

type idempotency struct {
	IdempotencyKeyConfig
	scope func(*http.Request) string
}

func (m *idempotency) serve(x *exchange, w http.ResponseWriter, r *http.Request, next http.Handler) {
	if m.Mode == core.Disabled || !slices.Contains(m.Methods, r.Method) || intercept.Bypasses(r) {
		next.ServeHTTP(w, r)
		return
	}
	scope := m.scope(r)
	if scope == "" {
		next.ServeHTTP(w, r)
		return
	}
	a := &attempt{m: m, x: x}
	switch no := a.claim(w, r, scope); {
	case no != nil:
		if !x.refuseUntil(w, r, m.Mode, no.problem, no.errorType, no.retryAfter) {
			next.ServeHTTP(w, r)
		}
	case a.id == "": // no key
		next.ServeHTTP(w, r)
	case a.reply == nil:
		a.run(w, r, next)
	case m.Mode == core.Shadow:
		x.rec.shadow(errorKeyReplayed)
		next.ServeHTTP(w, r)
	default:
		a.reply.send(w)
	}
}

// refusal is what is answered to a request that does not run.
type refusal struct {
	problem    *problem
	errorType  string
	retryAfter string // seconds
}

// The answers of the table.
var (
	refuseKeyMissing = &refusal{newProblem(problemSpec{
		Status: http.StatusBadRequest, Title: "Idempotency-Key is missing",
	}), "idempotency_key_missing", ""}
	refuseKeyMalformed = &refusal{newProblem(problemSpec{
		Status: http.StatusBadRequest, Title: "Idempotency-Key is malformed",
	}), "idempotency_key_malformed", ""}
	refuseKeyReused = &refusal{newProblem(problemSpec{
		Status: http.StatusUnprocessableEntity, Title: "Idempotency-Key is already used", Detail: "the key belongs to another request",
	}), "idempotency_key_reused", ""}
	refuseInProgress = &refusal{newProblem(problemSpec{
		Status: http.StatusConflict, Title: "A request is outstanding for this Idempotency-Key",
	}), "idempotency_in_progress", "1"}
	refuseNotKept = &refusal{newProblem(problemSpec{
		Status: http.StatusConflict, Title: "Idempotency-Key is already used", Detail: "the request was carried out, and its reply was not kept",
	}), "idempotency_not_kept", ""}
	refuseNoStore = &refusal{newProblem(problemSpec{Status: http.StatusServiceUnavailable}), errorIdempotencyStore, "1"}
)

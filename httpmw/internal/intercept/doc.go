// Package intercept is the one ResponseWriter that a layer puts between a handler and its client when it holds, changes
// or copies what the handler says: ETag, Cache, IdempotencyKey, Compress, the enforced Timeout. It knows the rules of
// net/http, so that a layer only decides.
//
// A layer embeds a Writer, calls Begin, passes what that returns to the handler, and calls Finish once the handler has
// returned normally:
//
//	handler says                    the layer is asked                it answers
//	final status, or implies 200    Decide(Header)                    Hold, Pass, Copy, Transform, Drop or Answer
//	more than the hold takes        if it holds: Decide(Full)         the same; Hold is Pass
//	Flush, Hijack, a stream's type  if it holds: Decide(Stream)       the same
//	returns                         if it holds: Decide(End)          the same
//
//	Hold       nothing is sent yet; the body is kept
//	Pass       the response goes to the client, ReadFrom and all; the layer hears no more of it
//	Copy       the same, and the layer gets what was written: Copier
//	Transform  the header is sent; the body goes to the layer, which writes to Inner: Transformer
//	Drop       the header is sent, with the status that SetStatus may have changed; the body is not
//	Answer     the layer answers in place of the handler, whose body is dropped: Answerer
//
// A status of 1xx is passed on at once and decides nothing, so that 103 and then 201 is 201. 101 and Hijack end the
// interception: nothing is held or copied from there, and no layer is asked. A second final status is counted and not
// passed on. What was held was said at its time: a field that the handler sets after the status does not come into the
// header, but trailers do reach the server.
//
// A layer never calls Finish after a panic: what was held is then not sent, so that an outer layer can still answer, and
// what was sent is not ended, so that the client sees a broken message.
package intercept

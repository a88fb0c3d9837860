// Package compress encodes responses with zstd and gzip, and decodes zstd request bodies. It is apart from httpmw
// because it links github.com/klauspost/compress.
//
//	handler's response                            what goes out
//	no body: 1xx, 204, 304, an upgrade            as it is
//	a part: 206, Content-Range                    as it is
//	has a Content-Encoding                        as it is
//	Cache-Control: no-transform                   as it is
//	of a type that does not compress              as it is
//	text/event-stream                             as it is, unless Config.Streams: each stream holds an encoder
//	shorter than Config.Min, and not flushed      as it is
//	anything else                                 in the coding that the client prefers
//
// "As it is" but for Vary: it names Accept-Encoding whenever the answer to another client, or another time, could have
// been encoded, so also on short responses, on parts, on 304 and on what went to a client that takes no coding.
//
// # The encoded response
//
// is another representation. Content-Length, Accept-Ranges, Content-MD5, Content-Digest, Repr-Digest and Digest speak of
// the plain one and are removed. A strong ETag gets the coding as a suffix, "v1-gzip", so that no cache takes one for the
// other, and stays strong: a client that sends it back in If-None-Match or If-Match is understood, since handlers are given the
// plain tag beside it, and a 304 repeats the tag that the client knows. If-Range is left alone: parts are of the plain
// representation. HEAD is answered with the fields of GET where they can be known without the body.
//
// A flush reaches the client. Trailers, 103 and full duplex pass. What the handler leaves unfinished is never finished
// for it: after a panic, or with fewer bytes than its Content-Length said, the stream has no end and the response is
// aborted.
//
// # Where it stands
//
// Outside of caches and ETag, so that they keep the plain response once; inside of Recover and AccessLog. Where a
// response mixes a secret with what an attacker can choose, its compressed length tells of the secret (BREACH): such a handler
// sets Cache-Control: no-transform.
package compress

// Package forward has reviews answered that reach a replica of the webhook which does
// not lead: by the replica that does, over TLS by which each knows the other, or here
// once this one leads.
//
// Reviews, and where the leader is reached, enter; the leader's answers leave. A review
// whose answer does not come, because the connection broke, the leader was paused or
// nobody leads, is held, and goes to whoever leads next, within the time that the API
// server waits for it. Reviews that are held are bounded in number and bytes.
//
// It never decides, never guesses where the leader is, and never forwards what another
// replica has forwarded: Accept's handler has no way back here. A review may be decided
// twice. Nobody gets the first answer then, and what its decision left, a reservation,
// ends with its leader's term.
//
//	forward.go  a review until it is answered
//	attempt.go  one attempt at the leader
//	accept.go   the leader's side: what a replica says of the API server's connection
//	window.go   how long the API server waits
//	metrics.go
package forward

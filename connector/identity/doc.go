// Package identity says who a client is.
//
// A request enters; the client's name leaves, or that it is nobody known. Clients
// are known by a token of a file, by a token of the API server (TokenReview), or
// by the certificate of a TLS connection. It knows nothing of sessions.
package identity

// Package reviews asks the API server who a token is of (TokenReview), and what they
// may do (SubjectAccessReview).
//
// Tokens, users and resources enter; the API server's answers leave. They hold for a
// moment and are kept of a bounded number, by digests, so that no token is kept. It
// decides nothing itself.
//
// The same from k8s.io/apiserver, with a CEL compiler and an OpenAPI registry behind
// it, would make a program almost twice as large.
package reviews

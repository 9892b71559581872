// Package policy ranks the ways a request can be served.
//
// Candidates of the inventory enter; the same candidates, best first, each
// with the time it is expected to finish in, leave, and a sentence that
// explains the choice. Policies are total functions: whatever is unknown, zero
// or absurd in the candidates, every one of them is ranked, once.
package policy

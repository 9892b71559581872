// Package policy ranks the ways in which a request can be served.
//
// Candidates of the inventory enter. The same candidates leave, best first, each
// with the time it is expected to finish in, and a sentence that explains the
// choice. Policies are total functions: whatever is unknown, zero or absurd in
// the candidates, each of them is ranked, once.
//
// Some policies now and then send a run somewhere else than where it is expected
// to finish first, to learn how long it takes there: see Trial. When they do,
// depends on the candidates alone.
package policy

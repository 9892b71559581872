// Package policy ranks the ways a request can be served.
//
// Candidates of the inventory enter; the same candidates, best first, each
// with the time it is expected to finish in, leave, and a sentence that
// explains the choice. Policies are total functions: whatever is unknown, zero
// or absurd in the candidates, every one of them is ranked, once.
//
// Where the candidates allow it, some of the policies send a run now and then
// somewhere else than where it is expected to be done first, to learn how long
// it takes there: see Trial. When, the candidates alone decide.
package policy

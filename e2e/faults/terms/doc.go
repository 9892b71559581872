// Package terms finds the writes of replicas that did not lead when the API server got
// them.
//
// The API server's audit log enters, whose audit IDs name the replica that sent each
// write; the writes that came from one which did not hold the Lease leave, and of each
// whether it could have done harm. It is pure, and knows nothing of what a program does
// in a term.
package terms

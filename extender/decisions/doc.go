// Package decisions follows what the replicas of the webhook decide, for people to see.
//
// Addresses of replicas enter, each of which is asked for its journal for as long as it
// is there; a journal of all of them leaves, in the order in which entries came, and what
// is wrong with a replica that cannot be asked. It is bounded, as what it reads is, and
// nothing else waits for it.
package decisions

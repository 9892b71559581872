// Package journal keeps what was lately decided about pods: who got which kind and why,
// who was refused, who was recreated or moved.
//
// Entries enter, and leave in the order in which they came, to any number of readers,
// each of which goes on where it stopped. A bounded number is kept, in memory alone. An
// entry has names and sentences; no manifest and no secret is ever in one.
package journal

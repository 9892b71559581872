// Package live has what the live page shows: the nodes and their devices, the pods that
// the webhook admitted and how long those that wait are expected to, what was decided,
// and the last hour of all that.
//
// The inventory and a journal of decisions are read, once a second while somebody looks
// and every ten seconds else; messages leave, JSON, to any number of viewers up to a
// bound. Each gets everything once and from then on what has changed since its last
// message, as far as it may see it. Who is slow gets fewer and not more messages, so that
// nothing is kept for anybody. It changes nothing.
//
//	inventory, journal ──▶ Board ─┬─▶ Stream: a snapshot, then changes
//	                              └─▶ History: an hour of points
package live

// Package leader runs what only one of several replicas may do, for as long as
// that replica holds a Lease.
//
// A Lease of the API server enters, by client-go's election; terms leave. A term
// is the time from getting the Lease to the loss of it, and a scope: its context
// ends with it, whatever was started in it has returned before the next term of
// the same process begins, and a request that carries its context is not sent
// once it is over. It knows nothing of what a term does.
//
//	stands by ──▶ gets the Lease ──▶ term ─┬─▶ the program ends: work returns, then
//	    ▲                                  │   the Lease is released
//	    │                                  ├─▶ another holds the Lease, or it is gone
//	    │                                  └─▶ RenewDeadline after the last renewal
//	    └────── work has returned ◀────────┘   that succeeded was sent
//
// No clock is compared with another computer's. Another replica takes the Lease
// LeaseDuration after it saw the last renewal, which is after that was sent; the
// term ends RenewDeadline after that was sent. What is between them is the margin,
// two seconds by default: for a call that is on its way, and for clocks that do
// not run alike. A term ends by the clock that is further on: the monotonic one,
// which does not jump, or the time of day, which goes on while the computer sleeps.
//
// Who holds the Lease is seen five times in each RetryPeriod, and where that replica is
// reached: its address is in the Lease.
//
//	leader.go  standing by, terms, the release of the Lease
//	holder.go  who holds the Lease, and where it is reached
//	hold.go    until when the Lease is held for certain
//	lock.go    the Lease, as client-go's election reads and writes it
//	fence.go   requests of a term that is over are not sent
package leader

// Package readmit gives a pod that waits for one kind another kind that is
// idle, or that the scheduler finds a node for. What a container runs cannot be
// changed once its pod was created, so the pod is recreated, and admission
// decides anew.
//
// The pods that wait enter, from the feed, and the inventory says when
// something is idle; deleted and created pods leave, and a ticket for each,
// by which admission knows in whose place a new pod comes. It never chooses a
// kind for a new pod, never touches a pod that is bound, and never one whose
// record does not verify.
//
//	pod waits ──▶ its kind has nothing usable, another is idle and better by the margin,
//	              or the scheduler finds no node for it on its kind (believe)
//	                 │  hold: a reservation of the other kind, so that one
//	                 ▼  device moves one pod
//	              ask: would the API server let in the pod that comes in its place?
//	                 │       no: remembered, the next kind is tried
//	                 ▼
//	  by owner:  Deployment    create ─▶ bound ─▶ adopt, and its ReplicaSet deletes it
//	             ReplicaSet …  delete ─────────────────▶ its controller recreates it
//	             Job           release ─▶ delete ──────▶ its Job recreates it
//	             none          record ─▶ delete ─▶ create ─▶ forget the record
//	                                                          │
//	admission ◀── ticket: hold given back, count carried over ◀┘
//
// Who goes first, of all pods that would gain: one that has waited longer than
// the patience goes before all others, the longest first, whatever its
// priority; then by pod priority, by gain, by age. So no pod is starved: once
// its patience is over only those that have waited longer still are before it,
// and they only get fewer.
//
// A pod that was recreated n times is left alone for backoff × 2^(n−1) after
// that, an hour at most. The count is an annotation that admission writes from
// the ticket.
//
// Of a Deployment the next pod is created before anything is deleted, and for
// real instead of the dry run: a refusal then costs nothing. What is being done
// stands, sealed, on that pod. The next term adopts it or deletes it, and the pod
// that waits is there all the while.
//
// A bare pod is nowhere but in the API server, so its manifest is kept in a
// Secret of our own namespace while it is recreated: a manifest may have
// passwords in its environment, and rights on Secrets in everybody's namespace
// are more than anybody should give us. The Secrets have fixed names, of which
// there are few: RBAC can name them. What the record says is done from the
// start whenever it is found, and each step can be done twice: the delete is
// bound to the UID and resourceVersion, the create to the name, and whoever
// creates holds the record by compare-and-swap just before.
//
// A pod of a Job may be bound in the few milliseconds between its release and
// its delete. It is deleted all the same: its Job has another by then, and what
// it had begun is begun again.
//
// State here (who waits, the tickets) is behind a lock of its own; what is
// idle is the inventory's alone to say, and what others are against the
// refusals'.
package readmit

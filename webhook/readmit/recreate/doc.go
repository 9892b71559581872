// Package recreate recreates a pending pod for another kind, in the way of its
// owner, and finishes what a crash left.
//
// A pending pod, what is expected in its place and the chosen kind enter; what
// leaves are changes of pods through the API server, and an error that says
// whether the pod changed meanwhile, is to be left alone, or can be tried again.
// Before anything is deleted, a dry run asks the API server whether it would
// admit the new pod. It never chooses a pod or a kind, and never deletes a pod
// that is bound, except one that it released from its Job.
//
//	by owner:  Deployment    create ─▶ bound ─▶ adopt, and its ReplicaSet deletes the old
//	           ReplicaSet …  delete ─────────────────▶ its controller recreates it
//	           Job           release ─▶ delete ──────▶ its Job recreates it
//	           none          record ─▶ delete ─▶ create ─▶ remove the record (barepod)
//
// For a Deployment the next pod is created before anything is deleted, instead
// of the dry run: a refusal then costs nothing. What has to be finished stands,
// sealed, on that pod. The next term adopts it or deletes it, and the old pod is
// there all the while.
//
// A pod of a Job may be bound in the few milliseconds between its release and
// its delete. It is deleted all the same: its Job has another by then, and the
// work that it started is started again.
//
// One lock guards what the feed has shown of the pods of recreations that are
// under way. It is never held during a call.
package recreate

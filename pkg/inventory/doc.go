// Package inventory merges what is known of the cluster: which devices are
// usable, where, now.
//
// Nodes, pods, quotas, claims, volumes and samples enter through Set and Delete methods, which
// nothing but the informers and the monitor call; immutable Node and Pod
// records, Candidates for a decision and reservations leave. It does no I/O,
// starts nothing, and holds the project's only mutex: exported methods of
// Inventory lock it, unexported ones expect it held, and no caller's code runs
// under it but the choice among candidates, the look-up of a service time and
// the clock, none of which may block.
//
//	  informers: nodes, pods, quotas  monitor: samples
//	             │                        │
//	             ▼                        ▼
//	┌──────────────────────────────────────────────────┐
//	│ Inventory   allocatable − held − blocked, a node  │
//	│             claims: waiting pods + reservations   │
//	└──────────────────────────────────────────────────┘
//	   │ Decide: candidates → choice → reservation  (webhook)
//	   │ Lookup: immutable nodes → filter, scores   (extender)
//	   ▼
//
// A pod's path through it, and what counts against a kind meanwhile:
//
//	decision ──▶ reservation ──▶ waiting (pod seen, unbound) ──▶ held (bound) ──▶ free
//	                  │ 30 s without its pod                        (ended or deleted)
//	                  └──▶ given back
//
// A namespace's quotas count a pod from its decision on, so that of two
// decisions at once the second knows what the first one leaves: see account.
//
// Each arrow is one step under the mutex, so a device is never counted twice
// nor forgotten in between. Whatever is wrong here, kube-scheduler's own
// accounting still keeps a device from being given out twice.
//
// A decision does not go through the nodes. Pods come in few shapes, and for
// each shape asked about lately there is a table of what every node has for it,
// which each change of a node updates: see shape.
package inventory

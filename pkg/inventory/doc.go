// Package inventory merges what is known of the cluster: which devices are
// usable, where, now.
//
// Nodes, pods, quotas, volume claims, volumes, slots of DeviceClasses, allocations of
// ResourceClaims and telemetry enter through Set and
// Delete methods, which only the informers and the monitor call. Immutable Node
// and Pod records, Candidates for a decision and reservations leave. It does no
// I/O, starts nothing, and has the only mutex on cluster state: exported methods
// of Inventory lock it, unexported ones expect it held. No code of a caller runs
// under it but the choice among candidates, the look-up of a service time and
// the clock, none of which may block.
//
//	  informers: nodes, pods, quotas  monitor: telemetry
//	             │                        │
//	             ▼                        ▼
//	┌──────────────────────────────────────────────────┐
//	│ Inventory   a node: allocatable − held − blocked │
//	│             claims: pending pods + reservations  │
//	└──────────────────────────────────────────────────┘
//	   │ Decide: candidates → choice → reservation  (webhook)
//	   │ Lookup: immutable nodes → filter, scores   (extender)
//	   ▼
//
// The states of a pod, and what it counts as meanwhile:
//
//	decision ──▶ reservation ──▶ pending (seen, unbound) ──▶ held (bound) ──▶ free
//	                  │ 30 s without its pod                   (ended or deleted)
//	                  └──▶ expired
//
// A pod that gets its device by a ResourceClaim is the claim's matter from its
// allocation to its deallocation, which may be before the pod is bound and after it
// ended: see podClaims and Allocation.
//
// A reservation counts as far as its caller is trusted: see reservation and Trust.
//
// The quotas of its namespace count a pod from its decision on, so that of two
// decisions at once the second knows what the first one leaves: see quota.Ledger.
//
// Each arrow is one step under the mutex, so a device is never counted twice
// nor forgotten in between. Whatever is wrong here, kube-scheduler's own
// accounting still keeps a device from being allocated twice.
//
// A decision does not visit the nodes. Pods fall into few classes, and each class
// asked about lately has a table of what fits on every node, which each change of
// a node updates: see podClass and fitTable. Which nodes pods prefer is kept apart,
// for pods of one class may prefer unlike nodes: see preferredNodes.
package inventory

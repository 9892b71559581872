// Package claim gives the pods that are bound late their ResourceClaims, and moves
// them to another kind by giving them another.
//
// Pending pods and the ResourceClaims that the API server shows enter; what leaves are
// claims, and changes of those pods' image, amounts and annotations. A pod refers to its
// claim by a name under which there is none at first. So kube-scheduler leaves it alone
// until the claim is created, with one request for one device of the kind's DeviceClass.
//
//	a pod is seen ──▶ create its claim ──▶ kube-scheduler allocates, binds
//	                     ▲
//	  dry runs ──▶ delete it, unless it is allocated ──▶ patch image, annotations
//	                     ▲                                resize cpu, memory
//	                 Move, to another kind                    │
//	                     ▲────────────────────────────────────┘ create the next
//
// The package never chooses a kind, deletes no claim that is allocated, and no pod. The
// claim belongs to its pod as to a controller: the API server's controllers deallocate
// and delete it as soon as the pod ends.
//
// Each step is bound to the UID and resourceVersion of what was looked at. After a crash
// between any two of them there is a pod without a claim, which is what a new pod is:
// before its claim is created, what its record says is compared with what it is.
//
// The request of a claim is named after the kind. kube-scheduler writes an allocation
// into the claim of a name, even if that was replaced since it chose the device; an
// allocation for a request that the new claim does not have is refused by the API
// server (dynamicresources.go, bindClaim).
//
// Which claims there are is behind a lock of its own, held for map operations only.
package claim

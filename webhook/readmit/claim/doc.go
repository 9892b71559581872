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
// between any two of them there is a pod without a claim, which is what a new pod is: what
// its record says and it has not is done before its claim is created.
//
// Another replica that has not noticed that it leads no more may be between two steps at
// the same time. Its delete needs the claim as it was, and its change of the pod the pod
// as it was. So before a claim is created that somebody may have deleted, the pod is read
// from the API server, not from the feed, and changed: either that change is refused, and
// the pod looked at again, or the other's is.
//
// What the API server denies is told to the pod's owner, once for each reason, and asked
// for again after longer and longer pauses.
//
// The request of a claim is named after the kind. kube-scheduler writes an allocation
// into the claim of a name, even if that was replaced since it chose the device; an
// allocation for a request that the new claim does not have is refused by the API
// server (dynamicresources.go, bindClaim).
//
// Which claims there are is behind a lock of its own, held for map operations only.
package claim

// Package refusals remembers what is known against a kind: that the API server
// refused an owner's pods of that kind, and that kube-scheduler finds no node for
// a group of pods although the kind counts as usable.
//
// Decisions, the pods that are created for them, failed creates that controllers
// report, answers to dry runs and the scheduler's verdicts enter; what is known
// against giving a kind to a pod leaves. It calls no API, chooses nothing, and
// forgets: an exclusion holds for a time that doubles with each repetition, and
// ends at once when a pod of that kind is admitted.
//
//	decision ──▶ outstanding ──▶ its pod is seen: nothing is against the kind
//	                 │
//	                 ├─ its controller reports that the create was refused ──▶ excluded
//	                 └─ its owner requests another pod, twice, meanwhile ────▶ excluded
//
// Another request alone may be a slow informer or a client's retry, so it takes
// two decisions without a pod, each a second old.
//
// State here is behind a lock of its own, held for map operations only.
package refusals

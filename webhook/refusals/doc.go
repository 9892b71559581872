// Package refusals remembers what the judges said against a kind: the API
// server's admission, which refused an owner's pods of that kind, and
// kube-scheduler, which finds no node for them although the kind counts as
// usable.
//
// Decisions, the pods that come of them, failed creates that controllers
// report, answers to dry runs and the scheduler's verdicts enter; what is known
// against giving a kind to a pod leaves. It asks nobody itself, chooses nothing,
// and forgets: what was said against a kind holds for a time that doubles with
// each repetition, and ends at once when a pod of that kind is let in.
//
//	decision ──▶ outstanding ──▶ its pod came: nothing is against the kind
//	                 │
//	                 ├─ its controller reports the API server's refusal ──▶ refused
//	                 └─ its owner asks again, twice, while it is outstanding ─▶ refused
//
// Asking again alone may be a slow informer or a client's retry, so it takes
// two decisions that nothing came of, each a second old.
//
// State here is behind a lock of its own, held for map operations only.
package refusals

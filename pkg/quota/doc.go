// Package quota predicts which ResourceQuota of a namespace would refuse a pod.
//
// ResourceQuotas enter a Ledger, and so does every pod and reservation that
// counts against them. What leaves is the Refusal that a pod about to be created
// would get, nil when every quota has room for it. Only resources that depend
// on the accelerator kind are evaluated: the rest is the same whatever is
// decided. The package refuses nothing itself, does no I/O and reads no clock,
// and a Ledger has no lock: the inventory owns the one there is.
//
// It is not part of pkg/admission. A LimitRange or a pod-security level looks at
// one pod alone, so that package keeps rules and a lock of its own. A quota
// depends on what other pods and reservations use, so its ledger has to change
// in the same step as they do, under the lock of the inventory.
package quota

package inventory

import "heteroaccel.io/pkg/quota"

// Refusal is why an option is ordered after all others: the API server is known
// to refuse such a pod, or kube-scheduler to find no node for it.
type Refusal struct {
	// Reason is the end of a sentence, "" for a quota's.
	Reason string
	// Unschedulable is set when the pod would be admitted, but kube-scheduler
	// finds no node for it.
	Unschedulable bool
	// Quota is set when a ResourceQuota would refuse the pod.
	Quota *quota.Refusal
}

// String is the end of a sentence.
func (r *Refusal) String() string {
	if r.Quota != nil {
		return r.Quota.String()
	}
	return r.Reason
}

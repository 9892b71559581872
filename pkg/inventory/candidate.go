package inventory

import (
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/quota"
	"heteroaccel.io/pkg/resources"
	"heteroaccel.io/pkg/servicetime"
)

// Option is one way a pod could run: the question of a decision.
type Option struct {
	Kind accel.Kind
	// Rank is the position in the order of preference, 0 first.
	Rank int
	// Needs is what the whole pod would request.
	Needs resources.Amounts
	// Constraints say where it could run; nil is anywhere untainted.
	Constraints *Constraints
	// QuotaUsage returns what quotas count of the pod beyond Needs; nil for nothing. It is
	// called where the namespace has a quota, and with the inventory locked.
	QuotaUsage func() quota.Usage
	// VolumeClaims are the names of the volume claims the pod would mount. Those
	// that are bound to a volume restrict where it could run.
	VolumeClaims []string
	// Service is how long a run is expected to take, 0 when unknown.
	Service time.Duration
	// Barred is why this option is ordered last whatever is idle; nil when
	// nothing is known against it. The inventory itself checks quotas.
	Barred *Refusal
	// Hint is the profile's serviceTime, 0 when it has none. Basis is where
	// Service comes from, Timed sums up the runs that were timed.
	Hint  time.Duration
	Basis servicetime.Basis
	Timed servicetime.Timed
	// TrialHistory is for policies that spend a run on learning now and then.
	TrialHistory TrialHistory
	// Deadline is by when the run should be done, the same in all options of a pod.
	Deadline Deadline
}

// quotaUsage is what quotas count of the pod beyond Needs.
func (o *Option) quotaUsage() quota.Usage {
	if o.QuotaUsage == nil {
		return quota.Usage{}
	}
	return o.QuotaUsage()
}

// Deadline is by when a run should be done. The zero value is no deadline.
type Deadline struct {
	// Of is how long after the pod's creation it is, 0 for none.
	Of time.Duration
	// Left is how long it is from now: less than Of for a pod that has waited, and
	// below 0 once it has passed.
	Left time.Duration
}

// DeadlineOf is a deadline of a pod that was created so long ago; of is 0 for none.
func DeadlineOf(of, age time.Duration) Deadline {
	if of <= 0 {
		return Deadline{}
	}
	return Deadline{Of: of, Left: of - max(0, age)}
}

// Exceeded reports whether a run that ends so long from now ends after the deadline.
func (d Deadline) Exceeded(finish time.Duration) bool { return d.Of > 0 && finish > d.Left }

// Candidate is what a decision needs to know of an option: the state of its
// kind on the nodes this pod could run on.
type Candidate struct {
	Option
	// Nodes is how many nodes that it could run on have the kind at all, Stale
	// how many of them have no fresh telemetry.
	Nodes, Stale int
	// Total is how many such pods those nodes could take when empty, Usable
	// how many they could take now.
	Total, Usable int64
	// Claimed is how many of Usable pending pods and reservations will take,
	// Queued how many more of these fit nowhere now and wait.
	Claimed, Queued int64
	// Ending is how many of Total are held by pods that end by themselves.
	Ending int64
	// Full is how long nothing has been free for more than a moment, as far
	// back as decisions have asked for this kind lately.
	Full time.Duration
	// Running are the pods that hold the kind, on nodes where some of them end:
	// in a large cluster on some of these nodes, evenly spread. It is filled in
	// only when nothing is idle, which is when it matters.
	Running []Running
	// PreferredNode is the node that the pod prefers most, by its node affinity, of
	// those that would take it now beside all that is claimed; of all that it could
	// run on when nothing is idle. "" is none. PreferredWeight is how much it
	// prefers that node, the sum of the terms' weights, at most 100.
	PreferredNode   string
	PreferredWeight int
	// Refused is the option's Barred, or else the ResourceQuota that has no room
	// for the pod; nil when nothing is known against it.
	Refused *Refusal
}

// Running is one pod that holds a device a decision asks about.
type Running struct {
	// Elapsed is how long it has run, 0 when it has not started.
	Elapsed time.Duration
	// Service is how long it is expected to run in all, 0 when unknown.
	Service time.Duration
	// Ends is false for one that runs until it is deleted.
	Ends bool
	// Ended is set for one that has ended, but whose device Kubernetes has not taken back
	// yet. It takes a moment.
	Ended bool
}

// Idle is how many such pods fit beside those that hold, wait for or have
// reserved the kind.
func (c Candidate) Idle() int64 { return max(0, c.Usable-c.Claimed) }

// Admitted reports whether a pod created for it would be admitted, as far as is
// known.
func (c Candidate) Admitted() bool { return c.Refused == nil || c.Refused.Unschedulable }

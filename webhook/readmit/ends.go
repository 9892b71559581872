package readmit

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/pkg/record"
)

// end is how the wait of a pod with one ResourceClaim ended.
type end string

const (
	// first: a device was allocated to the pod's first claim. The kind was predicted.
	first end = "first"
	// moved: one was allocated to a claim that the pod was moved to.
	moved end = "moved"
	// better: the claim was replaced, since another kind freed sooner.
	better end = "better"
	// mispredicted: the claim was replaced, since kube-scheduler found no node for the
	// pod although its kind counted as usable.
	mispredicted end = "mispredicted"
	// denied: it was replaced before it was created, since the API server denied it.
	denied end = "denied"
)

// ends count claims and how long their pods waited with them, by end.
type ends struct{ claims, seconds *prometheus.CounterVec }

func newEnds() ends {
	e := ends{
		claims: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heteroaccel_webhook_claim_ends_total",
			Help: "ResourceClaims of pods that are bound late, by what ended the wait with them: first (the pod's first claim got a device), moved (a later one did), better (replaced, as another kind freed sooner), mispredicted (replaced, as kube-scheduler found no node although the kind counted as usable), denied (replaced, as the API server denied it).",
		}, []string{"end"}),
		seconds: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heteroaccel_webhook_claim_wait_seconds_total",
			Help: "How long pods that are bound late waited for a kind, from when they were created, to the second, or moved to it, by what ended that.",
		}, []string{"end"}),
	}
	for _, which := range []end{first, moved, better, mispredicted, denied} {
		e.claims.WithLabelValues(string(which))
		e.seconds.WithLabelValues(string(which))
	}
	return e
}

// add counts a claim, with which its pod has waited since.
func (e ends) add(which end, since, now time.Time) {
	e.claims.WithLabelValues(string(which)).Inc()
	e.seconds.WithLabelValues(string(which)).Add(max(0, now.Sub(since)).Seconds())
}

// bound counts the claim with which a pod was bound, if it is one that is bound late.
func (e ends) bound(pod *corev1.Pod, keys *record.Keys, now time.Time) {
	switch given, ours := record.Of(pod.Annotations, pod.Namespace, keys); {
	case !ours || given.Claim == "":
	case given.Moved.IsZero():
		e.add(first, pod.CreationTimestamp.Time, now)
	default:
		e.add(moved, given.Moved, now)
	}
}

// whyMoved is why a pod is moved from a kind, by the ranking that leads it elsewhere; stuck
// is set where the API server denies it its claim.
func whyMoved(ranked []policy.Ranked, from accel.Kind, stuck bool) end {
	switch {
	case stuck:
		return denied
	case slices.ContainsFunc(ranked, func(r policy.Ranked) bool {
		return r.Kind == from && r.Refused != nil && r.Refused.Unschedulable
	}):
		return mispredicted
	}
	return better
}

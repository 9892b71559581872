package server

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/webhook/mutate"
	"heteroaccel.io/webhook/refusals"
	"heteroaccel.io/webhook/replacement"
)

// decide asks the policy, and reserves what it chose unless this is a dry run. It
// decides even when every kind is refused, so that the user gets the answer of the
// API server, which knows best.
//
// Only a new pod that ends by itself, and so is timed, may be spent on a trial: a
// pod that was recreated to finish sooner is sent nowhere else.
//
// A review is not yet a pod, and perhaps not the API server's. What a caller that is
// not Trusted says of a pod's owner counts for its own connection alone, it uses up
// neither a trial nor an expected replacement, and releases nobody's reservation.
func (s *Server) decide(r *request, by inventory.Caller, in mutate.Input, options []inventory.Option) (mutate.Decision, outcome, []policy.Ranked) {
	id := rand.Text()
	trust := s.Inventory.Trust(by)
	query := inventory.Query{Namespace: r.Namespace, Options: options, Reservation: id, Caller: &by, Lent: trust != inventory.Trusted, Pod: r.Object.Metadata.Name}
	if query.Pod == "" {
		query.Pod = r.Object.Metadata.GenerateName + "*"
	}
	controller := r.controller()
	owner := refusals.OwnerOf(r.Namespace, controller, r.Object.Metadata.Name, r.Object.Metadata.GenerateName)
	if created, ok := replacement.SuccessionOf(r.Object.Metadata.Annotations, s.Keys(), r.Namespace, r.Object.Metadata.Name); ok && controller == "" {
		owner = refusals.OwnerOf(r.Namespace, created.SetUID, "", "") // the ReplicaSet that will adopt it
	}
	asked := owner
	if trust != inventory.Trusted {
		asked.Connection = by.Connection
	}
	if r.DryRun {
		query.Reservation = ""
	} else {
		// Its owner asks again: earlier reservations that no pod came for are
		// released.
		for _, lost := range s.Refusals.Requested(asked) {
			s.Inventory.Abandon(by, r.Namespace, lost)
		}
	}
	s.bar(options, owner, asked, r)
	expected, again := s.Replaces(r.Namespace, controller, r.Object.Metadata.Name, query.Reservation, trust)
	query.Release = expected.Reservation
	intended := expected.Kind
	if r.DryRun {
		if kind, ok := replacement.IntendedKind(r.Object.Metadata.Annotations, s.Keys(), r.Namespace, controller, r.Object.Metadata.Name); ok {
			intended = kind
		}
	}
	first := s.setDeadlines(options, in, expected.FirstAdmitted, &r.Object.Spec)
	trialAllowed := !again && intended == "" && ends(&r.Object.Spec)
	var ranked []policy.Ranked
	chosen := s.Inventory.Decide(query, func(c []inventory.Candidate) int {
		if trialAllowed {
			s.trials.Allow(in.Request.Inference, c)
		}
		ranked = preferIntended(s.Policy(c), intended, r.DryRun)
		if trialAllowed && !r.DryRun && trust == inventory.Trusted && ranked[0].Refused == nil {
			s.trials.Record(in.Request.Inference, ranked[0])
		}
		return ranked[0].Index
	})
	o := outcomeWaits
	switch {
	case chosen.Refused != nil && !chosen.Refused.Unschedulable:
		o = outcomeOverQuota
	case chosen.Idle() > 0:
		o = outcomeIdle
	}
	if !r.DryRun {
		s.Refusals.Decided(asked, id, chosen.Kind)
		if s.Choices != nil && isNotable(ranked) {
			s.Choices.note(id, time.Now())
		}
	}
	d := mutate.Decision{Kind: chosen.Kind, Reason: policy.Explain(ranked), Reservation: id, Readmissions: expected.Count, FirstAdmitted: first}
	var holder string
	switch {
	case again && expected.Serving:
		d.Reason = fmt.Sprintf("it replaces one that runs on %s: %s", expected.From, d.Reason)
	case again:
		d.Reason = fmt.Sprintf("it waited for %s before: %s", expected.From, d.Reason)
	}
	if !again || !expected.Serving {
		if d.Displaced, holder = s.displaced(r, ranked); d.Displaced != "" {
			d.Reason += fmt.Sprintf("; pod %s of another revision still has %s: it is moved there once that is gone", holder, d.Displaced)
		}
	}
	return d, o, ranked
}

// displaced is the kind that a server of a Deployment would have been given, were it not
// for a pod of another revision, which a rollout ends soon: the fastest of those that
// such pods hold, if a run takes less there than on what was chosen. holder is one of them.
func (s *Server) displaced(r *request, ranked []policy.Ranked) (kind accel.Kind, holder string) {
	set := r.controllerOf()
	if s.HeldByOthers == nil || set == nil || set.Kind != "ReplicaSet" || ends(&r.Object.Spec) {
		return "", ""
	}
	return Displaced(ranked, s.HeldByOthers(r.Namespace, set.Name))
}

// Displaced is the kind that displaced is about, given what the policy ranked and which
// kinds pods of other revisions hold, each with the name of one of them.
func Displaced(ranked []policy.Ranked, held map[accel.Kind]string) (kind accel.Kind, holder string) {
	least := ranked[0].Service
	for _, other := range ranked[1:] {
		if name := held[other.Kind]; name != "" && other.Refused == nil && other.Service > 0 && (other.Service < least || least <= 0) {
			kind, holder, least = other.Kind, name, other.Service
		}
	}
	return kind, holder
}

// setDeadlines gives the options of a new pod its deadline, counted from when the first
// of the pods was admitted that it replaces, which is since unless that is zero. It
// returns from when that is counted for the pod that replaces this one, zero where it has
// none to keep.
func (s *Server) setDeadlines(options []inventory.Option, in mutate.Input, since time.Time, spec *corev1.PodSpec) (first time.Time) {
	of := in.Request.DeadlineOr(in.Profile.Deadline)
	if of <= 0 || !ends(spec) {
		return since
	}
	now, age := s.Inventory.Now(), time.Duration(0)
	if first = since; first.IsZero() {
		first = now.UTC().Truncate(time.Millisecond)
	} else {
		age = now.Sub(first)
	}
	for i := range options {
		options[i].Deadline = inventory.DeadlineOf(of, age)
	}
	return first
}

// preferIntended moves the kind that is reserved for a recreated pod, and that the
// API server has been asked about, to the front of what the policy ranked; unless
// it is no longer idle. The dry run that asks about a kind always gets it.
func preferIntended(ranked []policy.Ranked, intended accel.Kind, dryRun bool) []policy.Ranked {
	i := slices.IndexFunc(ranked, func(r policy.Ranked) bool { return r.Kind == intended })
	if i < 0 || !dryRun && (ranked[i].Idle() == 0 || ranked[i].Barred != nil) {
		return ranked
	}
	r := ranked[i]
	if r.Barred == nil {
		r.Refused = nil // a quota counts the pod that this one replaces
	}
	return slices.Insert(slices.Delete(ranked, i, i+1), 0, r)
}

// ends reports whether a pod ends by itself, as those of Jobs do.
func ends(spec *corev1.PodSpec) bool {
	return spec.RestartPolicy == corev1.RestartPolicyNever || spec.RestartPolicy == corev1.RestartPolicyOnFailure
}

// bar marks the options that the API server denied an owner, as far as all know or
// as this connection was asked, or that kube-scheduler found no node for.
func (s *Server) bar(options []inventory.Option, owner, asked refusals.Owner, r *request) {
	group := ""
	if s.Refusals.HasVerdicts() {
		pod, _ := mutate.Undo(r.Object, s.Keys(), r.Namespace)
		if req, ours, err := accel.ParseRequest(pod.Metadata.Annotations); ours && err == nil {
			named := *pod
			named.Metadata.Namespace = r.Namespace
			group = refusals.GroupKey(&named, req)
		}
	}
	for i := range options {
		if options[i].Barred == nil {
			options[i].Barred = cmp.Or(s.Refusals.Refusal(owner, group, options[i].Kind), s.Refusals.Refusal(asked, "", options[i].Kind))
		}
	}
}

// controller is the UID of the pod's controller, "" when it has none.
func (r *request) controller() types.UID {
	if o := r.controllerOf(); o != nil {
		return o.UID
	}
	return ""
}

// controllerOf is the pod's controller, nil when it has none.
func (r *request) controllerOf() *metav1.OwnerReference {
	for i := range r.Object.Metadata.OwnerReferences {
		if o := &r.Object.Metadata.OwnerReferences[i]; o.Controller != nil && *o.Controller {
			return o
		}
	}
	return nil
}

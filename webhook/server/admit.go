package server

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/webhook/mutate"
	"heteroaccel.io/webhook/refusals"
	"heteroaccel.io/webhook/replacement"
	"heteroaccel.io/webhook/variant"
)

// admit decides about one pod. It returns the patch that carries the decision
// out, with warnings if it is likely to come to nothing or may not reach the
// program, or a sentence for the person whose pod it is.
func (s *Server) admit(r *request) (ops []mutate.Op, warnings []string, refusal error) {
	start := time.Now()
	outcome := outcomeUntouched
	kind := accel.Kind("")
	defer func() { s.metrics.observe(kind, outcome, r.DryRun, time.Since(start)) }()

	incoming := r.Object
	// What an earlier call for this pod did is taken back first, so that a
	// second call makes the same pod and not one mutated twice.
	pod, verified := mutate.Undo(incoming, s.Key, r.Namespace)
	req, ours, err := accel.ParseRequest(pod.Metadata.Annotations)
	if !ours {
		return nil, nil, nil
	}
	outcome = outcomeRefused
	if err != nil {
		return nil, nil, err
	}
	in, options, err := s.source().Of(r.Namespace, pod, req)
	if err != nil {
		return nil, nil, err
	}
	in.Key = s.Key

	var earlier mutate.Decision
	if verified {
		earlier = s.standing(r)
	}
	if allowed(options, earlier.Kind) {
		in.Decision, outcome = earlier, outcomeRepeated
	} else {
		// Somebody changed the pod in between so that it may not run there
		// any more.
		s.Inventory.Release(r.Namespace, earlier.Reservation)
		in.Decision, outcome = s.decide(r, req.Inference, options)
	}
	kind = in.Decision.Kind
	in.Variant = in.Profile.Variant(kind)
	mutated, err := mutate.Apply(pod, in)
	if err != nil {
		outcome = outcomeRefused
		s.Inventory.Release(r.Namespace, in.Decision.Reservation)
		return nil, nil, err
	}
	if outcome == outcomeOverQuota {
		warnings = append(warnings, in.Decision.Reason)
	}
	return mutate.Diff(incoming, mutated, in.Target), append(warnings, mutated.Warnings...), nil
}

func (s *Server) source() variant.Source {
	return variant.Source{
		Profiles:   s.Profiles,
		Rules:      s.Rules,
		Schedulers: s.Schedulers, OtherSchedulers: s.OtherSchedulers,
	}
}

// standing is the decision of an earlier call for the same pod, whose
// reservation still waits for it; zero if there is none. The caller has
// verified the pod's record.
func (s *Server) standing(r *request) mutate.Decision {
	id := r.Object.Metadata.Annotations[accel.ReservationAnnotation]
	kind, live := s.Inventory.Reserved(r.Namespace, id)
	if !live {
		return mutate.Decision{}
	}
	a := r.Object.Metadata.Annotations
	return mutate.Decision{Kind: kind, Reason: a[accel.ReasonAnnotation], Reservation: id, Readmissions: replacement.Count(a)}
}

// allowed reports whether kind is among the options.
func allowed(options []inventory.Option, kind accel.Kind) bool {
	return slices.ContainsFunc(options, func(o inventory.Option) bool { return o.Kind == kind })
}

// decide asks the policy, and reserves what it chose unless it is a dry run.
// When everything is refused it decides all the same, so that the API server,
// which knows best, says so to the user.
//
// Only a pod that is timed when it ends, and is new here, may be spent on
// learning: who was moved once to be done sooner is not sent anywhere else.
func (s *Server) decide(r *request, inference string, options []inventory.Option) (mutate.Decision, outcome) {
	id := rand.Text()
	query := inventory.Query{Namespace: r.Namespace, Options: options, Reservation: id}
	controller := r.controller()
	owner := refusals.OwnerOf(r.Namespace, controller, r.Object.Metadata.Name, r.Object.Metadata.GenerateName)
	if created, ok := replacement.SuccessionOf(r.Object.Metadata.Annotations, s.Key, r.Namespace, r.Object.Metadata.Name); ok && controller == "" {
		owner = refusals.OwnerOf(r.Namespace, created.SetUID, "", "") // the ReplicaSet that will adopt it
	}
	if r.DryRun {
		query.Reservation = ""
	} else {
		// Its owner asks again: what it asked for before, and did not get,
		// counts no more.
		for _, lost := range s.Refusals.Requested(owner) {
			s.Inventory.Release(r.Namespace, lost)
		}
	}
	s.bar(options, owner, r)
	expected, again := s.Replaces(r.Namespace, controller, r.Object.Metadata.Name, query.Reservation)
	query.Release = expected.Reservation
	intended := expected.Kind
	if r.DryRun {
		if kind, ok := replacement.IntendedKind(r.Object.Metadata.Annotations, s.Key, r.Namespace, controller, r.Object.Metadata.Name); ok {
			intended = kind
		}
	}
	teaches := !again && intended == "" && ends(&r.Object.Spec)
	var ranked []policy.Ranked
	chosen := s.Inventory.Decide(query, func(c []inventory.Candidate) int {
		if teaches {
			s.trials.Allow(inference, c)
		}
		ranked = first(s.Policy(c), intended, r.DryRun)
		if teaches && !r.DryRun && ranked[0].Refused == nil {
			s.trials.Record(inference, ranked[0])
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
		s.Refusals.Decided(owner, id, chosen.Kind)
	}
	d := mutate.Decision{Kind: chosen.Kind, Reason: policy.Explain(ranked), Reservation: id, Readmissions: expected.Count}
	if again {
		d.Reason = fmt.Sprintf("it waited for %s before: %s", expected.From, d.Reason)
	}
	return d, o
}

// first puts a kind that was held for the pod, and that the API server has been
// asked about, before what the policy finds best by now; unless it is idle no
// more. The dry run that asks about a kind gets it in any case.
func first(ranked []policy.Ranked, intended accel.Kind, dryRun bool) []policy.Ranked {
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

// bar marks the options that somebody with the last word is against.
func (s *Server) bar(options []inventory.Option, owner refusals.Owner, r *request) {
	class := ""
	if s.Refusals.HasVerdicts() {
		pod, _ := mutate.Undo(r.Object, s.Key, r.Namespace)
		if req, ours, err := accel.ParseRequest(pod.Metadata.Annotations); ours && err == nil {
			named := *pod
			named.Metadata.Namespace = r.Namespace
			class = refusals.GroupKey(&named, req)
		}
	}
	for i := range options {
		if options[i].Barred == nil {
			options[i].Barred = s.Refusals.Refusal(owner, class, options[i].Kind)
		}
	}
}

// controller is the UID of the pod's controller, "" when it has none.
func (r *request) controller() types.UID {
	for _, o := range r.Object.Metadata.OwnerReferences {
		if o.Controller != nil && *o.Controller {
			return o.UID
		}
	}
	return ""
}

var errKey = errors.New("a webhook needs a key of at least 32 bytes for its records")

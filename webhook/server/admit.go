package server

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/webhook/mutate"
	"heteroaccel.io/webhook/option"
	"heteroaccel.io/webhook/readmit"
)

// admit decides about one pod. It returns the patch that carries the decision
// out, with a warning if it is likely to come to nothing, or a sentence for the
// person whose pod it is.
func (s *Server) admit(r *request) (ops []mutate.Op, warning string, refusal error) {
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
		return nil, "", nil
	}
	outcome = outcomeRefused
	if err != nil {
		return nil, "", err
	}
	in, options, err := option.Source{Profiles: s.Profiles, ServiceTime: s.ServiceTime, Rules: s.Rules}.Of(r.Namespace, pod, req)
	if err != nil {
		return nil, "", err
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
		in.Decision, outcome = s.decide(r, options)
	}
	kind = in.Decision.Kind
	in.Variant = in.Profile.Variant(kind)
	mutated, err := mutate.Apply(pod, in)
	if err != nil {
		outcome = outcomeRefused
		s.Inventory.Release(r.Namespace, in.Decision.Reservation)
		return nil, "", err
	}
	if outcome == outcomeOverQuota {
		warning = in.Decision.Reason
	}
	return mutate.Diff(incoming, mutated, in.Target), warning, nil
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
	return mutate.Decision{Kind: kind, Reason: a[accel.ReasonAnnotation], Reservation: id, Readmissions: readmit.Count(a)}
}

// allowed reports whether kind is among the options.
func allowed(options []inventory.Option, kind accel.Kind) bool {
	return slices.ContainsFunc(options, func(o inventory.Option) bool { return o.Kind == kind })
}

// decide asks the policy, and reserves what it chose unless it is a dry run.
// When a quota refuses every kind it decides all the same, so that the API
// server, which knows best, says so to the user.
func (s *Server) decide(r *request, options []inventory.Option) (mutate.Decision, outcome) {
	id := rand.Text()
	query := inventory.Query{Namespace: r.Namespace, Options: options, Reservation: id}
	if r.DryRun {
		query.Reservation = ""
	}
	ticket, again := s.replaces(r)
	query.Instead = ticket.Hold
	var ranked []policy.Ranked
	chosen := s.Inventory.Decide(query, func(c []inventory.Candidate) int {
		ranked = s.Policy(c)
		return ranked[0].Index
	})
	o := outcomeWaits
	switch {
	case chosen.Refused != nil:
		o = outcomeOverQuota
	case chosen.Idle() > 0:
		o = outcomeIdle
	}
	d := mutate.Decision{Kind: chosen.Kind, Reason: policy.Explain(ranked), Reservation: id, Readmissions: ticket.Count}
	if again {
		d.Reason = fmt.Sprintf("it waited for %s before: %s", ticket.From, d.Reason)
	}
	return d, o
}

// replaces tells in whose place the pod comes, if it was made again for
// another kind. A dry run finds what it would find then: before a pod is made
// again it is asked that way whether it would come through.
func (s *Server) replaces(r *request) (readmit.Ticket, bool) {
	var owner types.UID
	for _, o := range r.Object.Metadata.OwnerReferences {
		if o.Controller != nil && *o.Controller {
			owner = o.UID
		}
	}
	return s.Replaces(r.Namespace, owner, r.Object.Metadata.Name, r.DryRun)
}

var errKey = errors.New("a webhook needs a key of at least 32 bytes for its records")

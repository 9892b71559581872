package server

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/pkg/resources"
	"heteroaccel.io/pkg/serve"
	"heteroaccel.io/webhook/forward"
	"heteroaccel.io/webhook/mutate"
	"heteroaccel.io/webhook/replacement"
	"heteroaccel.io/webhook/variant"
)

// admit decides on one pod. It returns the patch that applies the decision, with
// warnings if the API server will probably deny the pod or the device may not
// reach the program; or a refusal, a sentence for the person whose pod it is.
func (s *Server) admit(r *request, by inventory.Caller) (ops []mutate.Op, warnings []string, refusal error) {
	start := time.Now()
	outcome := outcomeUntouched
	kind := accel.Kind("")
	var ranked []policy.Ranked
	var in mutate.Input
	defer func() {
		took := time.Since(start)
		inference := ""
		if of, known := s.Profiles.Get(in.Request.Inference); known {
			inference = of.Name
		}
		s.metrics.observe(inference, kind, outcome, r.DryRun, took)
		s.tell(r, by, in, outcome, ranked, refusal, took)
	}()

	incoming := r.Object
	// What an earlier review of this pod changed is undone first, so that a second
	// review returns the same pod and not one mutated twice.
	pod, verified := mutate.Undo(incoming, s.Keys(), r.Namespace)
	req, ours, err := accel.ParseRequest(pod.Metadata.Annotations)
	if !ours {
		return nil, nil, nil
	}
	in.Request = req // a refusal tells that
	outcome = outcomeRefused
	if err != nil {
		return nil, nil, err
	}
	if err := resources.Excessive(&pod.Spec); err != nil {
		return nil, nil, err
	}
	of, options, err := s.source().Of(r.Namespace, pod, req)
	if err != nil {
		return nil, nil, err
	}
	in = of
	in.Keys = s.Keys()

	var earlier mutate.Decision
	reserved := "" // by this call
	if verified {
		earlier = s.earlierDecision(r)
	}
	if allowed(options, earlier.Kind) {
		in.Decision, outcome = earlier, outcomeRepeated
	} else {
		// Somebody changed the pod in between, and it may not run there any more. A
		// dry run may be of a copy, whose original still needs its reservation.
		if !r.DryRun {
			s.Inventory.Abandon(by, r.Namespace, earlier.Reservation)
		}
		in.Decision, outcome, ranked = s.decide(r, by, in, options)
		reserved = in.Decision.Reservation
	}
	kind = in.Decision.Kind
	in.Variant = in.VariantOf(kind)
	mutated, err := mutate.Apply(pod, in)
	if err != nil {
		outcome = outcomeRefused
		s.Inventory.Release(r.Namespace, reserved)
		return nil, nil, err
	}
	if outcome == outcomeOverQuota {
		warnings = append(warnings, in.Decision.Reason)
	}
	return mutate.Diff(incoming, mutated, in.Target), append(warnings, mutated.Warnings...), nil
}

// callerOf is who sent a request, as far as it matters how far its word is taken. The
// error is a sentence for another replica, which takes reviews from anybody while this
// one takes them from the API server alone.
func (s *Server) callerOf(r *http.Request) (inventory.Caller, error) {
	from, forwarded := forward.OriginOf(r)
	switch {
	case s.Authenticated && forwarded && !from.Authenticated:
		return inventory.Caller{}, errUnauthenticated
	case s.Authenticated:
		return inventory.Caller{}, nil
	case forwarded:
		return inventory.Caller{Connection: from.Connection}, nil
	}
	return inventory.Caller{Connection: serve.ConnectionOf(r)}, nil
}

func (s *Server) source() variant.Source {
	return variant.Source{
		Profiles:   s.Profiles,
		Rules:      s.Rules,
		Namespaces: s.Namespaces,
		Schedulers: s.Schedulers, OtherSchedulers: s.OtherSchedulers, SetScheduler: s.SetScheduler,
		Binding: s.Binding, HasClass: s.HasClass,
	}
}

// earlierDecision is the decision of an earlier review of the same pod, whose
// reservation is still live; zero if there is none. The caller has verified the
// pod's record.
func (s *Server) earlierDecision(r *request) mutate.Decision {
	id := r.Object.Metadata.Annotations[accel.ReservationAnnotation]
	kind, live := s.Inventory.Reserved(r.Namespace, id)
	if !live {
		return mutate.Decision{}
	}
	a := r.Object.Metadata.Annotations
	given, _ := record.Of(a, r.Namespace, s.Keys())
	return mutate.Decision{
		Kind: kind, Reason: a[accel.ReasonAnnotation], Reservation: id, Readmissions: replacement.Count(a),
		FirstAdmitted: given.FirstAdmitted, Displaced: given.Displaced,
	}
}

// allowed reports whether kind is among the options.
func allowed(options []inventory.Option, kind accel.Kind) bool {
	return slices.ContainsFunc(options, func(o inventory.Option) bool { return o.Kind == kind })
}

var errUnauthenticated = errors.New("the replica that forwards this review takes reviews from anybody: give it the same --client-ca-file")

var errKeys = errors.New("a webhook needs keys for its records")

package server

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/webhook/mutate"
)

// admit decides about one pod. It returns the patch that carries the decision
// out, or a sentence for the person whose pod it is.
func (s *Server) admit(r *request) (ops []mutate.Op, refusal error) {
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
		return nil, nil
	}
	outcome = outcomeRefused
	if err != nil {
		return nil, err
	}
	in, options, err := s.options(pod, req)
	if err != nil {
		return nil, err
	}
	in.Namespace, in.Key = r.Namespace, s.Key

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
		return nil, err
	}
	return mutate.Diff(incoming, mutated, in.Target), nil
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
	return mutate.Decision{Kind: kind, Reason: r.Object.Metadata.Annotations[accel.ReasonAnnotation], Reservation: id}
}

// allowed reports whether kind is among the options.
func allowed(options []inventory.Option, kind accel.Kind) bool {
	return slices.ContainsFunc(options, func(o inventory.Option) bool { return o.Kind == kind })
}

// decide asks the policy, and reserves what it chose unless it is a dry run.
func (s *Server) decide(r *request, options []inventory.Option) (mutate.Decision, outcome) {
	id := rand.Text()
	query := inventory.Query{Namespace: r.Namespace, Options: options, Reservation: id}
	if r.DryRun {
		query.Reservation = ""
	}
	var ranked []policy.Ranked
	chosen := s.Inventory.Decide(query, func(c []inventory.Candidate) int {
		ranked = s.Policy(c)
		return ranked[0].Index
	})
	o := outcomeWaits
	if chosen.Idle() > 0 {
		o = outcomeIdle
	}
	return mutate.Decision{Kind: chosen.Kind, Reason: policy.Explain(ranked), Reservation: id}, o
}

// options are the ways a pod could run, one for each allowed variant that its
// own spec is compatible with. The error is a sentence for whoever wrote it.
func (s *Server) options(pod *mutate.Pod, req accel.Request) (mutate.Input, []inventory.Option, error) {
	in := mutate.Input{Request: req, Known: s.known()}
	p, ok := s.Profiles.Get(req.Inference)
	if why := s.Profiles.Broken(req.Inference); why != nil {
		return in, nil, fmt.Errorf("InferenceProfile %q cannot be used: %w; mend it first", req.Inference, why)
	}
	if !ok {
		return in, nil, s.unknownInference(req.Inference)
	}
	in.Profile = p
	if err := mutate.Check(pod); err != nil {
		return in, nil, err
	}
	target, err := mutate.FindTarget(pod, req, p)
	if err != nil {
		return in, nil, err
	}
	in.Target = target

	kinds := req.Kinds
	if req.Any() {
		kinds = p.Kinds()
	}
	own := inventory.ConstraintsOf(&pod.Spec)
	var options []inventory.Option
	var incompatible error
	for rank, k := range kinds {
		v := p.Variant(k)
		if v == nil {
			return in, nil, fmt.Errorf("annotation %s names %s, which inference %s has no variant for: it has %s",
				accel.AcceleratorAnnotation, k, p.Name, accel.JoinKinds(p.Kinds()))
		}
		if err := mutate.Compatible(pod, target, v); err != nil {
			incompatible = cmp.Or(incompatible, err)
			continue
		}
		options = append(options, inventory.Option{
			Kind:        k,
			Rank:        rank,
			Needs:       inventory.ResourcesOf(mutate.Requests(pod, target, v, in.Known)),
			Constraints: constraints(pod, v, own),
			Service:     s.ServiceTime(p.Name, k),
		})
	}
	if len(options) == 0 {
		return in, nil, incompatible
	}
	return in, options, nil
}

// constraints are the pod's own unless the variant adds to them.
func constraints(pod *mutate.Pod, v *profile.Variant, own *inventory.Constraints) *inventory.Constraints {
	if len(v.Spec.NodeSelector) == 0 && len(v.Spec.Tolerations) == 0 {
		return own
	}
	selector := maps.Clone(pod.Spec.NodeSelector)
	if selector == nil {
		selector = map[string]string{}
	}
	maps.Copy(selector, v.Spec.NodeSelector)
	return inventory.ConstraintsOf(&corev1.PodSpec{
		NodeSelector: selector,
		Affinity:     pod.Spec.Affinity,
		Tolerations:  slices.Concat(pod.Spec.Tolerations, v.Spec.Tolerations),
	})
}

// known reports whether an extended resource is some profile's accelerator.
func (s *Server) known() func(corev1.ResourceName) bool {
	kinds := s.Profiles.ResourceKinds()
	return func(name corev1.ResourceName) bool { return len(kinds[name]) > 0 }
}

// unknownInference names the known ones, a handful of them.
func (s *Server) unknownInference(name string) error {
	const most = 20
	names := s.Profiles.Names()
	if len(names) == 0 {
		return fmt.Errorf("there is no InferenceProfile %q, nor any other: create one first", name)
	}
	list := strings.Join(names[:min(most, len(names))], ", ")
	if len(names) > most {
		list += ", … (kubectl get inferenceprofiles lists all)"
	}
	if near := s.Profiles.Nearest(name); near != "" {
		return fmt.Errorf("there is no InferenceProfile %q: did you mean %s? There are %s", name, near, list)
	}
	return fmt.Errorf("there is no InferenceProfile %q: there are %s", name, list)
}

var errKey = errors.New("a webhook needs a key of at least 32 bytes for its records")

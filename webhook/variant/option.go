package variant

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/admission"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/namespaces"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/quota"
	"heteroaccel.io/pkg/resources"
	"heteroaccel.io/webhook/mutate"
)

// Source is where options come from.
type Source struct {
	Profiles *profile.Store
	// Now is the clock for the age of service times; nil for time.Now.
	Now func() time.Time
	// Rules are those of the namespaces; nil when none are known.
	Rules *admission.Store
	// Namespaces say which inferences they may use; nil for all.
	Namespaces *namespaces.Store
	// Schedulers are the names of those that ask our extender; none means any.
	Schedulers []string
	// OtherSchedulers admits pods of other schedulers too.
	OtherSchedulers bool
	// SetScheduler is the schedulerName of pods that name none of their own; "" leaves
	// it to the API server. It is one of Schedulers.
	SetScheduler string
	// Binding is when the accelerator of a pod is settled whose profile does not say. With
	// Early, or "", it is early whatever the profile says.
	Binding profile.Binding
	// HasClass reports whether there are devices of a DeviceClass, which Auto looks at.
	// nil is none.
	HasClass func(class string) bool
}

// Schedules reports whether a pod of this schedulerName is one for a scheduler
// that asks our extender. "" is the API server's to complete.
func (s Source) Schedules(name string) bool {
	return name == "" || len(s.Schedulers) == 0 || slices.Contains(s.Schedulers, name)
}

// Of returns the options of a new pod in a namespace, one for each allowed variant that
// its own spec is compatible with. The error is a sentence for whoever wrote the
// pod.
func (s Source) Of(namespace string, pod *mutate.Pod, req accel.Request) (mutate.Input, []inventory.Option, error) {
	return s.options(namespace, pod, req, s.late)
}

// OfBound is Of for a pod that exists, of which it is settled whether it is bound late.
func (s Source) OfBound(namespace string, pod *mutate.Pod, req accel.Request, late bool) (mutate.Input, []inventory.Option, error) {
	return s.options(namespace, pod, req, func(*mutate.Pod, mutate.Target, *profile.Profile) bool { return late })
}

func (s Source) options(namespace string, pod *mutate.Pod, req accel.Request, late func(*mutate.Pod, mutate.Target, *profile.Profile) bool) (mutate.Input, []inventory.Option, error) {
	in := mutate.Input{Request: req, Known: s.known(), Namespace: namespace, Scheduler: s.SetScheduler}
	p, ok := s.Profiles.Get(req.Inference)
	if why := s.Profiles.Invalid(req.Inference); why != nil {
		return in, nil, fmt.Errorf("InferenceProfile %q cannot be used: %w; correct it first", req.Inference, why)
	}
	if !ok {
		return in, nil, s.unknownInference(req.Inference)
	}
	if err := s.Namespaces.Refuses(namespace, p); err != nil {
		return in, nil, err
	}
	in.Profile = p
	if name := pod.Spec.SchedulerName; !s.OtherSchedulers && !s.Schedules(name) {
		return in, nil, fmt.Errorf("spec.schedulerName is %q, and only pods of %s are placed by device here: remove it, or allow it with the webhook's flag --scheduler-names or --other-schedulers",
			name, strings.Join(s.Schedulers, ", "))
	}
	target, err := mutate.FindTarget(pod, req, p, in.Known)
	if err != nil {
		return in, nil, err
	}
	if err := mutate.Check(pod, target); err != nil {
		return in, nil, err
	}
	in.Target, in.Late = target, late(pod, target, p)
	if in.Late {
		if err := mutate.FitsLate(pod, target, p); err != nil {
			return in, nil, err
		}
	}

	kinds := req.Kinds
	if req.Any() {
		kinds = p.Kinds()
	}
	own := inventory.ConstraintsOf(&pod.Spec)
	if err := own.Err(); err != nil {
		return in, nil, err
	}
	claims := inventory.VolumeClaimsOf(pod.Spec.Volumes, "")
	planner := mutate.NewPlanner(pod, target, in.Known)
	options := make([]inventory.Option, 0, len(kinds))
	server := !inventory.SpecEnds(&pod.Spec, pod.Metadata.OwnerReferences)
	var incompatible error
	for rank, k := range kinds {
		v := p.Variant(k)
		if v == nil {
			return in, nil, fmt.Errorf("annotation %s names %s, which inference %s has no variant for: it has %s",
				accel.AcceleratorAnnotation, k, p.Name, accel.JoinKinds(p.Kinds()))
		}
		if v = in.VariantOf(k); v.Class == "" && k != accel.CPU && len(v.Devices) == 0 {
			incompatible = cmp.Or(incompatible, s.classOnly(pod, target, p, v))
			continue
		}
		if err := mutate.Compatible(pod, target, v); err != nil {
			incompatible = cmp.Or(incompatible, err)
			continue
		}
		needs := resources.Of(planner.Requests(v))
		if v.Class != "" && k != accel.CPU {
			needs = needs.With(accel.ClassResource(v.Class), 1)
		}
		if n := len(needs.Devices); n > inventory.MaxDevices {
			return in, nil, fmt.Errorf("the pod requests %d kinds of devices, and may request %d: remove those that it does not use", n, inventory.MaxDevices)
		}
		takes, basis := v.Estimate, v.Basis
		if server {
			takes, basis = v.ServerTime, v.ServerBasis
		}
		options = append(options, inventory.Option{
			Kind:         k,
			Rank:         rank,
			Needs:        needs,
			Constraints:  constraints(pod, v, own),
			QuotaUsage:   func() quota.Usage { return quota.UsageOf(mutate.Planned(pod, target, v, in.Known)) },
			VolumeClaims: slices.Concat(claims, inventory.VolumeClaimsOf(v.Spec.Volumes, "")),
			Barred:       s.barred(pod, in, v),
			Service:      takes,
			Hint:         v.ServiceTime,
			Basis:        basis,
			Timed:        v.Learned.Timed(s.now()),
		})
	}
	if len(options) == 0 {
		return in, nil, incompatible
	}
	if !req.Any() {
		prefer(options)
	}
	return in, options, nil
}

// late reports whether a new pod is bound late.
func (s Source) late(pod *mutate.Pod, t mutate.Target, p *profile.Profile) bool {
	b := s.bindingOf(p)
	if b == profile.Early || mutate.FitsLate(pod, t, p) != nil {
		return false
	}
	return b == profile.Late || s.HasClass != nil && !slices.ContainsFunc(p.Late, func(v profile.Variant) bool { return !s.HasClass(v.Class) })
}

// bindingOf is when the accelerator of the pods of a profile is settled.
func (s Source) bindingOf(p *profile.Profile) profile.Binding {
	if s.Binding == "" || s.Binding == profile.Early {
		return profile.Early
	}
	return cmp.Or(p.Binding, s.Binding)
}

// classOnly says why a pod that is bound early cannot have a variant which has nothing
// but a DeviceClass.
func (s Source) classOnly(pod *mutate.Pod, t mutate.Target, p *profile.Profile, v *profile.Variant) error {
	why := mutate.FitsLate(pod, t, p)
	switch b := s.bindingOf(p); {
	case why != nil:
	case b == profile.Auto:
		why = errors.New("not every variant's DeviceClass has devices")
	default:
		why = errors.New("the webhook's --binding or the profile's binding says early")
	}
	return fmt.Errorf("the %s variant of inference %s is for pods that are bound late, as it limits no extended resource, and this one is not: %w", v.Kind, p.Name, why)
}

// barred says why the API server would deny the pod with a variant by the rules of
// its namespace; nil if it would not, as far as is known.
func (s Source) barred(pod *mutate.Pod, in mutate.Input, v *profile.Variant) *inventory.Refusal {
	if !s.Rules.Has(in.Namespace) {
		return nil
	}
	in.Variant = v
	planned, err := mutate.Preview(pod, in)
	if err != nil {
		return nil // Apply returns it
	}
	if why := s.Rules.Refuses(in.Namespace, planned); why != "" {
		return &inventory.Refusal{Reason: why}
	}
	return nil
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
	maps.Copy(selector, v.Spec.Selector())
	return inventory.ConstraintsOf(&corev1.PodSpec{
		NodeSelector: selector,
		Affinity:     pod.Spec.Affinity,
		Tolerations:  slices.Concat(pod.Spec.Tolerations, v.Spec.Tolerations),
	})
}

// known reports whether an extended resource is some profile's accelerator.
func (s Source) known() func(corev1.ResourceName) bool {
	kinds := s.Profiles.ResourceKinds()
	return func(name corev1.ResourceName) bool { return len(kinds[name]) > 0 }
}

// unknownInference names the known ones, a handful of them.
func (s Source) unknownInference(name string) error {
	if missing := s.Profiles.CRD(); errors.Is(missing, profile.ErrNoCRD) {
		return fmt.Errorf("there is no InferenceProfile %q, nor any other: %w", name, missing)
	}
	const limit = 20
	names := s.Profiles.Names()
	if len(names) == 0 {
		return fmt.Errorf("there is no InferenceProfile %q, nor any other: create one first", name)
	}
	list := strings.Join(names[:min(limit, len(names))], ", ")
	if len(names) > limit {
		list += ", … (kubectl get inferenceprofiles lists all)"
	}
	if near := s.Profiles.Nearest(name); near != "" {
		return fmt.Errorf("there is no InferenceProfile %q: did you mean %s? There are %s", name, near, list)
	}
	return fmt.Errorf("there is no InferenceProfile %q: there are %s", name, list)
}

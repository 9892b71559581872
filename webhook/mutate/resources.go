package mutate

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
)

// Planned is pod as far as its resources are concerned if target t got variant
// v; nil when there is no such container. known is as in Input.
func Planned(pod *Pod, t Target, v *profile.Variant, known func(corev1.ResourceName) bool) *corev1.Pod {
	out := *pod
	c := t.detach(&out)
	if c == nil {
		return nil
	}
	c.Resources = resourcesFor(c.Resources, v, known)
	return &corev1.Pod{Spec: out.Spec}
}

// Requests is what a whole planned pod would request: cpu, memory, ephemeral
// storage and devices, init containers, sidecars and overhead counted as the
// scheduler counts them.
func Requests(planned *corev1.Pod) corev1.ResourceList {
	return resourcehelper.PodRequests(planned, resourcehelper.PodResourcesOptions{})
}

// resourcesFor returns r as variant v wants it. The maps of r stay as they are.
//
//   - Every known accelerator resource is taken out, of whatever vendor.
//   - The variant's extended resources stand in limits and requests alike, as
//     Kubernetes demands.
//   - Of the variant's other limits (memory, cpu beside a GPU) each is set
//     where the user limits nothing; a request of the user's stays, and raises
//     that limit to itself. Where the user has neither, it is requested too.
//   - A variant for the CPU: its cpu is the accelerator, so that the container
//     requests at least that much, and its limit, if need be, is raised to
//     what it requests. More that the user asks for stays.
//
// So a request never exceeds its limit when it did not in r. The user's other
// requests and limits stay.
func resourcesFor(r corev1.ResourceRequirements, v *profile.Variant, known func(corev1.ResourceName) bool) corev1.ResourceRequirements {
	limits := make(corev1.ResourceList, len(r.Limits)+len(v.Spec.Limits))
	requests := make(corev1.ResourceList, len(r.Requests)+len(v.Spec.Limits))
	maps.Copy(limits, r.Limits)
	maps.Copy(requests, r.Requests)
	for _, list := range []corev1.ResourceList{limits, requests} {
		for name := range list {
			if known != nil && accel.IsDeviceResource(name) && known(name) {
				delete(list, name)
			}
		}
	}
	for name, amount := range v.Spec.Limits {
		switch {
		case accel.IsDeviceResource(name):
			limits[name], requests[name] = amount, amount
		case name == corev1.ResourceCPU && v.Kind == accel.CPU:
			setFloor(limits, requests, name, amount)
		default:
			setDefault(limits, requests, name, amount)
		}
	}
	r.Limits, r.Requests = limits, requests
	return r
}

// setDefault limits name to amount where nothing limits it yet.
func setDefault(limits, requests corev1.ResourceList, name corev1.ResourceName, amount resource.Quantity) {
	if _, limited := limits[name]; limited {
		return
	}
	limits[name] = amount
	if request, requested := requests[name]; !requested {
		requests[name] = amount
	} else if request.Cmp(amount) > 0 {
		limits[name] = request
	}
}

// setFloor makes the request for name at least amount, and the limit at least
// the request. A limit without a request is one, as for the API server.
func setFloor(limits, requests corev1.ResourceList, name corev1.ResourceName, amount resource.Quantity) {
	limit, limited := limits[name]
	request, requested := requests[name]
	if !requested && limited {
		request, requested = limit, true
	}
	if !requested || request.Cmp(amount) < 0 {
		request = amount
	}
	if !limited || limit.Cmp(request) < 0 {
		limit = request
	}
	limits[name], requests[name] = limit, request
}

// amounts records what became of resource amounts, by name.
type amounts map[corev1.ResourceName]amountChange

// amountChange is an amount before and after, in Kubernetes' canonical form;
// "" where there was none.
type amountChange struct {
	Was string `json:"was,omitempty"`
	Now string `json:"now,omitempty"`
}

// changedAmounts compares two lists; nil when they are the same.
func changedAmounts(was, now corev1.ResourceList) amounts {
	var changed amounts
	note := func(name corev1.ResourceName, c amountChange) {
		if changed == nil {
			changed = amounts{}
		}
		changed[name] = c
	}
	for name, n := range now {
		if w, ok := was[name]; !ok {
			note(name, amountChange{Now: n.String()})
		} else if w.Cmp(n) != 0 {
			note(name, amountChange{Was: w.String(), Now: n.String()})
		}
	}
	for name, w := range was {
		if _, ok := now[name]; !ok {
			note(name, amountChange{Was: w.String()})
		}
	}
	return changed
}

// restore takes the changes back in list, each where the amount is still what
// was written, and returns the result; nil when it is empty.
func (a amounts) restore(list corev1.ResourceList) corev1.ResourceList {
	if len(a) == 0 {
		return list
	}
	out := maps.Clone(list)
	if out == nil {
		out = corev1.ResourceList{}
	}
	for _, name := range slices.Sorted(maps.Keys(a)) {
		c := a[name]
		have := ""
		if q, ok := out[name]; ok {
			have = q.String()
		}
		if have != c.Now {
			continue
		}
		delete(out, name)
		if q, err := resource.ParseQuantity(c.Was); err == nil {
			out[name] = q
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

package mutate

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
)

// Planned is what the resources of pod would be if target t got variant v; nil
// when there is no such container. known is as in Input.
func Planned(pod *Pod, t Target, v *profile.Variant, known func(corev1.ResourceName) bool) *corev1.Pod {
	p := NewPlanner(pod, t, known)
	if p == nil {
		return nil
	}
	return p.Planned(v)
}

// Planner is Planned for one variant of a pod after another.
type Planner struct {
	planned Pod
	whole   corev1.Pod
	// container is the target's in planned, had and podHad what it and the pod have.
	container *corev1.Container
	had       corev1.ResourceRequirements
	podHad    *corev1.ResourceRequirements
	origins   origins
	known     func(corev1.ResourceName) bool
	// has and sum are the maps of the last variant, which the next one's go into.
	has corev1.ResourceRequirements
	sum corev1.ResourceList
}

// NewPlanner returns nil when the pod has no such container.
func NewPlanner(pod *Pod, t Target, known func(corev1.ResourceName) bool) *Planner {
	p := &Planner{planned: *pod, podHad: pod.Spec.Resources, origins: originsOf(pod, t), known: known}
	if p.container = t.detach(&p.planned); p.container == nil {
		return nil
	}
	p.had = p.container.Resources
	p.has = emptyFor(p.had)
	return p
}

// Planned is what the function returns for variant v. It is the Planner's, until the next
// call.
func (p *Planner) Planned(v *profile.Variant) *corev1.Pod {
	clear(p.has.Limits)
	clear(p.has.Requests)
	p.container.Resources = fillResources(p.has, p.had, v, p.origins, p.known)
	p.planned.Spec.Resources = p.podHad
	p.planned.Spec.Resources = defaultedPodResources(&p.planned, podResourcesFor(&p.planned))
	p.whole.Spec = p.planned.Spec
	return &p.whole
}

// Requests is what the whole pod would request with variant v: cpu, memory, ephemeral
// storage and devices, init containers, sidecars and overhead counted as the
// scheduler counts them. It is the Planner's, until the next call.
func (p *Planner) Requests(v *profile.Variant) corev1.ResourceList {
	p.sum = resourcehelper.PodRequests(p.Planned(v), resourcehelper.PodResourcesOptions{Reuse: p.sum})
	return p.sum
}

// resourcesFor returns r as variant v needs it; o says who set the amounts in the
// pod. The maps of r stay as they are.
//
//   - Every known accelerator resource is removed, whatever its vendor.
//   - The variant's extended resources are both limits and requests, as
//     Kubernetes demands.
//   - Each of the variant's other limits (memory, cpu beside a GPU) is set where
//     the user set none; a request of the user's stays, and raises that limit to
//     itself. Where the user set neither, it is requested too. Where the user set
//     an amount for the whole pod, nothing is set.
//   - A variant for the CPU: its cpu is the accelerator, so the container
//     requests at least that much, and its limit is raised to its request if it
//     is lower. If the user asks for more, that stays. Where the whole pod is
//     limited, the container gets no limit of its own.
//   - The variant's amount replaces one that a LimitRange gave the container.
//
// So no request exceeds its limit unless it did in r. The user's other requests
// and limits stay.
//
// A pod that is bound late gets no extended resource of v's, and of cpu a request
// alone, of which there is always one: what a pod waits for can be changed then, but
// nothing added or removed, nor its quality of service.
func resourcesFor(r corev1.ResourceRequirements, v *profile.Variant, o origins, known func(corev1.ResourceName) bool) corev1.ResourceRequirements {
	return fillResources(emptyFor(r), r, v, o, known)
}

// emptyFor has room for what resourcesFor returns for r.
func emptyFor(r corev1.ResourceRequirements) corev1.ResourceRequirements {
	const ofVariant = 3 // such as a device, cpu and memory
	return corev1.ResourceRequirements{
		Limits: make(corev1.ResourceList, len(r.Limits)+ofVariant), Requests: make(corev1.ResourceList, len(r.Requests)+ofVariant),
	}
}

// fillResources is resourcesFor, whose amounts it puts into the empty lists of into.
func fillResources(into, r corev1.ResourceRequirements, v *profile.Variant, o origins, known func(corev1.ResourceName) bool) corev1.ResourceRequirements {
	limits, requests := into.Limits, into.Requests
	maps.Copy(limits, r.Limits)
	maps.Copy(requests, r.Requests)
	for _, list := range []corev1.ResourceList{limits, requests} {
		for name := range list {
			if known != nil && accel.IsDeviceResource(name) && known(name) {
				delete(list, name)
			}
		}
	}
	late := v.Class != ""
	if late {
		requestCPU(limits, requests, v)
	}
	for name, amount := range v.Spec.Limits {
		if late && name == corev1.ResourceCPU {
			continue
		}
		if o.defaultLimits[name] {
			delete(limits, name)
		}
		if o.defaultRequests[name] {
			delete(requests, name)
		}
		switch {
		case accel.IsDeviceResource(name):
			limits[name], requests[name] = amount, amount
		case name == corev1.ResourceCPU && v.Kind == accel.CPU:
			_, own := limits[name]
			setFloor(limits, requests, name, amount)
			if _, limited := o.pod.Limits[name]; limited && !own {
				delete(limits, name)
			}
		case o.forPod(name):
		default:
			setDefault(limits, requests, name, amount)
		}
	}
	r.Limits, r.Requests = limits, requests
	return r
}

// leastCPU weighs as little among the containers of a node as no request does.
var leastCPU = resource.MustParse("1m")

// requestCPU requests v's cpu for a pod that is bound late: at least that for the CPU,
// else where the user requested none. A limit is raised to the request, and none is
// set.
func requestCPU(limits, requests corev1.ResourceList, v *profile.Variant) {
	amount, stated := v.Spec.Limits[corev1.ResourceCPU]
	if !stated {
		amount = leastCPU
	}
	limit, limited := limits[corev1.ResourceCPU]
	request, requested := requests[corev1.ResourceCPU]
	switch {
	case !requested && limited && v.Kind != accel.CPU:
		request = limit
	case !requested && limited:
		request = larger(limit, amount)
	case !requested:
		request = amount
	case v.Kind == accel.CPU:
		request = larger(request, amount)
	}
	requests[corev1.ResourceCPU] = request
	if limited {
		limits[corev1.ResourceCPU] = larger(limit, request)
	}
}

func larger(a, b resource.Quantity) resource.Quantity {
	if a.Cmp(b) < 0 {
		return b
	}
	return a
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

// setFloor raises the request for name to at least amount, and the limit to at
// least the request. A limit without a request counts as a request too, as it
// does for the API server.
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

package admission

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
)

// subject is whatever a LimitRange looks at: a container, or the whole pod.
type subject struct {
	name             string
	requests, limits corev1.ResourceList
	// unknown are resources of which nobody can tell what they will come to.
	unknown map[corev1.ResourceName]bool
	// given are resources of which a LimitRange, by name, gave an amount.
	given map[corev1.ResourceName]string
	// by is the container in the pod.
	by *corev1.Container
}

// filled are the pod's containers, then its init containers, with what is
// missing filled in: by the API server a request that is the limit, then by the
// LimitRanges their defaults. Of several LimitRanges that would give different
// amounts the first one read gives its own, and which that is nobody knows.
func filled(ranges []*LimitRange, pod *corev1.Pod) []subject {
	subjects := make([]subject, 0, len(pod.Spec.Containers)+len(pod.Spec.InitContainers))
	for _, containers := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range containers {
			c := &containers[i]
			s := subject{name: c.Name, requests: maps.Clone(c.Resources.Requests), limits: maps.Clone(c.Resources.Limits), by: c}
			if s.requests == nil {
				s.requests = corev1.ResourceList{}
			}
			if s.limits == nil {
				s.limits = corev1.ResourceList{}
			}
			for name, limit := range s.limits {
				if _, ok := s.requests[name]; !ok {
					s.requests[name] = limit
				}
			}
			s.fill(s.limits, ranges, func(i *corev1.LimitRangeItem) corev1.ResourceList { return i.Default })
			s.fill(s.requests, ranges, func(i *corev1.LimitRangeItem) corev1.ResourceList { return i.DefaultRequest })
			subjects = append(subjects, s)
		}
	}
	return subjects
}

// fill adds to a list of the subject what is missing in it and has a default.
func (s *subject) fill(list corev1.ResourceList, ranges []*LimitRange, defaults func(*corev1.LimitRangeItem) corev1.ResourceList) {
	missing := map[corev1.ResourceName]resource.Quantity{}
	for _, l := range ranges {
		for i := range l.items {
			if l.items[i].Type != corev1.LimitTypeContainer {
				continue
			}
			for name, q := range defaults(&l.items[i]) {
				if _, has := list[name]; has {
					continue
				}
				if other, disputed := missing[name]; disputed && other.Cmp(q) != 0 {
					note(&s.unknown, name, true)
				}
				missing[name] = q
				note(&s.given, name, l.Name)
			}
		}
	}
	maps.Copy(list, missing)
}

func note[V any](m *map[corev1.ResourceName]V, name corev1.ResourceName, v V) {
	if *m == nil {
		*m = map[corev1.ResourceName]V{}
	}
	(*m)[name] = v
}

// contradiction says where a default leaves the container with a request and a
// limit that the API server finds invalid together; "" for nowhere.
func (s *subject) contradiction() string {
	for _, name := range slices.Sorted(maps.Keys(s.given)) {
		request, limit := amount(s.requests, name), amount(s.limits, name)
		if s.unknown[name] || request == nil {
			continue
		}
		wrong := ""
		switch {
		case limit == nil && !overcommits(name):
			wrong = "needs a limit as well"
		case limit == nil:
		case !overcommits(name) && request.Cmp(*limit) != 0:
			wrong = fmt.Sprintf("must be equal to its limit of %s", limit)
		case request.Cmp(*limit) > 0:
			wrong = fmt.Sprintf("must be less than or equal to its limit of %s", limit)
		}
		if wrong != "" {
			return fmt.Sprintf("LimitRange %s: with its default, the %s request of container %s is %s, which %s", s.given[name], name, s.name, request, wrong)
		}
	}
	return ""
}

// overcommits reports whether a container may be limited to more of a resource
// than it requests: not so of extended resources and huge pages.
func overcommits(name corev1.ResourceName) bool {
	return !strings.Contains(string(name), "/") && !strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// wholePod is what the containers come to for a LimitRange: overhead does not
// count, and what the pod sets for itself goes before the sum.
func wholePod(containers []subject, pod *corev1.Pod) subject {
	sum := &corev1.Pod{}
	s := subject{}
	for i, c := range containers {
		for name := range c.unknown {
			note(&s.unknown, name, true)
		}
		counted := corev1.Container{Resources: corev1.ResourceRequirements{Requests: c.requests, Limits: c.limits}, RestartPolicy: c.by.RestartPolicy}
		if i < len(pod.Spec.Containers) {
			sum.Spec.Containers = append(sum.Spec.Containers, counted)
		} else {
			sum.Spec.InitContainers = append(sum.Spec.InitContainers, counted)
		}
	}
	s.requests = resourcehelper.PodRequests(sum, resourcehelper.PodResourcesOptions{ExcludeOverhead: true})
	s.limits = resourcehelper.PodLimits(sum, resourcehelper.PodResourcesOptions{ExcludeOverhead: true})
	own := pod.Spec.Resources
	if own == nil {
		return s
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		request, limit := amount(own.Requests, name), amount(own.Limits, name)
		if request != nil {
			s.requests[name] = *request
		}
		if limit != nil {
			s.limits[name] = *limit
			if request == nil { // whether it is filled in before or after depends on a feature gate
				note(&s.unknown, name, true)
			}
		}
	}
	return s
}

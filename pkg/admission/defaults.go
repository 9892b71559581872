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

// subject is what a LimitRange limits: a container, or the whole pod.
type subject struct {
	name             string
	requests, limits corev1.ResourceList
	// unknown are resources whose amounts cannot be predicted.
	unknown map[corev1.ResourceName]bool
	// defaulted maps resources to the name of the LimitRange that set a default.
	defaulted map[corev1.ResourceName]string
	// container is the subject in the pod, nil for the whole pod.
	container *corev1.Container
}

// withDefaults are the pod's containers, then its init containers, with defaults
// filled in: first the API server's, a request equal to the limit, then those of
// the LimitRanges. Where several LimitRanges have different defaults the one read
// first wins, and which one that is cannot be known.
func withDefaults(ranges []*LimitRange, pod *corev1.Pod) []subject {
	subjects := make([]subject, 0, len(pod.Spec.Containers)+len(pod.Spec.InitContainers))
	for _, containers := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range containers {
			c := &containers[i]
			s := subject{name: c.Name, requests: maps.Clone(c.Resources.Requests), limits: maps.Clone(c.Resources.Limits), container: c}
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

// fill adds the defaults of resources that a list of the subject does not have.
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
					setIn(&s.unknown, name, true)
				}
				missing[name] = q
				setIn(&s.defaulted, name, l.Name)
			}
		}
	}
	maps.Copy(list, missing)
}

func setIn[V any](m *map[corev1.ResourceName]V, name corev1.ResourceName, v V) {
	if *m == nil {
		*m = map[corev1.ResourceName]V{}
	}
	(*m)[name] = v
}

// contradiction says where a default makes a container's request and limit invalid
// together; "" for nowhere.
func (s *subject) contradiction() string {
	for _, name := range slices.Sorted(maps.Keys(s.defaulted)) {
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
			return fmt.Sprintf("LimitRange %s: with its default, the %s request of container %s is %s, which %s", s.defaulted[name], name, s.name, request, wrong)
		}
	}
	return ""
}

// overcommits reports whether a container's limit of a resource may be above its
// request: not for extended resources and huge pages.
func overcommits(name corev1.ResourceName) bool {
	return !strings.Contains(string(name), "/") && !strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// wholePod is the sum of the containers for a LimitRange: without overhead, and
// overridden by what the pod sets at pod level.
func wholePod(containers []subject, pod *corev1.Pod) subject {
	sum := &corev1.Pod{}
	s := subject{}
	for i, c := range containers {
		for name := range c.unknown {
			setIn(&s.unknown, name, true)
		}
		counted := corev1.Container{Resources: corev1.ResourceRequirements{Requests: c.requests, Limits: c.limits}, RestartPolicy: c.container.RestartPolicy}
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
			if request == nil { // a feature gate decides whether it is defaulted before or after
				setIn(&s.unknown, name, true)
			}
		}
	}
	return s
}

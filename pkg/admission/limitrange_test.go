package admission

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// list is a ResourceList of name, amount, name, amount, …
func list(pairs ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return l
}

type itemOption func(*corev1.LimitRangeItem)

func least(pairs ...string) itemOption {
	return func(i *corev1.LimitRangeItem) { i.Min = list(pairs...) }
}

func most(pairs ...string) itemOption {
	return func(i *corev1.LimitRangeItem) { i.Max = list(pairs...) }
}

func ratio(pairs ...string) itemOption {
	return func(i *corev1.LimitRangeItem) { i.MaxLimitRequestRatio = list(pairs...) }
}

func defaults(pairs ...string) itemOption {
	return func(i *corev1.LimitRangeItem) { i.Default = list(pairs...) }
}

func defaultRequests(pairs ...string) itemOption {
	return func(i *corev1.LimitRangeItem) { i.DefaultRequest = list(pairs...) }
}

func item(of corev1.LimitType, options ...itemOption) corev1.LimitRangeItem {
	i := corev1.LimitRangeItem{Type: of}
	for _, o := range options {
		o(&i)
	}
	return i
}

func perContainer(options ...itemOption) corev1.LimitRangeItem {
	return item(corev1.LimitTypeContainer, options...)
}

func perPod(options ...itemOption) corev1.LimitRangeItem {
	return item(corev1.LimitTypePod, options...)
}

func limitRange(name string, items ...corev1.LimitRangeItem) *LimitRange {
	return LimitRangeOf(&corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name},
		Spec:       corev1.LimitRangeSpec{Limits: items},
	})
}

type podOption func(*corev1.Pod)

// aPod has one container, main, which requests nothing.
func aPod(options ...podOption) *corev1.Pod {
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main"}}}}
	for _, o := range options {
		o(p)
	}
	return p
}

func asks(requests, limits corev1.ResourceList) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: requests, Limits: limits}
	}
}

func beside(requests, limits corev1.ResourceList) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "beside", Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits}})
	}
}

func first(requests, limits corev1.ResourceList, change ...func(*corev1.Container)) podOption {
	return func(p *corev1.Pod) {
		c := corev1.Container{Name: "first", Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits}}
		for _, f := range change {
			f(&c)
		}
		p.Spec.InitContainers = append(p.Spec.InitContainers, c)
	}
}

func sidecar(c *corev1.Container) { c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways) }

func inAll(requests, limits corev1.ResourceList) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Resources = &corev1.ResourceRequirements{Requests: requests, Limits: limits}
	}
}

func overhead(pairs ...string) podOption {
	return func(p *corev1.Pod) { p.Spec.Overhead = list(pairs...) }
}

// TestLimitRanges checks a pod against the LimitRanges of a namespace. Items are as
// the API server returns them, with their own defaults set where these matter.
func TestLimitRanges(t *testing.T) {
	both := func(pairs ...string) podOption { return asks(list(pairs...), list(pairs...)) }
	everybody := limitRange("everybody", perContainer(
		defaults("cpu", "500m", "memory", "256Mi"), defaultRequests("cpu", "100m", "memory", "128Mi"), most("cpu", "1", "memory", "4Gi"),
	))
	tests := map[string]struct {
		ranges []*LimitRange
		pod    *corev1.Pod
		want   string
	}{
		"no LimitRange":             {nil, aPod(both("cpu", "64")), ""},
		"defaults alone":            {[]*LimitRange{everybody}, aPod(), ""},
		"variant above the maximum": {[]*LimitRange{everybody}, aPod(both("cpu", "2")), "LimitRange everybody: maximum cpu usage per Container is 1, but limit is 2"},
		"at the maximum":            {[]*LimitRange{everybody}, aPod(both("cpu", "1", "memory", "4Gi")), ""},
		"request above a maximum":   {[]*LimitRange{limitRange("l", perContainer(most("cpu", "1")))}, aPod(asks(list("cpu", "1500m"), list("cpu", "1"))), "LimitRange l: maximum cpu usage per Container is 1, but request is 1500m"},
		"no limit under a maximum":  {[]*LimitRange{limitRange("l", perContainer(most("cpu", "1")))}, aPod(), "LimitRange l: maximum cpu usage per Container is 1.  No limit is specified"},
		"below the minimum":         {[]*LimitRange{limitRange("l", perContainer(least("memory", "64Mi")))}, aPod(both("memory", "32Mi")), "LimitRange l: minimum memory usage per Container is 64Mi, but request is 32Mi"},
		"limit below the minimum":   {[]*LimitRange{limitRange("l", perContainer(least("memory", "64Mi")))}, aPod(asks(list("memory", "64Mi"), list("memory", "32Mi"))), "LimitRange l: minimum memory usage per Container is 64Mi, but limit is 32Mi"},
		"no request for a minimum":  {[]*LimitRange{limitRange("l", perContainer(least("memory", "64Mi")))}, aPod(), "LimitRange l: minimum memory usage per Container is 64Mi.  No request is specified"},
		"a limit is a request":      {[]*LimitRange{limitRange("l", perContainer(least("memory", "64Mi")))}, aPod(asks(nil, list("memory", "64Mi"))), ""},
		"ratio":                     {[]*LimitRange{limitRange("l", perContainer(ratio("cpu", "2")))}, aPod(asks(list("cpu", "500m"), list("cpu", "1500m"))), "LimitRange l: cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000"},
		"ratio kept":                {[]*LimitRange{limitRange("l", perContainer(ratio("cpu", "2500m")))}, aPod(asks(list("cpu", "400m"), list("cpu", "1"))), ""},
		"ratio of nothing":          {[]*LimitRange{limitRange("l", perContainer(ratio("cpu", "2")))}, aPod(), "LimitRange l: cpu max limit to request ratio per Container is 2, but no request is specified or request is 0"},
		"ratio without a limit":     {[]*LimitRange{limitRange("l", perContainer(ratio("cpu", "2")))}, aPod(asks(list("cpu", "1"), nil)), "LimitRange l: cpu max limit to request ratio per Container is 2, but no limit is specified or limit is 0"},
		"a device":                  {[]*LimitRange{limitRange("l", perContainer(most("gpu.intel.com/i915", "1")))}, aPod(both("gpu.intel.com/i915", "2")), "LimitRange l: maximum gpu.intel.com/i915 usage per Container is 1, but limit is 2"},
		"the second container":      {[]*LimitRange{everybody}, aPod(beside(nil, list("cpu", "2"))), "LimitRange everybody: maximum cpu usage per Container is 1, but limit is 2"},
		"an init container":         {[]*LimitRange{everybody}, aPod(first(nil, list("cpu", "2"))), "LimitRange everybody: maximum cpu usage per Container is 1, but limit is 2"},
		"the second LimitRange": {
			[]*LimitRange{everybody, limitRange("strict", perContainer(least("memory", "1Gi")))}, aPod(),
			"LimitRange strict: minimum memory usage per Container is 1Gi, but request is 128Mi",
		},
		"of claims alone": {[]*LimitRange{limitRange("l", item(corev1.LimitTypePersistentVolumeClaim, most("storage", "1Gi")))}, aPod(), ""},

		"whole pod": {[]*LimitRange{limitRange("l", perPod(most("cpu", "2")))}, aPod(both("cpu", "1"), beside(nil, list("cpu", "1500m"))), "LimitRange l: maximum cpu usage per Pod is 2, but limit is 2500m"},
		"whole pod, init containers come before the others": {
			[]*LimitRange{limitRange("l", perPod(most("cpu", "2")))}, aPod(both("cpu", "1"), first(nil, list("cpu", "2"))), "",
		},
		"whole pod, sidecars run beside the others": {
			[]*LimitRange{limitRange("l", perPod(most("cpu", "2")))}, aPod(both("cpu", "1"), first(nil, list("cpu", "1500m"), sidecar)), "LimitRange l: maximum cpu usage per Pod is 2, but limit is 2500m",
		},
		"whole pod, an init container beside a sidecar": {
			[]*LimitRange{limitRange("l", perPod(most("cpu", "2")))}, aPod(first(nil, list("cpu", "1"), sidecar), first(nil, list("cpu", "1500m"))), "LimitRange l: maximum cpu usage per Pod is 2, but limit is 2500m",
		},
		"whole pod, overhead does not count": {[]*LimitRange{limitRange("l", perPod(most("cpu", "2")))}, aPod(both("cpu", "2"), overhead("cpu", "1")), ""},
		"whole pod, minimum":                 {[]*LimitRange{limitRange("l", perPod(least("cpu", "2")))}, aPod(both("cpu", "1")), "LimitRange l: minimum cpu usage per Pod is 2, but request is 1"},
		"whole pod, defaults count": {
			[]*LimitRange{limitRange("l", perContainer(defaults("cpu", "1"), defaultRequests("cpu", "1")), perPod(most("cpu", "1")))}, aPod(beside(nil, nil)),
			"LimitRange l: maximum cpu usage per Pod is 1, but limit is 2",
		},
		"pod-level resources override the sum": {
			[]*LimitRange{limitRange("l", perPod(most("cpu", "2")))}, aPod(both("cpu", "1"), inAll(list("cpu", "3"), list("cpu", "3"))), "LimitRange l: maximum cpu usage per Pod is 2, but limit is 3",
		},
		"pod-level limits without a request may get one first": {
			[]*LimitRange{limitRange("l", perPod(ratio("cpu", "1")))}, aPod(asks(list("cpu", "1"), nil), inAll(nil, list("cpu", "3"))), "",
		},
		"pod-level resources of no container": {
			[]*LimitRange{limitRange("l", perContainer(most("cpu", "2")))}, aPod(both("cpu", "1"), inAll(list("cpu", "3"), list("cpu", "3"))), "",
		},

		"defaults that contradict the pod": {
			[]*LimitRange{limitRange("l", perContainer(defaults("memory", "256Mi"), defaultRequests("memory", "256Mi")))}, aPod(asks(list("memory", "1Gi"), nil)),
			"LimitRange l: with its default, the memory request of container main is 1Gi, which must be less than or equal to its limit of 256Mi",
		},
		"defaults that contradict the pod are checked before limits": {
			[]*LimitRange{limitRange("l", perContainer(defaults("memory", "256Mi"), defaultRequests("memory", "256Mi"), most("cpu", "1")))}, aPod(asks(list("memory", "1Gi"), list("cpu", "2"))),
			"LimitRange l: with its default, the memory request of container main is 1Gi, which must be less than or equal to its limit of 256Mi",
		},
		"a device requested by default, without a limit": {
			[]*LimitRange{limitRange("l", perContainer(defaultRequests("gpu.intel.com/i915", "1")))}, aPod(),
			"LimitRange l: with its default, the gpu.intel.com/i915 request of container main is 1, which needs a limit as well",
		},
		"fewer devices requested than there are by default": {
			[]*LimitRange{limitRange("l", perContainer(defaults("gpu.intel.com/i915", "2"), defaultRequests("gpu.intel.com/i915", "1")))}, aPod(),
			"LimitRange l: with its default, the gpu.intel.com/i915 request of container main is 1, which must be equal to its limit of 2",
		},
		"defaults in dispute": {
			[]*LimitRange{limitRange("a", perContainer(defaults("cpu", "2"), defaultRequests("cpu", "2"))), limitRange("b", perContainer(defaults("cpu", "1"), defaultRequests("cpu", "1"), most("cpu", "1")))},
			aPod(), "",
		},
		"defaults in dispute, of no concern": {
			[]*LimitRange{limitRange("a", perContainer(defaults("cpu", "2"), defaultRequests("cpu", "2"))), limitRange("b", perContainer(defaults("cpu", "1"), defaultRequests("cpu", "1"), most("cpu", "1")))},
			aPod(both("cpu", "3")), "LimitRange b: maximum cpu usage per Container is 1, but limit is 3",
		},
		"defaults in dispute, whole pod": {
			[]*LimitRange{limitRange("a", perContainer(defaults("cpu", "2"), defaultRequests("cpu", "2")), perPod(most("cpu", "1"))), limitRange("b", perContainer(defaults("cpu", "1"), defaultRequests("cpu", "1")))},
			aPod(), "",
		},
		"defaults that agree": {
			[]*LimitRange{limitRange("a", perContainer(defaults("cpu", "2"), defaultRequests("cpu", "2"))), limitRange("b", perContainer(defaults("cpu", "2"), defaultRequests("cpu", "2"), most("cpu", "1")))},
			aPod(), "LimitRange b: maximum cpu usage per Container is 1, but limit is 2",
		},

		"less than a thousandth above":      {[]*LimitRange{limitRange("l", perContainer(most("cpu", "1")))}, aPod(both("cpu", "1000100u")), "LimitRange l: maximum cpu usage per Container is 1, but limit is 1000100u"},
		"too large for thousandths":         {[]*LimitRange{limitRange("l", perContainer(most("memory", "16Pi")))}, aPod(both("memory", "17Pi")), "LimitRange l: maximum memory usage per Container is 16Pi, but limit is 17Pi"},
		"too large for thousandths, but ok": {[]*LimitRange{limitRange("l", perContainer(most("memory", "16Pi")))}, aPod(both("memory", "1Gi")), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before := tt.pod.DeepCopy()
			if diff := cmp.Diff(tt.want, limitRangeRefusal(tt.ranges, tt.pod)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, tt.pod); diff != "" {
				t.Errorf("the pod was changed (-before +after):\n%s", diff)
			}
		})
	}
}

package quota

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/resources"
)

const (
	gpu = "gpu.intel.com/i915"
	npu = "npu.intel.com/accel"
	gi  = 1 << 30
)

// quotaOf is a quota of the namespace default as its status has it.
func quotaOf(name string, hard, used map[string]string, scopes ...corev1.ResourceQuotaScope) *Quota {
	q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	q.Spec.Scopes = scopes
	q.Status.Hard, q.Status.Used = amounts(hard), amounts(used)
	return Of(q)
}

func amounts(from map[string]string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for name, amount := range from {
		list[corev1.ResourceName(name)] = resource.MustParse(amount)
	}
	return list
}

func (q *Quota) selecting(scope corev1.ResourceQuotaScope, op corev1.ScopeSelectorOperator, values ...string) *Quota {
	q.Scopes = append(q.Scopes, Scope{scope, op, values})
	return q
}

func TestRefuses(t *testing.T) {
	onGPU := resources.Amounts{CPU: 500, Memory: gi, Devices: []resources.Devices{{Resource: gpu, Count: 2}}}
	urgent := Usage{PriorityClass: "urgent"}
	const byClass = corev1.ResourceQuotaScopePriorityClass
	none := map[string]string{"cpu": "0"}
	for name, c := range map[string]struct {
		quota   *Quota
		counted int64 // of its first amount
		usage   Usage
		want    string // "" when it has room
	}{
		"room":                     {quota: quotaOf("q", map[string]string{"requests." + gpu: "4"}, map[string]string{"requests." + gpu: "2"})},
		"used up":                  {quota: quotaOf("q", map[string]string{"requests." + gpu: "4"}, map[string]string{"requests." + gpu: "4"}), want: "quota q has 0 of 4 requests.gpu.intel.com/i915 left"},
		"not enough left":          {quota: quotaOf("q", map[string]string{"requests." + gpu: "4"}, map[string]string{"requests." + gpu: "3"}), want: "quota q has 1 of 4 requests.gpu.intel.com/i915 left, it needs 2"},
		"known to be used":         {quota: quotaOf("q", map[string]string{"requests." + gpu: "4"}, nil), counted: 3, want: "quota q has 1 of 4 requests.gpu.intel.com/i915 left, it needs 2"},
		"lowered below what is":    {quota: quotaOf("q", map[string]string{"requests." + gpu: "1"}, map[string]string{"requests." + gpu: "3"}), want: "quota q has 0 of 1 requests.gpu.intel.com/i915 left"},
		"of another device":        {quota: quotaOf("q", map[string]string{"requests." + npu: "0"}, map[string]string{"requests." + npu: "3"})},
		"of what kinds share":      {quota: quotaOf("q", map[string]string{"pods": "0", "requests.storage": "0", "configmaps": "0"}, nil)},
		"cpu":                      {quota: quotaOf("q", map[string]string{"cpu": "1"}, map[string]string{"cpu": "600m"}), want: "quota q has 400m of 1 cpu left, it needs 500m"},
		"requests.cpu":             {quota: quotaOf("q", map[string]string{"requests.cpu": "1"}, map[string]string{"requests.cpu": "500m"})},
		"memory":                   {quota: quotaOf("q", map[string]string{"memory": "1Gi"}, map[string]string{"memory": "512Mi"}), want: "quota q has 512Mi of 1Gi memory left, it needs 1Gi"},
		"requests.memory":          {quota: quotaOf("q", map[string]string{"requests.memory": "1Gi"}, map[string]string{"requests.memory": "1"}), want: "quota q has 1073741823 of 1Gi requests.memory left, it needs 1Gi"},
		"limits.cpu":               {quota: quotaOf("q", map[string]string{"limits.cpu": "2"}, map[string]string{"limits.cpu": "1"}), usage: Usage{LimitCPU: 1500}, want: "quota q has 1 of 2 limits.cpu left, it needs 1500m"},
		"limits.memory":            {quota: quotaOf("q", map[string]string{"limits.memory": "2Gi"}, nil), usage: Usage{LimitMemory: 3 * gi}, want: "quota q has 2Gi of 2Gi limits.memory left, it needs 3Gi"},
		"limits.ephemeral-storage": {quota: quotaOf("q", map[string]string{"limits.ephemeral-storage": "2Gi"}, nil), usage: Usage{LimitStorage: 3 * gi}, want: "quota q has 2Gi of 2Gi limits.ephemeral-storage left, it needs 3Gi"},
		"no limit set":             {quota: quotaOf("q", map[string]string{"limits.cpu": "9"}, nil), usage: Usage{Unset: UnsetLimitCPU}, want: "quota q demands that every container sets limits.cpu"},
		"no request set":           {quota: quotaOf("q", map[string]string{"requests.memory": "9Gi"}, nil), usage: Usage{Unset: UnsetMemory}, want: "quota q demands that every container sets requests.memory"},
		"unset, not demanded":      {quota: quotaOf("q", map[string]string{"limits.memory": "9Gi"}, nil), usage: Usage{Unset: UnsetLimitCPU | UnsetMemory | UnsetCPU}},

		"terminating":                   {quota: quotaOf("q", none, nil, corev1.ResourceQuotaScopeTerminating)},
		"terminating, and it does":      {quota: quotaOf("q", none, nil, corev1.ResourceQuotaScopeTerminating), usage: Usage{Terminating: true}, want: "quota q has 0 of 0 cpu left"},
		"not terminating":               {quota: quotaOf("q", none, nil, corev1.ResourceQuotaScopeNotTerminating), want: "quota q has 0 of 0 cpu left"},
		"not terminating, but it does":  {quota: quotaOf("q", none, nil, corev1.ResourceQuotaScopeNotTerminating), usage: Usage{Terminating: true}},
		"best effort":                   {quota: quotaOf("q", none, nil, corev1.ResourceQuotaScopeBestEffort)},
		"not best effort":               {quota: quotaOf("q", none, nil, corev1.ResourceQuotaScopeNotBestEffort), want: "quota q has 0 of 0 cpu left"},
		"two scopes, one matches":       {quota: quotaOf("q", none, nil, corev1.ResourceQuotaScopeNotBestEffort, corev1.ResourceQuotaScopeTerminating)},
		"any class, it has none":        {quota: quotaOf("q", none, nil, byClass)},
		"any class":                     {quota: quotaOf("q", none, nil, byClass), usage: urgent, want: "quota q has 0 of 0 cpu left"},
		"no class":                      {quota: quotaOf("q", none, nil).selecting(byClass, corev1.ScopeSelectorOpDoesNotExist), want: "quota q has 0 of 0 cpu left"},
		"no class, it has one":          {quota: quotaOf("q", none, nil).selecting(byClass, corev1.ScopeSelectorOpDoesNotExist), usage: urgent},
		"one of the classes":            {quota: quotaOf("q", none, nil).selecting(byClass, corev1.ScopeSelectorOpIn, "low", "urgent"), usage: urgent, want: "quota q has 0 of 0 cpu left"},
		"of other classes":              {quota: quotaOf("q", none, nil).selecting(byClass, corev1.ScopeSelectorOpIn, "low"), usage: urgent},
		"none of the classes":           {quota: quotaOf("q", none, nil).selecting(byClass, corev1.ScopeSelectorOpNotIn, "low"), usage: urgent, want: "quota q has 0 of 0 cpu left"},
		"none of the classes, nor any":  {quota: quotaOf("q", none, nil).selecting(byClass, corev1.ScopeSelectorOpNotIn, "low"), want: "quota q has 0 of 0 cpu left"},
		"not one of the classes, it is": {quota: quotaOf("q", none, nil).selecting(byClass, corev1.ScopeSelectorOpNotIn, "urgent"), usage: urgent},
		"affinity across namespaces":    {quota: quotaOf("q", none, nil, corev1.ResourceQuotaScopeCrossNamespacePodAffinity)},
	} {
		t.Run(name, func(t *testing.T) {
			counted := make([]int64, len(c.quota.Amounts))
			if c.counted > 0 {
				counted[0] = c.counted
			}
			got := ""
			if r := c.quota.refuses(counted, nil, onGPU, &c.usage); r != nil {
				got = r.String()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestUsageOf(t *testing.T) {
	list := func(pairs ...string) corev1.ResourceList {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return amounts(m)
	}
	container := func(requests, limits corev1.ResourceList) corev1.Container {
		return corev1.Container{Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits}}
	}
	for name, c := range map[string]struct {
		spec corev1.PodSpec
		want Usage
	}{
		"a device alone": {
			corev1.PodSpec{Containers: []corev1.Container{container(list(gpu, "1"), list(gpu, "1"))}},
			Usage{Unset: UnsetCPU | UnsetMemory | UnsetLimitCPU | UnsetLimitMemory, BestEffort: true},
		},
		"limits stand in for requests": {
			corev1.PodSpec{Containers: []corev1.Container{container(nil, list("cpu", "2", "memory", "1Gi"))}},
			Usage{LimitCPU: 2000, LimitMemory: gi},
		},
		"requests alone": {
			corev1.PodSpec{Containers: []corev1.Container{container(list("cpu", "2", "memory", "1Gi"), nil)}},
			Usage{Unset: UnsetLimitCPU | UnsetLimitMemory},
		},
		"a side-car that says nothing": {
			corev1.PodSpec{Containers: []corev1.Container{container(nil, list("cpu", "2", "ephemeral-storage", "1Gi")), {}}},
			Usage{LimitCPU: 2000, LimitStorage: gi, Unset: UnsetCPU | UnsetMemory | UnsetLimitCPU | UnsetLimitMemory},
		},
		"the larger of init and the rest": {
			corev1.PodSpec{
				InitContainers: []corev1.Container{container(nil, list("cpu", "3", "memory", "1Gi"))},
				Containers:     []corev1.Container{container(nil, list("cpu", "1", "memory", "1Gi")), container(nil, list("cpu", "1", "memory", "1Gi"))},
			},
			Usage{LimitCPU: 3000, LimitMemory: 2 * gi},
		},
		"nothing of nothing": {
			corev1.PodSpec{Containers: []corev1.Container{container(list("cpu", "0", "memory", "0"), list("cpu", "0", "memory", "0"))}},
			Usage{BestEffort: true},
		},
		"of the whole pod": {
			corev1.PodSpec{
				Containers: []corev1.Container{{}},
				Resources:  &corev1.ResourceRequirements{Limits: list("cpu", "1", "memory", "1Gi")},
			},
			Usage{LimitCPU: 1000, LimitMemory: gi},
		},
		"a deadline and a class": {
			corev1.PodSpec{ActiveDeadlineSeconds: new(int64(0)), PriorityClassName: "urgent"},
			Usage{BestEffort: true, Terminating: true, PriorityClass: "urgent"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, UsageOf(&corev1.Pod{Spec: c.spec})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

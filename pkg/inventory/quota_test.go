package inventory

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/resources"
)

// quotaOf is a quota of the namespace default as its status has it.
func quotaOf(name string, hard, used map[string]string, scopes ...corev1.ResourceQuotaScope) *Quota {
	q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	q.Spec.Scopes = scopes
	q.Status.Hard, q.Status.Used = amounts(hard), amounts(used)
	return QuotaOf(q)
}

func amounts(from map[string]string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for name, amount := range from {
		list[corev1.ResourceName(name)] = resource.MustParse(amount)
	}
	return list
}

func oneGPU(used string) *Quota {
	return quotaOf("gpus", map[string]string{"requests." + gpu: "1"}, map[string]string{"requests." + gpu: used})
}

func (q *Quota) selecting(scope corev1.ResourceQuotaScope, op corev1.ScopeSelectorOperator, values ...string) *Quota {
	q.Scopes = append(q.Scopes, Scope{scope, op, values})
	return q
}

func TestQuotaRefuses(t *testing.T) {
	onGPU := resources.Amounts{CPU: 500, Memory: gi, Devices: []resources.Devices{{gpu, 2}}}
	urgent := Charge{PriorityClass: "urgent"}
	const byClass = corev1.ResourceQuotaScopePriorityClass
	none := map[string]string{"cpu": "0"}
	for name, c := range map[string]struct {
		quota   *Quota
		counted int64 // of its first amount
		charge  Charge
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
		"limits.cpu":               {quota: quotaOf("q", map[string]string{"limits.cpu": "2"}, map[string]string{"limits.cpu": "1"}), charge: Charge{LimitCPU: 1500}, want: "quota q has 1 of 2 limits.cpu left, it needs 1500m"},
		"limits.memory":            {quota: quotaOf("q", map[string]string{"limits.memory": "2Gi"}, nil), charge: Charge{LimitMemory: 3 * gi}, want: "quota q has 2Gi of 2Gi limits.memory left, it needs 3Gi"},
		"limits.ephemeral-storage": {quota: quotaOf("q", map[string]string{"limits.ephemeral-storage": "2Gi"}, nil), charge: Charge{LimitStorage: 3 * gi}, want: "quota q has 2Gi of 2Gi limits.ephemeral-storage left, it needs 3Gi"},
		"no limit set":             {quota: quotaOf("q", map[string]string{"limits.cpu": "9"}, nil), charge: Charge{Unset: unsetLimitCPU}, want: "quota q demands that every container sets limits.cpu"},
		"no request set":           {quota: quotaOf("q", map[string]string{"requests.memory": "9Gi"}, nil), charge: Charge{Unset: unsetMemory}, want: "quota q demands that every container sets requests.memory"},
		"unset, not demanded":      {quota: quotaOf("q", map[string]string{"limits.memory": "9Gi"}, nil), charge: Charge{Unset: unsetLimitCPU | unsetMemory | unsetCPU}},

		"terminating":                   {quota: quotaOf("q", none, nil, corev1.ResourceQuotaScopeTerminating)},
		"terminating, and it does":      {quota: quotaOf("q", none, nil, corev1.ResourceQuotaScopeTerminating), charge: Charge{Terminating: true}, want: "quota q has 0 of 0 cpu left"},
		"not terminating":               {quota: quotaOf("q", none, nil, corev1.ResourceQuotaScopeNotTerminating), want: "quota q has 0 of 0 cpu left"},
		"not terminating, but it does":  {quota: quotaOf("q", none, nil, corev1.ResourceQuotaScopeNotTerminating), charge: Charge{Terminating: true}},
		"best effort":                   {quota: quotaOf("q", none, nil, corev1.ResourceQuotaScopeBestEffort)},
		"not best effort":               {quota: quotaOf("q", none, nil, corev1.ResourceQuotaScopeNotBestEffort), want: "quota q has 0 of 0 cpu left"},
		"two scopes, one matches":       {quota: quotaOf("q", none, nil, corev1.ResourceQuotaScopeNotBestEffort, corev1.ResourceQuotaScopeTerminating)},
		"any class, it has none":        {quota: quotaOf("q", none, nil, byClass)},
		"any class":                     {quota: quotaOf("q", none, nil, byClass), charge: urgent, want: "quota q has 0 of 0 cpu left"},
		"no class":                      {quota: quotaOf("q", none, nil).selecting(byClass, corev1.ScopeSelectorOpDoesNotExist), want: "quota q has 0 of 0 cpu left"},
		"no class, it has one":          {quota: quotaOf("q", none, nil).selecting(byClass, corev1.ScopeSelectorOpDoesNotExist), charge: urgent},
		"one of the classes":            {quota: quotaOf("q", none, nil).selecting(byClass, corev1.ScopeSelectorOpIn, "low", "urgent"), charge: urgent, want: "quota q has 0 of 0 cpu left"},
		"of other classes":              {quota: quotaOf("q", none, nil).selecting(byClass, corev1.ScopeSelectorOpIn, "low"), charge: urgent},
		"none of the classes":           {quota: quotaOf("q", none, nil).selecting(byClass, corev1.ScopeSelectorOpNotIn, "low"), charge: urgent, want: "quota q has 0 of 0 cpu left"},
		"none of the classes, nor any":  {quota: quotaOf("q", none, nil).selecting(byClass, corev1.ScopeSelectorOpNotIn, "low"), want: "quota q has 0 of 0 cpu left"},
		"not one of the classes, it is": {quota: quotaOf("q", none, nil).selecting(byClass, corev1.ScopeSelectorOpNotIn, "urgent"), charge: urgent},
		"affinity across namespaces":    {quota: quotaOf("q", none, nil, corev1.ResourceQuotaScopeCrossNamespacePodAffinity)},
	} {
		t.Run(name, func(t *testing.T) {
			counted := make([]int64, len(c.quota.Amounts))
			if c.counted > 0 {
				counted[0] = c.counted
			}
			got := ""
			if r := c.quota.refuses(counted, nil, onGPU, &c.charge); r != nil {
				got = r.String()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestChargeOf(t *testing.T) {
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
		want Charge
	}{
		"a device alone": {
			corev1.PodSpec{Containers: []corev1.Container{container(list(gpu, "1"), list(gpu, "1"))}},
			Charge{Unset: unsetCPU | unsetMemory | unsetLimitCPU | unsetLimitMemory, BestEffort: true},
		},
		"limits stand in for requests": {
			corev1.PodSpec{Containers: []corev1.Container{container(nil, list("cpu", "2", "memory", "1Gi"))}},
			Charge{LimitCPU: 2000, LimitMemory: gi},
		},
		"requests alone": {
			corev1.PodSpec{Containers: []corev1.Container{container(list("cpu", "2", "memory", "1Gi"), nil)}},
			Charge{Unset: unsetLimitCPU | unsetLimitMemory},
		},
		"a side-car that says nothing": {
			corev1.PodSpec{Containers: []corev1.Container{container(nil, list("cpu", "2", "ephemeral-storage", "1Gi")), {}}},
			Charge{LimitCPU: 2000, LimitStorage: gi, Unset: unsetCPU | unsetMemory | unsetLimitCPU | unsetLimitMemory},
		},
		"the larger of init and the rest": {
			corev1.PodSpec{
				InitContainers: []corev1.Container{container(nil, list("cpu", "3", "memory", "1Gi"))},
				Containers:     []corev1.Container{container(nil, list("cpu", "1", "memory", "1Gi")), container(nil, list("cpu", "1", "memory", "1Gi"))},
			},
			Charge{LimitCPU: 3000, LimitMemory: 2 * gi},
		},
		"nothing of nothing": {
			corev1.PodSpec{Containers: []corev1.Container{container(list("cpu", "0", "memory", "0"), list("cpu", "0", "memory", "0"))}},
			Charge{BestEffort: true},
		},
		"of the whole pod": {
			corev1.PodSpec{
				Containers: []corev1.Container{{}},
				Resources:  &corev1.ResourceRequirements{Limits: list("cpu", "1", "memory", "1Gi")},
			},
			Charge{LimitCPU: 1000, LimitMemory: gi},
		},
		"a deadline and a class": {
			corev1.PodSpec{ActiveDeadlineSeconds: new(int64(0)), PriorityClassName: "urgent"},
			Charge{BestEffort: true, Terminating: true, PriorityClass: "urgent"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, ChargeOf(&corev1.Pod{Spec: c.spec})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestQuotaInDecisions follows a namespace's one GPU from decision to decision.
func TestQuotaInDecisions(t *testing.T) {
	w := newWorld()
	w.SetNode(aNode("g", has(gpu, 4)))
	w.SetQuota(oneGPU("0"))
	ask := func(q Query) *Refusal {
		t.Helper()
		q.Options = []Option{wants(gpu)}
		return w.Decide(q, func([]Candidate) int { return 0 }).Refused
	}
	dry := Query{Namespace: "default"}
	check := func(when string, q Query, refused bool) {
		t.Helper()
		if got := ask(q); (got != nil) != refused {
			t.Errorf("%s: %v, want refused: %v", when, got, refused)
		}
	}
	check("at first", dry, false)
	check("at first", Query{Namespace: "default", Reservation: "a"}, false)
	check("while it is reserved", dry, true)
	check("in another namespace", Query{Namespace: "other"}, false)
	check("for whom it was reserved, in a dry run", Query{Namespace: "default", Release: "a"}, false)
	check("after that dry run", dry, true)
	check("for another namespace's pod", Query{Namespace: "other", Release: "a", Reservation: "b"}, false)
	check("after that", dry, true)
	check("for whom it was reserved", Query{Namespace: "default", Release: "a", Reservation: "c"}, false)

	before := w.Reservations()
	check("a choice that is refused", Query{Namespace: "default", Reservation: "d"}, true)
	if n := w.Reservations(); n != before {
		t.Errorf("a choice that is refused was reserved: %d, want %d", n, before)
	}
	// The pod comes before its quota's count, or after it: it counts once.
	w.SetPod(aPod("p", asks(gpu, "1"), ours("GPU", "c")))
	check("when its pod has come", dry, true)
	w.SetQuota(oneGPU("1"))
	check("when the count has come too", dry, true)
	w.SetQuota(quotaOf("gpus", map[string]string{"requests." + gpu: "2"}, map[string]string{"requests." + gpu: "1"}))
	check("when it is raised", dry, false)
	w.SetQuota(oneGPU("1"))
	check("when it is lowered", dry, true)
	w.SetPod(aPod("p", asks(gpu, "1"), ours("GPU", "c"), phase(corev1.PodSucceeded)))
	check("until the end of its pod is counted", dry, true)
	w.SetQuota(oneGPU("0"))
	check("then", dry, false)

	w.SetQuota(oneGPU("1"))
	w.DeleteQuota("default", "another")
	check("when another quota goes", dry, true)
	w.DeleteQuota("default", "gpus")
	check("when the quota is gone", dry, false)
	w.SetPod(aPod("q", asks(gpu, "1")))
	w.SetQuota(oneGPU("0"))
	check("when it is new, and a pod was there before", dry, true)
}

// TestQuotaCountsOff: while the API server still counts a pod that ended, the
// next one decided about counts beside it, and not in its place.
func TestQuotaCountsOff(t *testing.T) {
	two := func(used string) *Quota {
		return quotaOf("gpus", map[string]string{"requests." + gpu: "2"}, map[string]string{"requests." + gpu: used})
	}
	for name, c := range map[string]struct {
		end     func(*world)
		then    func(*world)
		refused bool
	}{
		"at once":                {func(w *world) { w.SetPod(aPod("p", asks(gpu, "1"), phase(corev1.PodSucceeded))) }, func(*world) {}, true},
		"it is being deleted":    {func(w *world) { w.SetPod(aPod("p", asks(gpu, "1"), deleted)) }, func(*world) {}, true},
		"it is gone":             {func(w *world) { w.DeletePod("default", "p") }, func(*world) {}, true},
		"once the count is less": {func(w *world) { w.DeletePod("default", "p") }, func(w *world) { w.SetQuota(two("0")) }, false},
		"when only more counts":  {func(w *world) { w.DeletePod("default", "p") }, func(w *world) { w.SetQuota(two("2")) }, true},
		"after a while":          {func(w *world) { w.DeletePod("default", "p") }, func(w *world) { w.now = w.now.Add(3 * time.Second) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.SetNode(aNode("g", has(gpu, 4)))
			w.SetPod(aPod("p", asks(gpu, "1")))
			w.SetQuota(two("1"))
			c.end(w)
			if first := w.reserve("r", wants(gpu)); first.Refused != nil {
				t.Fatalf("the first is refused: %s", first.Refused)
			}
			c.then(w)
			if got := w.look(wants(gpu)).Refused; (got != nil) != c.refused {
				t.Errorf("the next: %v, want refused: %v", got, c.refused)
			}
		})
	}
}

// TestQuotaGains: a quota that has more room may help a pod that waits.
func TestQuotaGains(t *testing.T) {
	w := newWorld()
	for _, step := range []struct {
		name string
		do   func()
		want bool
	}{
		{"it comes", func() { w.SetQuota(oneGPU("0")) }, true},
		{"more is used", func() { w.SetQuota(oneGPU("1")) }, false},
		{"less is used", func() { w.SetQuota(oneGPU("0")) }, true},
		{"it counts something else", func() { w.SetQuota(quotaOf("gpus", map[string]string{"cpu": "1"}, nil)) }, true},
		{"it goes", func() { w.DeleteQuota("default", "gpus") }, true},
		{"it goes again", func() { w.DeleteQuota("default", "gpus") }, false},
	} {
		w.gained()
		step.do()
		if got := w.gained(); got != step.want {
			t.Errorf("%s: %v, want %v", step.name, got, step.want)
		}
	}
}

// TestQuotaOfMany has many decide at once under a quota for some of the idle
// GPUs, while an API server of its own mind about the quota takes the pods, and
// what it tells of pods and of the quota comes late and in no common order.
// Exactly as many get a GPU as the quota allows, and none is refused.
func TestQuotaOfMany(t *testing.T) {
	const allowed, deciders = 5, 64
	now := time.Unix(1_700_000_000, 0)
	inv := New(Options{Now: func() time.Time { return now }})
	inv.SetNode(aNode("n", has(gpu, 50), has(npu, 100)))
	quotaNow := func(used int64) *Quota {
		return quotaOf("gpus", map[string]string{"requests." + gpu: fmt.Sprint(allowed)}, map[string]string{"requests." + gpu: fmt.Sprint(used)})
	}
	inv.SetQuota(quotaNow(0))
	counts, pods := make(chan int64, deciders), make(chan *Pod, deciders)
	var feeding, deciding sync.WaitGroup
	feeding.Go(func() {
		for used := range counts {
			inv.SetQuota(quotaNow(used))
		}
	})
	feeding.Go(func() {
		for p := range pods {
			inv.SetPod(p)
		}
	})
	var server sync.Mutex
	var used int64
	var refused atomic.Int64
	for i := range deciders {
		deciding.Go(func() {
			id := fmt.Sprint("p", i)
			c := inv.Decide(Query{Namespace: "default", Options: []Option{wants(gpu), wants(npu)}, Reservation: id}, func(cs []Candidate) int {
				if cs[0].Refused != nil {
					return 1
				}
				return 0
			})
			if c.Needs.Device(gpu) == 0 {
				pods <- aPod(id, asks(npu, "1"), ours("NPU", id))
				return
			}
			server.Lock()
			defer server.Unlock()
			if used == allowed {
				refused.Add(1)
				return
			}
			used++
			p := aPod(id, asks(gpu, "1"), ours("GPU", id))
			if rand.IntN(2) == 0 {
				pods <- p
				counts <- used
			} else {
				counts <- used
				pods <- p
			}
		})
	}
	deciding.Wait()
	close(counts)
	close(pods)
	feeding.Wait()
	if used != allowed || refused.Load() != 0 {
		t.Errorf("%d got a GPU and %d were refused, want %d and none", used, refused.Load(), allowed)
	}
	if n := inv.Reservations(); n != 0 {
		t.Errorf("%d reservations are left", n)
	}
}

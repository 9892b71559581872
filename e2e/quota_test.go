package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
)

const (
	gpuQuota   = "requests." + gpuResource
	stickQuota = "requests." + stickResource
)

// limited makes a quota of a namespace, or changes it, and waits until the API
// server enforces it.
func limited(t *testing.T, s *stack.Stack, ns string, hard map[string]string, change ...func(*corev1.ResourceQuotaSpec)) {
	t.Helper()
	quotas := s.Client().CoreV1().ResourceQuotas(ns)
	q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "team"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{}}}
	for name, amount := range hard {
		q.Spec.Hard[corev1.ResourceName(name)] = resource.MustParse(amount)
	}
	for _, c := range change {
		c(&q.Spec)
	}
	eventually(t, func(ctx context.Context) error {
		_, err := quotas.Create(ctx, q, metav1.CreateOptions{})
		if !apierrors.IsAlreadyExists(err) {
			return err
		}
		old, err := quotas.Get(ctx, q.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		old.Spec = q.Spec
		_, err = quotas.Update(ctx, old, metav1.UpdateOptions{}) // its count may change meanwhile
		return err
	})
	eventually(t, func(ctx context.Context) error {
		found, err := quotas.Get(ctx, q.Name, metav1.GetOptions{})
		if err == nil && !equality.Semantic.DeepEqual(found.Status.Hard, q.Spec.Hard) {
			err = fmt.Errorf("quota %s enforces %v, want %v", q.Name, found.Status.Hard, q.Spec.Hard)
		}
		return err
	})
}

// allows makes a namespace's quota of GPUs and waits until the webhook knows it.
func allows(t *testing.T, s *stack.Stack, ns string, gpus int) {
	t.Helper()
	probe := anyPod("", "face-recognition", "gpu,npu", inNamespace(ns))
	limited(t, s, ns, map[string]string{gpuQuota: "0"})
	eventuallyWould(t, s, probe, "NPU")
	if gpus > 0 {
		limited(t, s, ns, map[string]string{gpuQuota: fmt.Sprint(gpus)})
		eventuallyWould(t, s, probe, "GPU")
	}
}

// nothingRefused checks that no controller of a namespace was refused a pod.
func nothingRefused(t *testing.T, s *stack.Stack, ns string) {
	t.Helper()
	events, err := s.Client().EventsV1().Events(ns).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=FailedCreate"})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events.Items {
		t.Errorf("%s %s: %s", e.Regarding.Kind, e.Regarding.Name, e.Note)
	}
}

// TestQuota is what becomes of pods in namespaces with a ResourceQuota, which
// the API server enforces after the webhook has chosen.
func TestQuota(t *testing.T) {
	runShared(t, borrow(t, fourOfEach), []shared{
		{"next kind", quotaNextKind},
		{"burst under a quota of 1", func(t *testing.T, s *stack.Stack) { quotaBurst(t, s, 1) }},
		{"burst under a quota of 3", func(t *testing.T, s *stack.Stack) { quotaBurst(t, s, 3) }},
		{"every kind refused", quotaRefusesAll},
		{"raised", quotaRaised},
		{"limits demanded", quotaOfLimits},
		{"of a priority class", quotaOfPriority},
	})
}

// quotaNextKind: what controllers make gets what the quota has room for, and
// none of them notices.
func quotaNextKind(t *testing.T, s *stack.Stack) {
	namespace(t, s, "next-kind")
	allows(t, s, "next-kind", 1)
	wantKind(t, create(t, s, anyPod("first", "face-recognition", "any", inNamespace("next-kind"))), "GPU")
	if said, err := s.KubectlInput(t.Context(), jobAndDeployment, "create", "-n", "next-kind", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	eventually(t, func(ctx context.Context) error {
		pods, err := s.Client().CoreV1().Pods("next-kind").List(ctx, metav1.ListOptions{LabelSelector: "app=waits"})
		if err != nil {
			return err
		}
		running := 0
		for _, p := range pods.Items {
			if p.Status.Phase == corev1.PodRunning {
				running++
			}
			wantKind(t, &p, "NPU")
		}
		if running != 2 {
			return fmt.Errorf("%d of %d pods run, want 2", running, len(pods.Items))
		}
		return nil
	})
	nothingRefused(t, s, "next-kind")
	next := create(t, s, anyPod("next", "face-recognition", "any", inNamespace("next-kind")))
	if want := "no GPU (quota team has 0 of 1 requests.gpu.intel.com/i915 left)"; !strings.Contains(reason(next), want) {
		t.Errorf("the reason is %q, want in it %q", reason(next), want)
	}
	if said, err := s.Kubectl(t.Context(), "delete", "job,deployment", "--all", "-n", "next-kind"); err != nil {
		t.Errorf("%v: %s", err, said)
	}
}

// quotaBurst: of pods that come at once, all are created, and exactly as many
// as the quota allows get one of the four GPUs.
func quotaBurst(t *testing.T, s *stack.Stack, gpus int) {
	ns := fmt.Sprint("burst-", gpus)
	namespace(t, s, ns)
	allows(t, s, ns, gpus)
	const pods = 10
	var burst sync.WaitGroup
	made := make([]*corev1.Pod, pods)
	for i := range made {
		burst.Go(func() {
			p, err := s.Client().CoreV1().Pods(ns).Create(t.Context(), anyPod(fmt.Sprint("p", i), "face-recognition", "any", inNamespace(ns)), metav1.CreateOptions{})
			if err != nil {
				t.Errorf("pod %d: %v", i, err)
			}
			made[i] = p
		})
	}
	burst.Wait()
	if t.Failed() {
		return
	}
	got := map[string]int{}
	for _, p := range made {
		got[kind(p)]++
	}
	if got["GPU"] != gpus {
		t.Errorf("the pods got %v, want %d GPUs", got, gpus)
	}
	for _, p := range made {
		running(t, s, p)
	}
}

// quotaRefusesAll: when the quotas leave no kind, the API server says what is
// exceeded, the webhook how the kinds stand, and nothing is reserved.
func quotaRefusesAll(t *testing.T, s *stack.Stack) {
	namespace(t, s, "refused")
	allows(t, s, "refused", 0)
	limited(t, s, "refused", map[string]string{gpuQuota: "0", stickQuota: "0"})
	pod := manifest(t, anyPod("refused", "face-recognition", "gpu,npu", inNamespace("refused")))
	eventually(t, func(ctx context.Context) error {
		said, err := s.KubectlInput(ctx, pod, "create", "-f", "-")
		if err == nil {
			t.Fatalf("the pod was created: %s", said)
		}
		for _, want := range []string{
			"exceeded quota: team, requested: requests.gpu.intel.com/i915=1, used: requests.gpu.intel.com/i915=0, limited: requests.gpu.intel.com/i915=0",
			"Warning: the quotas of its namespace allow no kind: no GPU (quota team has 0 of 0 requests.gpu.intel.com/i915 left); no NPU (quota team has 0 of 0 requests.vpu.intel.com/hddl left)",
		} {
			if !strings.Contains(said, want) { // until the webhook knows too, it tries the NPU
				return fmt.Errorf("kubectl says\n%s\nwant\n%s", said, want)
			}
		}
		return nil
	})
	// What was tried before the webhook knew of the quota it forgets in time;
	// from here on nothing is reserved.
	before, err := metric(t.Context(), s, "heteroaccel_webhook_reservations")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if said, err := s.KubectlInput(t.Context(), pod, "create", "-f", "-"); err == nil {
			t.Fatalf("the pod was created: %s", said)
		}
	}
	if after, err := metric(t.Context(), s, "heteroaccel_webhook_reservations"); err != nil || after > before {
		t.Errorf("%v reservations are live, %v before, %v", after, before, err)
	}
}

// quotaRaised: once the quota has room again, so has the next pod.
func quotaRaised(t *testing.T, s *stack.Stack) {
	namespace(t, s, "raised")
	allows(t, s, "raised", 1)
	face := func(name string) *corev1.Pod {
		return anyPod(name, "face-recognition", "gpu,npu", inNamespace("raised"))
	}
	first := create(t, s, face("first"))
	wantKind(t, first, "GPU")
	wantKind(t, create(t, s, face("second")), "NPU")
	limited(t, s, "raised", map[string]string{gpuQuota: "2"})
	eventuallyWould(t, s, face(""), "GPU")
	wantKind(t, create(t, s, face("third")), "GPU")
	wantKind(t, create(t, s, face("fourth")), "NPU")
	vacate(t, s, first)
	eventuallyWould(t, s, face(""), "GPU")
	wantKind(t, create(t, s, face("fifth")), "GPU")
}

// quotaOfLimits: a quota that demands limits of every container leaves only the
// kind whose variant sets them.
func quotaOfLimits(t *testing.T, s *stack.Stack) {
	namespace(t, s, "limits")
	limited(t, s, "limits", map[string]string{"limits.cpu": "4", "limits.memory": "4Gi"})
	face := func(name string) *corev1.Pod {
		return anyPod(name, "face-recognition", "any", inNamespace("limits"))
	}
	eventuallyWould(t, s, face(""), "CPU")
	for _, name := range []string{"first", "second"} {
		wantKind(t, create(t, s, face(name)), "CPU")
	}
	said, err := s.KubectlInput(t.Context(), manifest(t, face("third")), "create", "-f", "-")
	if err == nil || !strings.Contains(said, "no CPU (quota team has 0 of 4 limits.cpu left)") || !strings.Contains(said, "no GPU (quota team demands that every container sets limits.cpu)") {
		t.Errorf("%v, kubectl says %s", err, said)
	}
}

// quotaOfPriority: a quota of one priority class leaves other pods alone.
func quotaOfPriority(t *testing.T, s *stack.Stack) {
	class := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "metered"}, Value: 10, PreemptionPolicy: new(corev1.PreemptNever)}
	if _, err := s.Client().SchedulingV1().PriorityClasses().Create(t.Context(), class, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	namespace(t, s, "classes")
	limited(t, s, "classes", map[string]string{gpuQuota: "0"}, func(q *corev1.ResourceQuotaSpec) {
		q.ScopeSelector = &corev1.ScopeSelector{MatchExpressions: []corev1.ScopedResourceSelectorRequirement{
			{ScopeName: corev1.ResourceQuotaScopePriorityClass, Operator: corev1.ScopeSelectorOpIn, Values: []string{"metered"}},
		}}
	})
	eventuallyWould(t, s, anyPod("", "face-recognition", "gpu,npu", inNamespace("classes"), withPriority("metered")), "NPU")
	wantKind(t, create(t, s, anyPod("metered", "face-recognition", "gpu,npu", inNamespace("classes"), withPriority("metered"))), "NPU")
	wantKind(t, create(t, s, anyPod("ordinary", "face-recognition", "gpu,npu", inNamespace("classes"))), "GPU")
}

package quota

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/resources"
)

// FuzzQuota holds quotas against the arithmetic of Kubernetes' quantities: a pod is
// refused where it requests something, and that and what is used are more than the
// hard limit. A refusal is one short sentence.
func FuzzQuota(f *testing.F) {
	f.Add(gpu, "4", "3", "2", "0", "q")
	f.Add("cpu", "1500m", "1", "0.5001", "0", "q")
	f.Add("memory", "1Gi", "1024Mi", "0", "5", "q")
	f.Add("a.b/c", "-1", "1e18", "9007199254740993", "1", "")
	f.Fuzz(func(t *testing.T, name, hardText, usedText, needsText, limitText, quota string) {
		for _, text := range []string{hardText, usedText, needsText, limitText} {
			if i := strings.IndexAny(text, "eE"); i >= 0 && len(text)-i > 3 || len(text) > 40 {
				return // more than the API server would take at once
			}
		}
		hard, err1 := resource.ParseQuantity(hardText)
		used, err2 := resource.ParseQuantity(usedText)
		needs, err3 := resource.ParseQuantity(needsText)
		limit, err4 := resource.ParseQuantity(limitText)
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
			return
		}
		key := corev1.ResourceName(name)
		if strings.Contains(name, "/") {
			key = corev1.ResourceName(corev1.DefaultResourceRequestsPrefix + name)
		}
		q := Of(&corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: quota},
			Status: corev1.ResourceQuotaStatus{
				Hard: corev1.ResourceList{key: hard, corev1.ResourceLimitsCPU: limit},
				Used: corev1.ResourceList{key: used},
			},
		})
		pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceName(name): needs}, Limits: corev1.ResourceList{"cpu": limit},
		}}}}}
		usage := UsageOf(pod)
		requests := resources.Of(pod.Spec.Containers[0].Resources.Requests)
		var l Ledger
		l.Set(q, func(func(Pod) bool) {})
		refusal := l.Refusal("default", Pod{Requests: requests, Usage: &usage}, Pod{}, time.Unix(1, 0))
		if refusal != nil {
			if s := refusal.String(); len(s) > len(quota)+len(refusal.Resource)+200 || refusal.Left < 0 || !refusal.Unset && refusal.Needs <= refusal.Left {
				t.Errorf("%+v: %s", refusal, s)
			}
		}
		e, counted := evaluatorOf(key)
		if !counted || key == corev1.ResourceLimitsCPU || usage.Unset&e.demands != 0 || limit.Sign() < 0 {
			return
		}
		total := used.DeepCopy()
		total.Add(needs)
		for _, amount := range []*resource.Quantity{&hard, &used, &needs, &total} {
			if amount.Sign() < 0 || amount.Cmp(resource.MustParse("1P")) > 0 || e.unit == milliCores && amount.Cmp(resource.MustParse("1T")) > 0 {
				return // bounded
			}
			if fine := amount.DeepCopy(); e.unit == milliCores && fine.RoundUp(resource.Milli) == false || e.unit != milliCores && fine.RoundUp(0) == false {
				return // the sum of what is rounded is another
			}
		}
		if key != corev1.ResourceName(name) && requests.Device(name) == 0 && needs.Sign() > 0 {
			t.Fatalf("%s of %s are not counted", needsText, name)
		}
		want := needs.Sign() > 0 && total.Cmp(hard) > 0 && usesIt(requests, &usage, e)
		if got := refusal != nil && refusal.Resource == string(key); got != want {
			t.Errorf("%s, hard %s, used %s, needs %s: refused %v, want %v (%v)", key, hardText, usedText, needsText, got, want, refusal)
		}
	})
}

// usesIt reports whether what the quota counts is part of the pod's requests.
func usesIt(r resources.Amounts, u *Usage, e evaluator) bool { return e.usage(r, u) > 0 }

package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/soak/twin"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// makeRoom raises the quotas of a pod's namespace by what they count for the
// pod, and returns what sets them back.
func (s *soak) makeRoom(ctx context.Context, live *corev1.Pod) (restore func(), err error) {
	quotas, err := s.client.CoreV1().ResourceQuotas(live.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list the quotas of %s: %w", live.Namespace, err)
	}
	before := map[string]corev1.ResourceList{}
	restore = func() {
		for name, hard := range before {
			if err := s.setQuota(ctx, live.Namespace, name, hard); err != nil {
				s.say("quota %s of %s could not be set back: %v", name, live.Namespace, err)
			}
		}
	}
	for _, q := range quotas.Items {
		charge := twin.Charge(live, q.Spec.Hard)
		if len(charge) == 0 {
			continue
		}
		hard := q.Spec.Hard.DeepCopy()
		for name, amount := range charge {
			sum := hard[name]
			sum.Add(amount)
			hard[name] = sum
		}
		before[q.Name] = q.Spec.Hard
		if err := s.setQuota(ctx, live.Namespace, q.Name, hard); err != nil {
			restore()
			return nil, err
		}
	}
	return restore, nil
}

// setQuota returns once a quota is enforced as it is to be, and counts what
// there is.
func (s *soak) setQuota(ctx context.Context, namespace, name string, hard corev1.ResourceList) error {
	quotas := s.client.CoreV1().ResourceQuotas(namespace)
	enforced := false
	err := s.until(ctx, 20*time.Second, func() (bool, error) {
		q, err := quotas.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		if !equality.Semantic.DeepEqual(q.Spec.Hard, hard) {
			q.Spec.Hard = hard
			_, _ = quotas.Update(ctx, q, metav1.UpdateOptions{}) // its count may change meanwhile: the next round sees
			return false, nil
		}
		enforced = equality.Semantic.DeepEqual(q.Status.Hard, hard)
		return enforced, nil
	})
	if err == nil && !enforced && ctx.Err() == nil {
		err = fmt.Errorf("quota %s of %s is not enforced as it was set", name, namespace)
	}
	return err
}

// durationOf is the annotation that says how long a pod runs on its kind.
func durationOf(p *corev1.Pod) string {
	of := cluster.DurationAnnotation + "-" + p.Annotations[accel.SelectedAnnotation]
	if p.Annotations[of] != "" {
		return of
	}
	return cluster.DurationAnnotation
}

// holds reports whether a pod has what limits name: a device, or else cores.
func holds(p *corev1.Pod, limits map[corev1.ResourceName]v1alpha1.Amount) bool {
	wanted := corev1.ResourceCPU
	for name := range limits {
		if accel.IsDeviceResource(name) {
			wanted = name
		}
	}
	for _, c := range p.Spec.Containers {
		if amount, ok := c.Resources.Requests[wanted]; ok && !amount.IsZero() {
			return true
		}
	}
	return false
}

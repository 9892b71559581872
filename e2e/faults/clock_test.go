//go:build faults

package faults

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/soak/ledger"
)

// TestClocks: kube-scheduler's clock is hours ahead, or late, so that what it says of
// pods is of another time than the webhook's.
func TestClocks(t *testing.T) {
	x := start(t)
	for name, skew := range map[string]time.Duration{"ahead": 5 * time.Hour, "late": -5 * time.Hour} {
		x.under(t, fault{name: "scheduler's clock 5h " + name, breaks: func(ctx context.Context) (string, error) {
			n, err := x.skew(ctx, skew)
			return fmt.Sprintf("verdicts on %d pods", n), err
		}}, x.wave)
	}
}

// skew moves the times of the scheduler's verdicts on the pods that wait.
func (x *site) skew(ctx context.Context, by time.Duration) (n int, err error) {
	pods := x.client.CoreV1().Pods(ns)
	list, err := pods.List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, err
	}
	for i := range list.Items {
		p := &list.Items[i]
		if !ledger.Waiting(p) {
			continue
		}
		for j := range p.Status.Conditions {
			if c := &p.Status.Conditions[j]; c.Type == corev1.PodScheduled {
				c.LastTransitionTime = metav1.NewTime(time.Now().Add(by))
				c.LastProbeTime = c.LastTransitionTime
			}
		}
		// One that was changed meanwhile has a verdict of its own.
		if _, err := pods.UpdateStatus(ctx, p, metav1.UpdateOptions{}); err == nil {
			n++
		}
	}
	if n == 0 {
		return 0, fmt.Errorf("no pod waits whose verdict could be moved")
	}
	return n, nil
}

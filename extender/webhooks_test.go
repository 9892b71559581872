package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestWebhooks: the replicas are where their pods run, and nobody else's pods.
func TestWebhooks(t *testing.T) {
	f := flags{namespace: "ours", webhookPort: 8443}
	all, set, remove := f.addresses()
	pod := func(namespace, name, account, ip string, phase corev1.PodPhase) {
		set(&corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec:       corev1.PodSpec{ServiceAccountName: account}, Status: corev1.PodStatus{Phase: phase, PodIP: ip},
		})
	}
	want := func(addresses ...string) {
		t.Helper()
		if diff := cmp.Diff(addresses, all()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	pod("ours", "a", webhookAccount, "10.0.0.2", corev1.PodRunning)
	pod("ours", "b", webhookAccount, "fd00::1", corev1.PodRunning)
	pod("ours", "pending", webhookAccount, "", corev1.PodPending)
	pod("ours", "extender", serviceAccount, "10.0.0.3", corev1.PodRunning)
	pod("theirs", "a", webhookAccount, "10.0.0.4", corev1.PodRunning)
	want("10.0.0.2:8443", "[fd00::1]:8443")
	pod("ours", "a", webhookAccount, "10.0.0.2", corev1.PodSucceeded)
	want("[fd00::1]:8443")
	remove(types.NamespacedName{Namespace: "ours", Name: "b"})
	want()

	f.webhooks = []string{"w:1"}
	all, set, _ = f.addresses()
	pod("ours", "a", webhookAccount, "10.0.0.2", corev1.PodRunning)
	want("w:1")
}

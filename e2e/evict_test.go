package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
)

// mayEvict lets the webhook evict pods of the tests' namespace.
func mayEvict(t *testing.T, s *stack.Stack) {
	t.Helper()
	kubectl(t, s, "label", "namespace", metav1.NamespaceDefault, "heteroaccel.io/evictions=allowed")
	t.Cleanup(func() {
		if said, err := s.Kubectl(context.WithoutCancel(t.Context()), "label", "namespace", metav1.NamespaceDefault, "heteroaccel.io/evictions-"); err != nil {
			t.Errorf("%v: %s", err, said)
		}
	})
}

// stateful is a StatefulSet of one such pod, waits-0.
func stateful(annotations string) string {
	return strings.Replace(strings.Replace(serverManifest(annotations), "kind: Deployment", "kind: StatefulSet", 1),
		"  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}", "  serviceName: waits", 1)
}

// ofAccount is a Deployment of one whose pod has a service account of its own, which nobody
// gives a pod who may not create it.
func ofAccount(annotations string) string {
	return strings.Replace(serverManifest(annotations), "      restartPolicy:", "      serviceAccountName: cameras\n      restartPolicy:", 1)
}

const asksForUpgrade = `, heteroaccel.io/upgrade: "true"`

// TestEvicted: where no other pod can serve first, a server that asks is evicted, if its
// namespace and its budgets allow it, and its controller's next pod has the faster kind.
func TestEvicted(t *testing.T) {
	s := borrow(t, oneNode)
	if _, err := s.Client().CoreV1().ServiceAccounts(metav1.NamespaceDefault).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "cameras"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Run("where no namespace allows it", func(t *testing.T) {
		for name, c := range map[string]struct{ kind, manifest, note string }{
			"StatefulSet":            {"StatefulSet", stateful(asksForUpgrade), "label it heteroaccel.io/evictions=allowed"},
			"with a service account": {"ReplicaSet", ofAccount(asksForUpgrade), "label it heteroaccel.io/evictions=allowed"},
			"that asks for nothing":  {"StatefulSet", stateful(""), "-"},
		} {
			t.Run(name, func(t *testing.T) { evicted(t, s, c.manifest, c.kind, c.note) })
		}
	})
	mayEvict(t, s)
	t.Run("StatefulSet", func(t *testing.T) { evicted(t, s, stateful(asksForUpgrade), "StatefulSet", "") })
	t.Run("with a service account", func(t *testing.T) { evicted(t, s, ofAccount(asksForUpgrade), "ReplicaSet", "") })
	t.Run("without asking", func(t *testing.T) { evicted(t, s, ofAccount(""), "ReplicaSet", "-") })
	t.Run("ReplicaSet of no Deployment", func(t *testing.T) {
		evicted(t, s, strings.Replace(strings.Replace(serverManifest(asksForUpgrade), "kind: Deployment", "kind: ReplicaSet", 1),
			"  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}", "", 1), "ReplicaSet", "")
	})
	t.Run("with a budget", func(t *testing.T) {
		kubectl(t, s, "create", "poddisruptionbudget", "waits", "--selector=app=waits", "--min-available=1")
		defer kubectl(t, s, "delete", "poddisruptionbudget", "waits")
		evicted(t, s, stateful(asksForUpgrade), "StatefulSet", "may not be evicted now")
	})
}

// evicted serves on the NPU while the GPU is taken, and vacates that. note is what an Event
// of the controller then says of why the pod is not moved, "" where it is, and "-" where
// nothing is tried.
func evicted(t *testing.T, s *stack.Stack, manifest, of, note string) {
	gpu := occupy(t, s, gpuResource)
	pod := serve(t, s, manifest, "NPU")
	defer deleteOwner(t, s, manifest)
	vacate(t, s, gpu)
	switch note {
	case "":
		now, _ := runsOn(t, s, "GPU")
		ownerTold(t, s, of, now.OwnerReferences[0].Name, "MovedUp", "another pod serves there in its place")
		if !strings.Contains(reason(&now), "it replaces one that runs on NPU") {
			t.Errorf("its reason is %s", reason(&now))
		}
		return
	case "-":
		roundsRead(t, s, 6)
	default:
		ownerTold(t, s, of, pod.OwnerReferences[0].Name, "NotMovedUp", note)
	}
	eventually(t, func(ctx context.Context) error {
		pods, err := waits(ctx, s)
		if err == nil && (len(pods) != 1 || pods[0].UID != pod.UID) {
			err = fmt.Errorf("there are %d pods", len(pods))
		}
		return errors.Join(err, nothingMarked(ctx, s))
	})
	vacate(t, s, occupy(t, s, gpuResource)) // nothing holds it
}

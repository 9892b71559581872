//go:build cluster

package drivers

import (
	"context"
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestRestarts: whatever of a node is ended and started again, what runs keeps its device,
// a pod that ends meanwhile gives its own back, and the next pod gets it.
func TestRestarts(t *testing.T) {
	for name, hurt := range map[string]struct {
		end, start func(t *testing.T)
	}{
		"kubelet": {
			func(*testing.T) { shared.Nodes["g"].Kubelet().Kill() },
			func(t *testing.T) { do(t, shared.Nodes["g"].StartKubelet(t.Context())) },
		},
		"containerd": {
			func(*testing.T) { shared.Nodes["g"].Containerd().Kill() },
			func(t *testing.T) { do(t, shared.Nodes["g"].StartContainerd(t.Context())) },
		},
		"driver, killed": {
			func(t *testing.T) { kill(t, "g", "/exporter") },
			func(*testing.T) {}, // the kubelet does
		},
		"driver, deleted": {
			func(t *testing.T) {
				list, err := exporters(t.Context(), "g")
				do(t, err)
				do(t, shared.Run(t.Context(), "-n", list[0].Namespace, "delete", "pod", list[0].Name))
			},
			func(*testing.T) {}, // the DaemonSet does
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("it runs on", func(t *testing.T) {
				claiming(t, "before", "gpu", 3600)
				given(t, "before", "gpu")
				first := prepared(t, "g")
				hurt.end(t)
				hurt.start(t)
				eventually(t, "all is as before", recovered)
				pod := phase(t, "before", corev1.PodRunning)
				if n := pod.Status.ContainerStatuses[0].RestartCount; n != 0 {
					t.Errorf("its container was started %d times again", n)
				}
				given(t, "before", "gpu")
				if again := prepared(t, "g"); len(first) != 1 || fmt.Sprint(again) != fmt.Sprint(first) {
					t.Errorf("prepared were %v, and are %v", first, again)
				}
				remove(t, "before")
				nothingPrepared(t, "g")
				claiming(t, "after", "gpu", 3600)
				given(t, "after", "gpu")
				remove(t, "after")
				nothingPrepared(t, "g")
			})
			t.Run("it ends meanwhile", func(t *testing.T) {
				claiming(t, "ends", "gpu", 3600)
				given(t, "ends", "gpu")
				claiming(t, "next", "gpu", 3600)
				waits(t, "next")
				hurt.end(t)
				do(t, shared.Run(t.Context(), "delete", "pod", "ends", "--wait=false"))
				hurt.start(t)
				given(t, "next", "gpu")
				if got := prepared(t, "g"); len(got) != 1 {
					t.Errorf("prepared are %v, want one claim", got)
				}
				remove(t, "next")
				nothingPrepared(t, "g")
				eventually(t, "all is as before", recovered)
			})
		})
	}
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// recovered returns nil when the nodes are Ready, and each has its driver.
func recovered(ctx context.Context) error {
	list, err := shared.Client().CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, n := range list.Items {
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
				return errors.New("node " + n.Name + " is not Ready: " + c.Message)
			}
		}
	}
	return registered(ctx)
}

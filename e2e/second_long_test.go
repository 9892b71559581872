//go:build long

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/cli/check"
	"heteroaccel.io/cli/distribution"
	"heteroaccel.io/e2e/stack"
)

// TestSecondScheduler: where the cluster's own kube-scheduler has no extender, a second
// one with the configuration and the rights that scheduler-config prints places the pods
// into which the webhook wrote its name, also one that is recreated; all others are the
// first one's.
func TestSecondScheduler(t *testing.T) {
	s := start(t, stack.Config{Race: true, Webhook: []string{"--set-scheduler-name=" + distribution.Second}})
	if err := s.RestartScheduler(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	playWorkloads(t, s)
	startSecond(t, s)

	plain := running(t, s, create(t, s, plainPod("plain")))
	if by := scheduledBy(t, s, plain); by != corev1.DefaultSchedulerName {
		t.Errorf("a pod that wants no accelerator was placed by %s", by)
	}
	first := running(t, s, create(t, s, anyPod("first", "face-recognition", "gpu,npu")))
	if by := scheduledBy(t, s, first); first.Spec.SchedulerName != distribution.Second || by != distribution.Second {
		t.Errorf("it names %s and was placed by %s, want %s", first.Spec.SchedulerName, by, distribution.Second)
	}
	says(t, s, check.OK, "scheduler", "kube-scheduler asked the extender")

	// It waits for a GPU, and is recreated for the NPU.
	npu := occupy(t, s, stickResource)
	create(t, s, waitingPod("waits"))
	onePod(t, s, func(p *corev1.Pod) error {
		if kind(p) != "GPU" || p.Spec.NodeName != "" || len(p.Status.Conditions) == 0 {
			return fmt.Errorf("it has %s on %q", kind(p), p.Spec.NodeName)
		}
		return nil
	})
	vacate(t, s, npu)
	moved := onePod(t, s, func(p *corev1.Pod) error {
		if kind(p) != "NPU" || p.Status.Phase != corev1.PodRunning {
			return fmt.Errorf("it has %s and is %s", kind(p), p.Status.Phase)
		}
		return nil
	})
	if by := scheduledBy(t, s, &moved); by != distribution.Second {
		t.Errorf("the recreated pod was placed by %s, want %s", by, distribution.Second)
	}
}

// startSecond runs the second kube-scheduler as its own account, with the configuration
// of the ConfigMap but for what only a pod has: the name of the Service, and a token.
func startSecond(t *testing.T, s *stack.Stack) {
	t.Helper()
	dir := t.TempDir()
	out, code := run(t, s, "scheduler-config", "--for", "second", "--image", "registry.example/kube-scheduler:v1.37.2", "--to", dir)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	if out, err := s.Kubectl(t.Context(), "apply", "--server-side", "-f", filepath.Join(dir, "second-scheduler.yaml")); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	made, err := s.Client().CoreV1().ConfigMaps(stack.Namespace).Get(t.Context(), distribution.Second, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var config schedulerv1.KubeSchedulerConfiguration
	if err := yaml.UnmarshalStrict([]byte(made.Data["kube-scheduler.yaml"]), &config); err != nil {
		t.Fatal(err)
	}
	if want := "http://heteroaccel-extender." + stack.Namespace + ".svc:8888/scheduler"; config.Extenders[0].URLPrefix != want {
		t.Errorf("it asks %s, want %s", config.Extenders[0].URLPrefix, want)
	}
	config.Extenders[0].URLPrefix = strings.TrimSuffix(s.URL("extender verbs", ""), "/") + "/scheduler"
	account := "system:serviceaccount:" + stack.Namespace + ":" + distribution.Second
	if config.ClientConnection.Kubeconfig, err = s.KubeconfigFor(account, "system:serviceaccounts", "system:authenticated"); err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "kube-scheduler.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.StartAnotherScheduler(t.Context(), "second-scheduler", file); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		lease, err := s.Client().CoordinationV1().Leases(stack.Namespace).Get(ctx, distribution.Second, metav1.GetOptions{})
		if err == nil && (lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "") {
			err = fmt.Errorf("nobody holds the Lease")
		}
		return err
	})
}

// scheduledBy is the scheduler that placed a pod, by its Event.
func scheduledBy(t *testing.T, s *stack.Stack, p *corev1.Pod) (by string) {
	t.Helper()
	selector := fields.Set{"regarding.uid": string(p.UID), "reason": "Scheduled"}.AsSelector().String()
	eventually(t, func(ctx context.Context) error {
		list, err := s.Client().EventsV1().Events(p.Namespace).List(ctx, metav1.ListOptions{FieldSelector: selector})
		if err == nil && len(list.Items) == 0 {
			err = fmt.Errorf("no Event says who placed %s", p.Name)
		}
		if err == nil {
			by = list.Items[0].ReportingController
		}
		return err
	})
	return by
}

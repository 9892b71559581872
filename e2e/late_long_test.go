//go:build long

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// TestLate: pods that are bound late, on a kube-scheduler without an extender.
func TestLate(t *testing.T) {
	var out bytes.Buffer
	s, err := launch(t.Context(), stack.Config{Out: &out, Machines: machine.Paper(), Late: true, Webhook: []string{"--binding=auto", "--readmission=false"}})
	if err != nil {
		t.Fatalf("start the cluster: %v\n%s", err, out.String())
	}
	t.Cleanup(func() { noRaces(t, s); s.Stop() })
	if said, err := s.Kubectl(t.Context(), "apply", "--server-side", "-f", filepath.Join("testdata", "late-profile.yaml")); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	eventually(t, func(ctx context.Context) error { // the webhook has seen the devices
		_, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).Create(ctx, latePod("probe", "any"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	})
	runShared(t, s, []shared{
		{"moved to what frees", movedToWhatFrees},
	})
}

// latePod is a pod of the profile that may have some kinds.
func latePod(name, kinds string, options ...podOption) *corev1.Pod {
	p := anyPod(name, "late", kinds, options...)
	p.Spec.Containers[0].Image = "late:mine"
	return p
}

// bound waits until a pod runs on a kind, by a device that its claim has, and returns it.
func bound(t *testing.T, s *stack.Stack, p *corev1.Pod, kind, image, device string) *corev1.Pod {
	t.Helper()
	p = running(t, s, p)
	wantKind(t, p, kind)
	if got := p.Spec.Containers[0].Image; got != image {
		t.Errorf("pod %s runs %s, want %s", p.Name, got, image)
	}
	if got := p.Annotations[accel.DeviceAnnotation]; got != device {
		t.Errorf("pod %s is told %s, want %s", p.Name, got, device)
	}
	if len(p.Spec.ResourceClaims) != 1 {
		t.Fatalf("pod %s has claims %v, want one", p.Name, p.Spec.ResourceClaims)
	}
	claim, err := s.Client().ResourceV1().ResourceClaims(p.Namespace).Get(t.Context(), *p.Spec.ResourceClaims[0].ResourceClaimName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if a := claim.Status.Allocation; a == nil || len(a.Devices.Results) != 1 || a.Devices.Results[0].Driver != fmt.Sprintf("%s.test", claim.Spec.Devices.Requests[0].Name) {
		t.Errorf("pod %s: its claim has %+v", p.Name, a)
	}
	return p
}

// shows waits until the extender's page of a pod has all of these.
func shows(t *testing.T, s *stack.Stack, p *corev1.Pod, want ...string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		page, err := stack.Get(ctx, s.URL("extender", "/pods/"+p.Namespace+"/"+p.Name))
		if err != nil {
			return err
		}
		for _, w := range want {
			if !strings.Contains(page, w) {
				return fmt.Errorf("%q is not in:\n%s", w, page)
			}
		}
		return nil
	})
}

// movedToWhatFrees: a pod that waits for the GPU gets the NPU that frees, as the same
// pod, and its claim goes with it.
func movedToWhatFrees(t *testing.T, s *stack.Stack) {
	gpu := bound(t, s, create(t, s, latePod("holds-gpu", "gpu")), "GPU", "late:gpu", "GPU")
	npu := bound(t, s, create(t, s, latePod("holds-npu", "npu")), "NPU", "late:npu", "MYRIAD")
	waits := create(t, s, latePod("waits", "gpu,npu"))
	wantKind(t, waits, "GPU")
	eventually(t, func(ctx context.Context) error {
		p := get(t, s, waits)
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
				return nil
			}
		}
		return fmt.Errorf("kube-scheduler has not looked at it: %v", p.Status.Conditions)
	})
	claim := *waits.Spec.ResourceClaims[0].ResourceClaimName
	shows(t, s, waits, claim+": kube-scheduler has allocated nothing to it", "1 device of DeviceClass gpu.test", "held by default/holds-gpu", "not asked: ")
	freed := time.Now()
	if err := s.Client().CoreV1().Pods(npu.Namespace).Delete(t.Context(), npu.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	moved := bound(t, s, waits, "NPU", "late:npu", "MYRIAD")
	t.Logf("moved and running %v after the NPU was let go: %s", time.Since(freed).Round(time.Millisecond), reason(moved))
	if moved.UID != waits.UID {
		t.Error("the pod was recreated")
	}
	shows(t, s, moved, claim+": npu.test/", reason(moved), "not asked: ")
	for _, p := range []*corev1.Pod{gpu, moved} {
		if err := s.Client().CoreV1().Pods(p.Namespace).Delete(t.Context(), p.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func(ctx context.Context) error {
		claims, err := s.Client().ResourceV1().ResourceClaims(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
		if err == nil && len(claims.Items) > 0 {
			err = fmt.Errorf("%d claims are left", len(claims.Items))
		}
		return err
	})
}

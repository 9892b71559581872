package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// quota: the reservation of a pod that the API server then refuses is
// released.
func quota(t *testing.T, s *stack.Stack) {
	namespace(t, s, "limited")
	none := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")} // which is the same for every kind
	q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "no-pods"}, Spec: corev1.ResourceQuotaSpec{Hard: none}}
	if _, err := s.Client().CoreV1().ResourceQuotas("limited").Create(t.Context(), q, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// In force it is once it refuses a pod that asks nothing of us.
	eventually(t, func(ctx context.Context) error {
		p := plainPod("", inNamespace("limited"))
		if _, err := would(ctx, s, p); err == nil || !strings.Contains(err.Error(), "exceeded quota") {
			return fmt.Errorf("the quota does not refuse: %v", err)
		}
		return nil
	})
	said, err := s.KubectlInput(t.Context(), manifest(t, anyPod("refused", "face-recognition", "any", inNamespace("limited"))), "create", "-f", "-")
	if err == nil || !strings.Contains(said, "exceeded quota: no-pods") {
		t.Fatalf("kubectl says %s, want that the quota is exceeded", said)
	}
	if err := reserved(t.Context(), s, 1); err != nil {
		t.Error(err)
	}
	wantKind(t, create(t, s, anyPod("meanwhile", "face-recognition", "any")), "NPU")
	eventuallyWould(t, s, anyPod("", "face-recognition", "any"), "GPU")
	if err := reserved(t.Context(), s, 0); err != nil {
		t.Error(err)
	}
	wantKind(t, create(t, s, anyPod("later", "face-recognition", "any")), "GPU")
}

const jobAndDeployment = `
apiVersion: batch/v1
kind: Job
metadata: {name: face-recognition}
spec:
  backoffLimit: 0
  template:
    metadata:
      labels: {app: waits}
      annotations: {heteroaccel.io/inference: face-recognition, heteroaccel.io/accelerator: any}
    spec:
      restartPolicy: Never
      containers: [{name: inference, image: mine}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: action-recognition}
spec:
  selector: {matchLabels: {app: waits}}
  template:
    metadata:
      labels: {app: waits}
      annotations: {heteroaccel.io/inference: action-recognition, heteroaccel.io/accelerator: any}
    spec:
      containers: [{name: inference, image: mine}]
`

// webhookAway: without the webhook, who asked for us is refused and everybody
// else is not; what controllers make comes by itself when it is back.
func webhookAway(t *testing.T, s *stack.Stack) {
	before := create(t, s, anyPod("before", "face-recognition", "gpu"))
	running(t, s, before)
	s.Process("webhook").Kill()

	said, err := s.KubectlInput(t.Context(), manifest(t, anyPod("refused", "face-recognition", "any")), "create", "-f", "-")
	if err == nil {
		t.Fatalf("an annotated pod was created without the webhook: %s", said)
	}
	if want := `failed calling webhook "pods.heteroaccel.io"`; !strings.Contains(said, want) {
		t.Errorf("kubectl says %s, want %s", said, want)
	}
	running(t, s, create(t, s, plainPod("plain")))
	if _, err := s.KubectlInput(t.Context(), jobAndDeployment, "create", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	// Their controllers have tried when they say that they failed to.
	eventually(t, func(ctx context.Context) error {
		for _, owner := range []string{"Job", "ReplicaSet"} {
			events, err := s.Client().EventsV1().Events(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{
				FieldSelector: "reason=FailedCreate,regarding.kind=" + owner,
			})
			if err != nil {
				return err
			}
			if len(events.Items) == 0 || !strings.Contains(events.Items[0].Note, "pods.heteroaccel.io") {
				return fmt.Errorf("the %s does not say that its pod was refused", owner)
			}
		}
		return nil
	})

	if err := s.StartWebhook(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		pods, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "app=waits"})
		if err != nil {
			return err
		}
		got := map[string]bool{}
		for _, p := range pods.Items {
			if p.Status.Phase == corev1.PodRunning {
				got[kind(&p)] = true
			}
		}
		// It knows that the GPU is taken by the pod from before.
		if len(pods.Items) != 2 || len(got) != 2 || got["GPU"] || got["CPU"] {
			return fmt.Errorf("%d pods run on %v, want 2 on NPU and FPGA", len(pods.Items), got)
		}
		return nil
	})
}

// extenderAway: pods are scheduled without the extender, and when it is back it
// knows where.
func extenderAway(t *testing.T, s *stack.Stack) {
	s.Process("extender").Kill()
	var pods []*corev1.Pod
	for i, want := range []string{"GPU", "NPU", "FPGA", "CPU"} {
		p := create(t, s, anyPod(fmt.Sprintf("unextended-%d", i), "face-recognition", "any"))
		wantKind(t, p, want)
		pods = append(pods, running(t, s, p))
	}
	if err := s.StartExtender(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range pods {
		podSays(t, s, p, "node "+p.Spec.NodeName)
		podSays(t, s, p, reason(p))
	}
	nodeSays(t, s, "g", "default/unextended-0")
	vacate(t, s, pods[0])
	after := create(t, s, anyPod("after", "face-recognition", "gpu"))
	running(t, s, after)
	podSays(t, s, after, "extender asked")
}

// burst: the webhook is killed while pods are being created, by clients that
// try again. Each pod is admitted once, and nothing is given out twice.
func burst(t *testing.T, s *stack.Stack) {
	const n, killAfter = 50, 15
	// The paper's nodes: three devices, and their 28 cores, two for each pod.
	const places = 3 + 28/2
	var wg sync.WaitGroup
	var created atomic.Int64
	enough := make(chan struct{})
	names := make(chan string)
	for range 8 {
		wg.Go(func() {
			for name := range names {
				err := await(t.Context(), func(ctx context.Context) error {
					p := anyPod(name, "face-recognition", "any")
					_, err := s.Client().CoreV1().Pods(p.Namespace).Create(ctx, p, metav1.CreateOptions{})
					return err
				})
				if err != nil {
					t.Errorf("create %s: %v", name, err)
				}
				if created.Add(1) == killAfter {
					close(enough)
				}
			}
		})
	}
	wg.Go(func() {
		defer close(names)
		for i := range n {
			names <- fmt.Sprintf("burst-%02d", i)
		}
	})
	<-enough
	s.Process("webhook").Kill()
	if err := s.StartWebhook(t.Context()); err != nil {
		t.Error(err)
	}
	wg.Wait()
	pods := settled(t, s, n, places)
	notOvercommitted(t, s, pods)
	seen := map[string]string{}
	for _, p := range pods {
		id := p.Annotations[accel.ReservationAnnotation]
		if other := seen[id]; other != "" || id == "" {
			t.Errorf("pods %s and %s carry the same reservation %q", p.Name, other, id)
		}
		seen[id] = p.Name
	}
}

// twoReplicas: one decides, and the other has its reviews answered by it. Once the one
// is killed the other decides, and what was created meanwhile was held until then.
func twoReplicas(t *testing.T, s *stack.Stack) {
	const second = "webhook-2"
	if err := s.StartReplica(second); err != nil {
		t.Fatal(err)
	}
	standby := s.Process(second)
	ready := func(replica string) {
		t.Helper()
		eventually(t, func(ctx context.Context) error {
			_, err := stack.Get(ctx, s.URL(replica+" status", "/readyz"))
			return err
		})
	}
	ready(second)
	if err := s.Register(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	decides(t, s, "webhook", second)
	held := create(t, s, anyPod("before", "face-recognition", "any"))
	wantKind(t, held, "GPU")
	answered := func(outcome string) float64 {
		t.Helper()
		values, err := stack.Metrics(t.Context(), s.URL(second+" status", "/metrics"))
		if err != nil {
			t.Fatal(err)
		}
		return values[`heteroaccel_webhook_forward_duration_seconds_count{outcome="`+outcome+`"}`]
	}
	if n := answered("forwarded"); n == 0 {
		t.Error("the second replica says that it has forwarded nothing")
	}

	s.Process("webhook").Kill()
	killed := time.Now()
	// Not refused, and not GPU, which is held.
	after := create(t, s, anyPod("after", "face-recognition", "any"))
	t.Logf("a pod was created %s after the leader was killed", time.Since(killed))
	wantKind(t, after, "NPU")
	running(t, s, after)
	if n := answered("here"); n == 0 {
		t.Error("the second replica says that it has held nothing until it led")
	}
	decides(t, s, second)

	// The first comes back, and leads again once the second let go.
	if err := s.StartReplica("webhook"); err != nil {
		t.Fatal(err)
	}
	ready("webhook")
	if err := s.Register(t.Context(), "webhook"); err != nil {
		t.Fatal(err)
	}
	standby.Stop()
	stopped := time.Now()
	wantKind(t, create(t, s, anyPod("later", "face-recognition", "any")), "FPGA")
	t.Logf("a pod was created %s after the leader had ended", time.Since(stopped))
	decides(t, s, "webhook")
}

// decides: of some replicas the first decides, and no other.
func decides(t *testing.T, s *stack.Stack, replicas ...string) {
	t.Helper()
	for i, replica := range replicas {
		values, err := stack.Metrics(t.Context(), s.URL(replica+" status", "/metrics"))
		if err != nil {
			t.Fatal(err)
		}
		if decides := values["heteroaccel_webhook_deciding"] == 1; decides != (i == 0) {
			t.Errorf("%s decides: %v", replica, decides)
		}
	}
}

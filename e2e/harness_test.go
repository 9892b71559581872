package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// limit is far more than anything here needs: a test that waits this long has
// failed.
const limit = 3 * time.Minute

// eventually polls until check passes; its last error is the failure.
func eventually(t *testing.T, check func(context.Context) error) {
	t.Helper()
	if err := await(t.Context(), check); err != nil {
		t.Fatal(err)
	}
}

// await polls until check passes, or returns its last error.
func await(ctx context.Context, check func(context.Context) error) error {
	return poll.Within(ctx, limit, check)
}

// podOption changes a pod before it is created.
type podOption func(*corev1.Pod)

// anyPod is the pod of the README: annotated, with no accelerator named.
func anyPod(name, inference, kinds string, options ...podOption) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:      name,
			Namespace: metav1.NamespaceDefault,
			Annotations: map[string]string{
				accel.InferenceAnnotation:   inference,
				accel.AcceleratorAnnotation: kinds,
			},
		},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{
				Name: "inference", Image: "heteroaccel/" + inference,
				Command: []string{"bash", "-c", "./run -d GPU && sleep 60"},
			}},
		},
	}
	for _, o := range options {
		o(p)
	}
	return p
}

// plainPod asks nothing of us.
func plainPod(name string, options ...podOption) *corev1.Pod {
	p := anyPod(name, "none", "any", options...)
	delete(p.Annotations, accel.InferenceAnnotation)
	delete(p.Annotations, accel.AcceleratorAnnotation)
	return p
}

func inNamespace(ns string) podOption { return func(p *corev1.Pod) { p.Namespace = ns } }

func onNodes(key, value string) podOption {
	return func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{key: value} }
}

func withLimit(resourceName, amount string) podOption {
	return func(p *corev1.Pod) {
		q := resource.MustParse(amount)
		p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceName(resourceName): q}
	}
}

// create makes a pod and returns it as the API server admitted it.
func create(t *testing.T, s *stack.Stack, p *corev1.Pod) *corev1.Pod {
	t.Helper()
	admitted, err := s.Client().CoreV1().Pods(p.Namespace).Create(t.Context(), p, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create %s: %v", p.Name, err)
	}
	return admitted
}

func get(t *testing.T, s *stack.Stack, p *corev1.Pod) *corev1.Pod {
	t.Helper()
	found, err := s.Client().CoreV1().Pods(p.Namespace).Get(t.Context(), p.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatalf("get %s: %v", p.Name, err)
	}
	return found
}

// running waits until a pod runs, and returns it.
func running(t *testing.T, s *stack.Stack, p *corev1.Pod) *corev1.Pod {
	t.Helper()
	var found *corev1.Pod
	eventually(t, func(ctx context.Context) (err error) {
		found, err = s.Client().CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
		if err == nil && found.Status.Phase != corev1.PodRunning {
			err = fmt.Errorf("pod %s is %s: %v", p.Name, found.Status.Phase, found.Status.Conditions)
		}
		return err
	})
	return found
}

// kind is the kind a pod was given.
func kind(p *corev1.Pod) string { return p.Annotations[accel.SelectedAnnotation] }

func reason(p *corev1.Pod) string { return p.Annotations[accel.ReasonAnnotation] }

// wantKind checks what the webhook gave a pod.
func wantKind(t *testing.T, p *corev1.Pod, want string) {
	t.Helper()
	if kind(p) != want {
		t.Errorf("pod %s got %s, want %s: %s", p.Name, kind(p), want, reason(p))
	}
}

// devices are the extended resources a pod holds.
func devices(p *corev1.Pod) map[string]int64 {
	held := map[string]int64{}
	for _, c := range p.Spec.Containers {
		for name, q := range c.Resources.Limits {
			if accel.IsDeviceResource(name) {
				held[string(name)] += q.Value()
			}
		}
	}
	return held
}

// node waits until the extender's view of a node contains want: then the last
// change of its machine has arrived.
func nodeSays(t *testing.T, s *stack.Stack, node, want string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		text, err := stack.Get(ctx, s.URL("extender", "/nodes/"+node))
		if err == nil && !strings.Contains(text, want) {
			err = fmt.Errorf("/nodes/%s does not say %q:\n%s", node, want, text)
		}
		return err
	})
}

// nodeNoLongerSays waits until the extender's page of a node, its telemetry
// fresh, lacks text.
func nodeNoLongerSays(t *testing.T, s *stack.Stack, node, text string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		page, err := stack.Get(ctx, s.URL("extender", "/nodes/"+node))
		if err == nil && (strings.Contains(page, text) || !strings.Contains(page, "fresh")) {
			err = fmt.Errorf("/nodes/%s still says %q, or its telemetry is not fresh:\n%s", node, text, page)
		}
		return err
	})
}

// metric reads one value of the webhook's metrics.
func metric(ctx context.Context, s *stack.Stack, name string) (float64, error) {
	return metricOf(ctx, s, "webhook status", name)
}

// metricOf reads one value of a program's metrics, labels included in its name.
func metricOf(ctx context.Context, s *stack.Stack, program, name string) (float64, error) {
	values, err := stack.Metrics(ctx, s.URL(program, "/metrics"))
	if err != nil {
		return 0, err
	}
	v, ok := values[name]
	if !ok {
		return 0, errors.New("no metric " + name)
	}
	return v, nil
}

// manyOfEach is a cluster of one node with four GPUs and sticks and an FPGA.
func manyOfEach() []*machine.Machine {
	return machine.Fleet(1, machine.Shape{GPUs: 4, Sticks: 4, FPGAs: 1, Cores: 16})
}

// paperAndTwo are the paper's nodes and one with two GPUs.
func paperAndTwo() []*machine.Machine {
	return append(machine.Paper(), machine.Shape{GPUs: 2}.Machine("two"))
}

// twoShapesOfNodes is a node with two GPUs and one with a stick and an FPGA.
func twoShapesOfNodes() []*machine.Machine {
	return []*machine.Machine{
		machine.Fleet(1, machine.Shape{GPUs: 2, Cores: 8})[0],
		machine.Fleet(2, machine.Shape{Sticks: 1, FPGAs: 1, Cores: 8})[1],
	}
}

// fleet is a cluster of 100 devices on 10 nodes.
func fleet() []*machine.Machine {
	return machine.Fleet(10, machine.Shape{GPUs: 4, Sticks: 3, FPGAs: 3, Cores: 16})
}

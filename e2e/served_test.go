package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
)

// reporter is what servers report: one HTTP server that tells them apart by the address of
// the machine at which it was asked.
type reporter struct {
	port int

	mu sync.Mutex
	// took is how long an inference takes on the server of an address.
	took map[string]time.Duration
}

// aSecond is how many inferences each does.
const aSecond = 100

func reports(t *testing.T) *reporter {
	t.Helper()
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &reporter{port: listener.Addr().(*net.TCPAddr).Port, took: map[string]time.Duration{}}
	began := time.Now()
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr).IP.String()
		p.mu.Lock()
		took, count := p.took[at], int64(time.Since(began).Seconds()*aSecond)
		p.mu.Unlock()
		fmt.Fprintf(w, "ovms_inference_time_us_sum{name=\"faces\"} %d\novms_inference_time_us_count{name=\"faces\"} %d\n", count*took.Microseconds(), count)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return p
}

// serveAt has a pod be at an address, where it reports how long its inferences take.
func (p *reporter) serveAt(t *testing.T, s *stack.Stack, pod *corev1.Pod, address string, took time.Duration) {
	t.Helper()
	p.mu.Lock()
	p.took[address] = took
	p.mu.Unlock()
	patch := fmt.Sprintf(`{"status":{"podIP":%q,"podIPs":[{"ip":%q}]}}`, address, address)
	if _, err := s.Client().CoreV1().Pods(pod.Namespace).Patch(t.Context(), pod.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
}

// reportingProfile is an inference whose hints say that the GPU is twice as fast as the NPU.
const reportingProfile = `
apiVersion: heteroaccel.io/v1alpha1
kind: InferenceProfile
metadata: {name: reported}
spec:
  container: inference
  serverMetrics: {port: %d, histogram: ovms_inference_time_us, unit: us, matchLabels: {name: faces}}
  variants:
  - {accelerator: GPU, image: "mine:gpu", limits: {gpu.intel.com/i915: "1"}, serviceTime: 100ms}
  - {accelerator: NPU, image: "mine:npu", limits: {vpu.intel.com/hddl: "1"}, device: MYRIAD, serviceTime: 200ms}
`

// TestServed: what servers report of their inferences is what is expected of the next ones,
// whatever the hints say; and what is counted that they can do together.
func TestServed(t *testing.T) {
	s := borrow(t, oneNode)
	p := reports(t)
	profile := fmt.Sprintf(reportingProfile, p.port)
	if said, err := s.KubectlInput(t.Context(), profile, "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	defer kubectl(t, s, "delete", "infp", "reported")
	manifest := strings.Replace(serverManifest(""), "heteroaccel.io/inference: face-recognition", "heteroaccel.io/inference: reported", 1)
	onGPU := serve(t, s, manifest, "GPU")
	defer deleteOwner(t, s, manifest)
	other := running(t, s, create(t, s, anyPod("other", "reported", "gpu,npu", func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyAlways })))
	wantKind(t, other, "NPU")
	const gpu, npu = 8 * time.Millisecond, 2400 * time.Microsecond // one of them busy, the other not
	p.serveAt(t, s, &onGPU, "127.0.0.21", gpu)
	p.serveAt(t, s, other, "127.0.0.22", npu)

	eventually(t, func(ctx context.Context) error {
		text, err := s.Kubectl(ctx, "get", "infp", "reported", "-o", "jsonpath={range .status.served[*]}{.accelerator} {.load} {.time}, {end}")
		if want := "GPU busy 8ms, NPU light 2.4ms,"; err == nil && strings.TrimSpace(text) != want {
			err = fmt.Errorf("served: %s, want %s", text, want)
		}
		return err
	})
	t.Run("what they do and could do", func(t *testing.T) {
		eventually(t, func(ctx context.Context) error {
			rate, err := metric(ctx, s, `heteroaccel_webhook_server_rate{inference="reported",kind="GPU",owner="waits",pod_namespace="default"}`)
			if err == nil && (rate < aSecond/2 || rate > aSecond*2) {
				err = fmt.Errorf("%v inferences a second on the GPU, want about %d", rate, aSecond)
			}
			could, missing := metric(ctx, s, `heteroaccel_webhook_server_capacity{inference="reported",kind="NPU",owner="",pod_namespace="default"}`)
			if missing == nil && (could < 300 || could > 500) {
				missing = fmt.Errorf("the NPU could do %v a second, want about 417", could)
			}
			return errors.Join(err, missing)
		})
		text, err := stack.Get(t.Context(), s.URL("extender", "/profiles/reported"))
		if err != nil || !strings.Contains(text, "they report 2.4ms, in ") {
			t.Errorf("%v: /profiles/reported says nothing of it:\n%s", err, text)
		}
	})
	t.Run("an autoscaler can go by it", func(t *testing.T) {
		root, err := cluster.Root()
		if err != nil {
			t.Fatal(err)
		}
		kubectl(t, s, "create", "--dry-run=server", "--validate=strict", "-f", filepath.Join(root, "deploy", "examples", "autoscaler.yaml"))
	})
	t.Run("decisions go by it", func(t *testing.T) {
		kubectl(t, s, "annotate", "pod", onGPU.Name, "heteroaccel.io/upgrade=true")
		vacate(t, s, other)
		moved, _ := runsOn(t, s, "NPU")
		if !strings.Contains(reason(&moved), "NPU is free (1 of 1), a run takes 2ms") {
			t.Errorf("its reason is %s", reason(&moved))
		}
	})
	t.Run("a Job's do not", func(t *testing.T) {
		job := anyPod("", "reported", "gpu,npu", func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyNever })
		eventually(t, func(ctx context.Context) error { // once the pod is gone that was moved
			p, err := would(ctx, s, job)
			if err == nil && (kind(p) != "GPU" || !strings.Contains(reason(p), "GPU is free (1 of 1), a run takes 100ms")) {
				err = fmt.Errorf("it would have %s: %s", kind(p), reason(p))
			}
			return err
		})
	})
	t.Run("with another unit it begins anew", func(t *testing.T) {
		kubectl(t, s, "patch", "infp", "reported", "--type=merge", "-p", `{"spec":{"serverMetrics":{"unit":"ms"}}}`)
		eventually(t, func(ctx context.Context) error {
			text, err := s.Kubectl(ctx, "get", "infp", "reported", "-o", "jsonpath={.status.served}")
			if err == nil && strings.TrimSpace(text) != "" {
				err = fmt.Errorf("there is %s", text)
			}
			return err
		})
	})
}

// TestScaledDown: of a Deployment's servers the slower goes first, though it is the older.
func TestScaledDown(t *testing.T) {
	s := borrow(t, oneNode)
	gpu := occupy(t, s, gpuResource)
	manifest := serverManifest("")
	old := serve(t, s, manifest, "NPU")
	defer deleteOwner(t, s, manifest)
	vacate(t, s, gpu)
	kubectl(t, s, "scale", "deployment/waits", "--replicas=2")
	eventually(t, func(ctx context.Context) error {
		pods, err := waits(ctx, s)
		if err != nil {
			return err
		}
		for _, p := range pods {
			if p.UID != old.UID && kind(&p) == "GPU" && p.Annotations[corev1.PodDeletionCost] == "100" {
				return nil
			}
		}
		return fmt.Errorf("of %d pods none on the GPU costs more than the one on the NPU", len(pods))
	})
	kubectl(t, s, "scale", "deployment/waits", "--replicas=1")
	if left, _ := runsOn(t, s, "GPU"); left.UID == old.UID {
		t.Error("the faster one went")
	}
}

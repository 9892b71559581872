//go:build long

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
)

func amountOf(s string) *resource.Quantity { q := resource.MustParse(s); return &q }

// commands are kubectl's, one that sets something up and one that undoes it.
func commands(do, undo []string) func(*testing.T, *stack.Stack) func() {
	return func(t *testing.T, s *stack.Stack) func() {
		kubectl(t, s, do...)
		return func() { kubectl(t, s, undo...) }
	}
}

// volumeOnN has a claim bound to a volume on the disk of node n.
func volumeOnN(t *testing.T, s *stack.Stack) func() {
	if said, err := s.KubectlInput(t.Context(), localVolume, "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return func() {
		kubectl(t, s, "delete", "pod", "volume", "--ignore-not-found", "--grace-period=0", "--force")
		kubectl(t, s, "delete", "pvc", "data")
		kubectl(t, s, "delete", "pv", "pv-n")
	}
}

func hostPort(p *corev1.Pod) {
	p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 8080, HostPort: 8080}}
}

// portHeld has a pod of somebody's hold that port of node g.
func portHeld(t *testing.T, s *stack.Stack) func() {
	p := neighbour.DeepCopy()
	hostPort(p)
	running(t, s, create(t, s, p))
	return func() { free(t, s, p) }
}

func neighbourOnG(t *testing.T, s *stack.Stack) func() {
	running(t, s, create(t, s, neighbour.DeepCopy()))
	return func() { free(t, s, neighbour) }
}

// nextTo are the nodes where the neighbour is.
var nextTo = []corev1.PodAffinityTerm{{TopologyKey: corev1.LabelHostname, LabelSelector: &metav1.LabelSelector{MatchLabels: neighbour.Labels}}}

func notBeside(p *corev1.Pod) {
	p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: nextTo}}
}

// lateKeeper: of a volume that is bound as its pod is first placed, the pod's successor
// gets the kind of the volume's node.
func lateKeeper(t *testing.T, s *stack.Stack) {
	keeps := strings.Replace(keeper, "inference: face-recognition", "inference: late", 1)
	if said, err := s.KubectlInput(t.Context(), keeps, "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	named := latePod("keeper-0", "npu")
	var first *corev1.Pod
	eventually(t, func(ctx context.Context) (err error) {
		first, err = s.Client().CoreV1().Pods(named.Namespace).Get(ctx, named.Name, metav1.GetOptions{})
		return err
	})
	first = agreed(t, s, first)
	wantKind(t, first, "NPU")
	eventuallyWould(t, s, latePod("", "gpu,npu", withClaim("data-keeper-0")), "NPU")
	kubectl(t, s, "patch", "statefulset", "keeper", "--type=merge", "-p", `{"spec":{"template":{"metadata":{"annotations":{"heteroaccel.io/accelerator":"gpu,npu"}}}}}`)
	var second *corev1.Pod
	eventually(t, func(ctx context.Context) (err error) {
		if second, err = s.Client().CoreV1().Pods(named.Namespace).Get(ctx, named.Name, metav1.GetOptions{}); err == nil && second.UID == first.UID {
			err = fmt.Errorf("keeper-0 is still the first")
		}
		return err
	})
	wantKind(t, second, "NPU")
	if ran := agreed(t, s, second); ran.Spec.NodeName != "n" {
		t.Errorf("it runs on %s, want n", ran.Spec.NodeName)
	}
	kubectl(t, s, "delete", "statefulset", "keeper")
	kubectl(t, s, "delete", "pod", "keeper-0", "--ignore-not-found", "--grace-period=0", "--force")
	kubectl(t, s, "delete", "pvc", "--all")
	kubectl(t, s, "delete", "pv", "disk-n")
}

// ranged makes a namespace whose containers may have so much cpu, and get the given
// amounts where they state none.
func ranged(t *testing.T, s *stack.Stack, ns, most string, given, requested corev1.ResourceList) {
	t.Helper()
	namespace(t, s, ns)
	_, err := s.Client().CoreV1().LimitRanges(ns).Create(t.Context(), &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Name: "everybody"},
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type: corev1.LimitTypeContainer, Default: given, DefaultRequest: requested, Max: corev1.ResourceList{corev1.ResourceCPU: *amountOf(most)},
		}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// lateLimitRange: what a LimitRange fills in does not keep a pod from any kind, nor from
// its cores.
func lateLimitRange(t *testing.T, s *stack.Stack) {
	const ns = "late-plant"
	ranged(t, s, ns, "4", amounts("500m", "256Mi"), amounts("100m", "128Mi"))
	for kinds, want := range map[string]string{"gpu": "GPU", "npu": "NPU", "cpu": "CPU"} {
		ran := running(t, s, create(t, s, latePod("ranged-"+kinds, kinds, inNamespace(ns))))
		wantKind(t, ran, want)
		r := ran.Spec.Containers[0].Resources
		if kinds == "cpu" && r.Requests.Cpu().Cmp(*amountOf("1")) < 0 {
			t.Errorf("on the CPU it requests %v", r.Requests)
		}
		if ran.Spec.Containers[0].Image != "late:"+kinds || len(ran.Spec.ResourceClaims) != 1 {
			t.Errorf("it has image %s and claims %v", ran.Spec.Containers[0].Image, ran.Spec.ResourceClaims)
		}
	}
}

// lateIntoLimitRange: a pod is not moved to a kind whose cores a LimitRange denies it: it
// waits on, and runs on what it waits for.
func lateIntoLimitRange(t *testing.T, s *stack.Stack) {
	const ns = "late-small"
	ranged(t, s, ns, "200m", nil, nil)
	gpu := agreed(t, s, create(t, s, latePod("holds-gpu", "gpu")))
	p := create(t, s, latePod("waits", "gpu,cpu", inNamespace(ns)))
	saysUnschedulable(t, s, p, "cannot allocate")
	holdsNothing(t, s, p)
	if kind(p) != "GPU" {
		t.Errorf("it waits for %s: %s", kind(p), reason(p))
	}
	free(t, s, gpu)
	ran := running(t, s, p)
	wantKind(t, ran, "GPU")
	if ran.UID != p.UID || ran.Spec.Containers[0].Image != "late:gpu" {
		t.Errorf("it is %s with image %s, was %s", ran.UID, ran.Spec.Containers[0].Image, p.UID)
	}
}

// lateQuotaOfLimits: a quota that demands limits of cpu denies a pod that has none, since
// it gets none when it is bound late, and takes one that has its own.
func lateQuotaOfLimits(t *testing.T, s *stack.Stack) {
	const ns = "late-limits"
	namespace(t, s, ns)
	limited(t, s, ns, map[string]string{"limits.cpu": "4", "limits.memory": "4Gi"})
	said, err := s.KubectlInput(t.Context(), manifest(t, latePod("without", "gpu,npu", inNamespace(ns))), "create", "-f", "-")
	if err == nil || !strings.Contains(said, "limits.cpu") {
		t.Errorf("%v, kubectl says %s", err, said)
	}
	own := func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: *amountOf("1")}
	}
	ran := running(t, s, create(t, s, latePod("with", "gpu", inNamespace(ns), own)))
	wantKind(t, ran, "GPU")
	if got := ran.Spec.Containers[0].Resources.Limits.Cpu(); got.Cmp(*amountOf("1")) != 0 {
		t.Errorf("it is limited to %s of cpu", got)
	}
}

// lateBesideClaim: a pod another container of which has a claim of its own gets ours too.
func lateBesideClaim(t *testing.T, s *stack.Stack) {
	claims := s.Client().ResourceV1().ResourceClaims(metav1.NamespaceDefault)
	theirs := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Name: "cores"}}
	theirs.Spec.Devices.Requests = []resourcev1.DeviceRequest{{Name: "cores", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: "cpu.test"}}}
	if _, err := claims.Create(t.Context(), theirs, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	p := create(t, s, latePod("two-claims", "gpu,npu", func(p *corev1.Pod) {
		p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "cores", ResourceClaimName: new("cores")}}
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "record", Image: "record", Resources: corev1.ResourceRequirements{Claims: []corev1.ResourceClaim{{Name: "cores"}}}})
	}))
	ran := running(t, s, p)
	wantKind(t, ran, "GPU")
	entry, err := entryOf(ran, "heteroaccel")
	if err != nil {
		t.Fatal(err)
	}
	for name, driver := range map[string]string{*entry.ResourceClaimName: "gpu.test", "cores": "cpu.test"} {
		c, err := claims.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if a := c.Status.Allocation; a == nil || !slices.ContainsFunc(a.Devices.Results, func(r resourcev1.DeviceRequestAllocationResult) bool { return r.Driver == driver }) {
			t.Errorf("claim %s has %+v, want a device of %s", name, a, driver)
		}
	}
	free(t, s, ran)
	if err := claims.Delete(t.Context(), "cores", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// toCome is a profile of a kind that no node has yet.
const toCome = `
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: fpga.test}
spec: {selectors: [{cel: {expression: "device.driver == 'fpga.test'"}}]}
---
apiVersion: heteroaccel.io/v1alpha1
kind: InferenceProfile
metadata: {name: to-come}
spec:
  container: inference
  binding: late
  variants:
  - {accelerator: FPGA, image: "late:fpga", deviceClassName: fpga.test, limits: {memory: 64Mi}}
`

// lateScaledToZero: a pod waits for a kind that no node has, with a claim for it, which is
// what an autoscaler sees, and runs once a node has one.
func lateScaledToZero(t *testing.T, s *stack.Stack) {
	if said, err := s.KubectlInput(t.Context(), toCome, "apply", "--server-side", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	defer kubectl(t, s, "delete", "inferenceprofile/to-come", "deviceclass/fpga.test")
	asks := anyPod("scaled", "to-come", "any")
	eventuallyWould(t, s, probeOf(asks), "FPGA")
	p := create(t, s, asks)
	saysUnschedulable(t, s, p, "cannot allocate")
	c, err := claimOf(t.Context(), s, p)
	if err != nil || c == nil || c.Spec.Devices.Requests[0].Exactly.DeviceClassName != "fpga.test" {
		t.Errorf("its claim is %+v, %v", c, err)
	}
	defer kubectl(t, s, "delete", "resourceslice", publish(t, s, "fpga", "f", 1))
	if ran := running(t, s, p); ran.UID != p.UID || ran.Spec.NodeName != "f" || ran.Spec.Containers[0].Image != "late:fpga" {
		t.Errorf("pod %s runs %s on %s", ran.UID, ran.Spec.Containers[0].Image, ran.Spec.NodeName)
	}
}

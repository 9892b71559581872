package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

const enforceLabel = "pod-security.kubernetes.io/enforce"

// TestRules is what becomes of pods whose namespace has rules for them, and of
// those whose volumes are somewhere already.
func TestRules(t *testing.T) {
	runShared(t, start(t, stack.Config{}), []shared{
		{"LimitRange for everybody", everybodysLimitRange},
		{"host mount under baseline", func(t *testing.T, s *stack.Stack) { hostMount(t, s, "baseline") }},
		{"host mount under restricted", func(t *testing.T, s *stack.Stack) { hostMount(t, s, "restricted") }},
		{"volume of a node", volumeOfANode},
		{"second start of a StatefulSet", statefulSecondStart},
		{"prediction against the judge", predictionAgainstTheJudge},
	})
}

// plantLimits is the LimitRange that many platforms give to everybody, and a
// Job whose CPU variant would be above its maximum.
const plantLimits = `
apiVersion: v1
kind: LimitRange
metadata: {name: everybody}
spec:
  limits:
  - type: Container
    default: {cpu: 500m, memory: 256Mi}
    defaultRequest: {cpu: 100m, memory: 128Mi}
    max: {cpu: "1", memory: 4Gi}
`

const headCount = `
apiVersion: batch/v1
kind: Job
metadata: {name: count-heads}
spec:
  template:
    metadata:
      labels: {app: count-heads}
      annotations: {heteroaccel.io/inference: face-recognition, heteroaccel.io/accelerator: any}
    spec:
      restartPolicy: Never
      containers:
      - name: inference
        image: heteroaccel/face-recognition
        command: ["./face_recognition", "-i", "hall", "-d", "GPU"]
`

// everybodysLimitRange: with every accelerator held, only the CPU is idle, and
// it is what the LimitRange forbids. The pod is created all the same, waits, and
// runs once an accelerator frees.
func everybodysLimitRange(t *testing.T, s *stack.Stack) {
	const ns = "plant-2"
	namespace(t, s, ns)
	if said, err := s.KubectlInput(t.Context(), plantLimits, "create", "-n", ns, "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	const why = "no CPU (LimitRange everybody: maximum cpu usage per Container is 1, but limit is 2)"
	probe := anyPod("", "face-recognition", "cpu,gpu", inNamespace(ns))
	eventually(t, func(ctx context.Context) error {
		got, err := would(ctx, s, probe.DeepCopy())
		if err == nil && !strings.Contains(reason(got), why) {
			err = fmt.Errorf("the reason is %q, want in it %q", reason(got), why)
		}
		return err
	})
	held := map[string]*corev1.Pod{}
	for _, resource := range []string{gpuResource, stickResource, "fpga.intel.com/arria10.dcp1.2-nlb0"} {
		held[resource] = occupy(t, s, resource)
	}
	probe = anyPod("", "face-recognition", "gpu,cpu")
	eventuallyWould(t, s, probe, "CPU") // in a namespace without the rule
	if said, err := s.KubectlInput(t.Context(), headCount, "create", "-n", ns, "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	only := func(ctx context.Context) (*corev1.Pod, error) {
		list, err := s.Client().CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: "app=count-heads"})
		if err == nil && len(list.Items) != 1 {
			err = fmt.Errorf("%d pods are there, want 1", len(list.Items))
		}
		if err != nil {
			return nil, err
		}
		return &list.Items[0], nil
	}
	eventually(t, func(ctx context.Context) error {
		p, err := only(ctx)
		if err != nil {
			return err
		}
		if kind(p) == "CPU" || !strings.Contains(reason(p), why) {
			t.Fatalf("the pod got %s: %s", kind(p), reason(p))
		}
		return nil
	})
	nothingRefused(t, s, ns)
	vacate(t, s, held[gpuResource])
	eventually(t, func(ctx context.Context) error {
		p, err := only(ctx)
		if err == nil && p.Status.Phase != corev1.PodRunning {
			err = fmt.Errorf("pod %s with %s is %s", p.Name, kind(p), p.Status.Phase)
		}
		return err
	})
	nothingRefused(t, s, ns)
	kubectl(t, s, "delete", "job", "--all", "-n", ns)
	kubectl(t, s, "delete", "limitrange", "--all", "-n", ns)
}

// mountsDRI is a profile, less its name, whose GPU variant mounts what the
// restricted and baseline levels do not allow.
const mountsDRI = `
apiVersion: heteroaccel.io/v1alpha1
kind: InferenceProfile
metadata: {name: %s}
spec:
  variants:
  - accelerator: GPU
    image: heteroaccel/dri:gpu
    limits: {gpu.intel.com/i915: "1"}
    serviceTime: 70ms
    volumes: [{name: dri, hostPath: {path: /dev/dri}}]
    volumeMounts: [{name: dri, mountPath: /dev/dri}]
  - accelerator: NPU
    image: heteroaccel/dri:npu
    device: MYRIAD
    limits: {vpu.intel.com/hddl: "1"}
    serviceTime: 150ms
    supplementalGroups: [109]
`

// hostMount: where the namespace's pod-security level forbids the GPU's host
// mount, the next kind is taken though the GPU is idle and better.
func hostMount(t *testing.T, s *stack.Stack, level string) {
	inference := "mounts-dri-" + level
	if said, err := s.KubectlInput(t.Context(), fmt.Sprintf(mountsDRI, inference), "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	ns := "enforces-" + level
	namespace(t, s, ns)
	face := func(name, ns string) *corev1.Pod {
		return anyPod(name, inference, "gpu,npu", inNamespace(ns), hardened)
	}
	eventuallyWould(t, s, face("", ns), "GPU")
	kubectl(t, s, "label", "namespace", ns, enforceLabel+"="+level)
	eventuallyWould(t, s, face("", ns), "NPU")
	made := create(t, s, face("made", ns))
	wantKind(t, made, "NPU")
	want := fmt.Sprintf("no GPU (PodSecurity %q: ", level+":latest")
	if !strings.Contains(reason(made), want) || !strings.Contains(reason(made), `volume "dri"`) {
		t.Errorf("the reason is %q, want in it %q and the volume", reason(made), want)
	}
	running(t, s, made)
	wantKind(t, create(t, s, face("elsewhere", metav1.NamespaceDefault)), "GPU")

	// Were the GPU all that it may have, the API server says so itself, and the
	// webhook beside it.
	only := anyPod("only", inference, "gpu", inNamespace(ns), hardened)
	said, err := s.KubectlInput(t.Context(), manifest(t, only), "create", "-f", "-")
	if err == nil || !strings.Contains(said, "violates PodSecurity") || !strings.Contains(said, "Warning: no kind is left to it: no GPU (PodSecurity") {
		t.Errorf("%v, kubectl says %s", err, said)
	}
	kubectl(t, s, "label", "namespace", ns, enforceLabel+"-")
	kubectl(t, s, "delete", "inferenceprofile", inference)
}

// hardened is a pod as the restricted level wants it.
func hardened(p *corev1.Pod) {
	p.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot: new(true), RunAsUser: new(int64(1000)),
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	for i := range p.Spec.Containers {
		p.Spec.Containers[i].SecurityContext = &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		}
	}
}

// localVolume is a volume on the disk of node n, bound to a claim that names it.
const localVolume = `
apiVersion: v1
kind: PersistentVolume
metadata: {name: pv-n}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: ""
  local: {path: /x}
  claimRef: {namespace: default, name: data}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: ["n"]}]}]}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], storageClassName: "", volumeName: pv-n, resources: {requests: {storage: 1Gi}}}
`

func withClaim(claim string) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "d", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
		}})
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "d", MountPath: "/d"}}
	}
}

// volumeOfANode: the NPU of the volume's node is chosen at once, and the
// explain page says of the other nodes what the scheduler says.
func volumeOfANode(t *testing.T, s *stack.Stack) {
	if said, err := s.KubectlInput(t.Context(), localVolume, "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	pinned := anyPod("pinned", "face-recognition", "gpu", withClaim("data"))
	face := anyPod("", "face-recognition", "gpu,npu,fpga", withClaim("data"))
	eventuallyWould(t, s, face, "NPU")
	eventually(t, func(ctx context.Context) error {
		c, err := s.Client().CoreV1().PersistentVolumeClaims(metav1.NamespaceDefault).Get(ctx, "data", metav1.GetOptions{})
		if err == nil && c.Status.Phase != corev1.ClaimBound {
			err = fmt.Errorf("the claim is %s", c.Status.Phase)
		}
		return err
	})
	pvpod := face.DeepCopy()
	pvpod.Name = "pvpod"
	pvpod = create(t, s, pvpod)
	wantKind(t, pvpod, "NPU")
	if got := running(t, s, pvpod); got.Spec.NodeName != "n" {
		t.Errorf("the pod runs on %s, want n", got.Spec.NodeName)
	}
	// Of a claim that is not there, or not bound, nothing is known.
	eventuallyWould(t, s, anyPod("", "face-recognition", "gpu,npu", withClaim("missing")), "GPU")

	waits := create(t, s, pinned)
	if !strings.Contains(reason(waits), "no node could take this pod") {
		t.Errorf("the reason is %q", reason(waits))
	}
	eventually(t, func(ctx context.Context) error {
		for _, c := range get(t, s, waits).Status.Conditions {
			if c.Type == corev1.PodScheduled && strings.Contains(c.Message, "PersistentVolume's node affinity") {
				return nil
			}
		}
		return fmt.Errorf("the scheduler has not said no for the volume's sake")
	})
	podSays(t, s, waits, "the pod's volume pv-n cannot be used there")
	vacate(t, s, pvpod)
	vacate(t, s, waits)
	kubectl(t, s, "delete", "pvc", "data")
	kubectl(t, s, "delete", "pv", "pv-n")
}

// keeper is a StatefulSet with a volume that is chosen when its pod is placed
// first, on node n alone.
const keeper = `
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: disks}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk-n}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: disks
  local: {path: /x}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: ["n"]}]}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: keeper}
spec:
  serviceName: none
  selector: {matchLabels: {app: keeper}}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], storageClassName: disks, resources: {requests: {storage: 1Gi}}}
  template:
    metadata:
      labels: {app: keeper}
      annotations: {heteroaccel.io/inference: face-recognition, heteroaccel.io/accelerator: npu}
    spec:
      containers:
      - {name: inference, image: mine, args: [-d, NPU], volumeMounts: [{name: data, mountPath: /data}]}
`

// statefulSecondStart: once the claim is bound, the pod that may have any kind
// gets the one of the volume's node the first time.
func statefulSecondStart(t *testing.T, s *stack.Stack) {
	if said, err := s.KubectlInput(t.Context(), keeper, "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	// While nothing is bound, the volume says nothing.
	eventuallyWould(t, s, anyPod("", "face-recognition", "gpu,npu", withClaim("data-keeper-7")), "GPU")
	web := anyPod("keeper-0", "face-recognition", "npu")
	first := running(t, s, web)
	wantKind(t, first, "NPU")
	eventuallyWould(t, s, anyPod("", "face-recognition", "gpu,npu", withClaim("data-keeper-0")), "NPU")
	kubectl(t, s, "patch", "statefulset", "keeper", "--type=merge", "-p",
		`{"spec":{"template":{"metadata":{"annotations":{"heteroaccel.io/accelerator":"gpu,npu,fpga"}}}}}`)
	eventually(t, func(ctx context.Context) error {
		p, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).Get(ctx, "keeper-0", metav1.GetOptions{})
		switch {
		case err != nil:
			return err
		case p.UID == first.UID:
			return fmt.Errorf("keeper-0 is still the first")
		case kind(p) != "NPU" || p.Annotations[accel.ReadmissionsAnnotation] != "":
			t.Fatalf("keeper-0 got %s, recreated %q times: %s", kind(p), p.Annotations[accel.ReadmissionsAnnotation], reason(p))
		case p.Status.Phase != corev1.PodRunning:
			return fmt.Errorf("keeper-0 is %s", p.Status.Phase)
		}
		return nil
	})
	kubectl(t, s, "delete", "statefulset", "keeper")
	kubectl(t, s, "delete", "pod", "keeper-0", "--ignore-not-found", "--grace-period=0", "--force")
	kubectl(t, s, "delete", "pvc", "--all")
	kubectl(t, s, "delete", "pv", "disk-n")
}

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

package e2e

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
)

// template is what every owner below makes pods from: the inference is the
// second of three containers.
const template = `
      metadata:
        labels: {app: %[1]s}
        annotations: {heteroaccel.io/inference: %[1]s, heteroaccel.io/accelerator: any}
      spec:
        restartPolicy: %[2]s
        initContainers:
        - {name: fetch, image: fetch, command: [fetch, -d, CPU]}
        containers:
        - {name: camera, image: camera, command: [camera, -d, /dev/video0]}
        - {name: inference, image: mine, args: [-i, cam0, -d, GPU]}
        - {name: log, image: log}
`

var workloads = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: face-recognition}
spec:
  selector: {matchLabels: {app: face-recognition}}
  template:` + fmt.Sprintf(template, "face-recognition", "Always") + `
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: action-recognition}
spec:
  selector: {matchLabels: {app: action-recognition}}
  serviceName: none
  template:` + fmt.Sprintf(template, "action-recognition", "Always") + `
---
apiVersion: batch/v1
kind: Job
metadata: {name: text-recognition}
spec:
  template:` + fmt.Sprintf(template, "text-recognition", "Never") + `
---
apiVersion: v1
kind: Pod
metadata:
  generateName: object-detection-
  labels: {app: object-detection}
  annotations: {heteroaccel.io/inference: object-detection, heteroaccel.io/accelerator: any}
spec:
  initContainers:
  - {name: fetch, image: fetch, command: [fetch, -d, CPU]}
  containers:
  - {name: camera, image: camera, command: [camera, -d, /dev/video0]}
  - {name: inference, image: mine, args: [-i, cam0, -d, GPU]}
  - {name: log, image: log}
`

// owners: the pods that Kubernetes' own controllers make are mutated as a bare
// one is, and only in the container that runs the inference.
func owners(t *testing.T, s *stack.Stack) {
	if _, err := s.KubectlInput(t.Context(), workloads, "create", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	flags := map[string]string{"GPU": "GPU", "NPU": "MYRIAD", "FPGA": "HETERO:FPGA,CPU", "CPU": "CPU"}
	got := map[string]string{}
	for _, inference := range []string{"face-recognition", "action-recognition", "text-recognition", "object-detection"} {
		var p corev1.Pod
		eventually(t, func(ctx context.Context) error {
			pods, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "app=" + inference})
			if err == nil && (len(pods.Items) != 1 || pods.Items[0].Status.Phase != corev1.PodRunning) {
				err = fmt.Errorf("%s has %d pods, want one that runs", inference, len(pods.Items))
			}
			if err == nil {
				p = pods.Items[0]
			}
			return err
		})
		k := kind(&p)
		got[k] = inference
		init, camera, c, log := p.Spec.InitContainers[0], p.Spec.Containers[0], p.Spec.Containers[1], p.Spec.Containers[2]
		if want := []string{"-i", "cam0", "-d", flags[k]}; !cmp.Equal(want, c.Args) {
			t.Errorf("%s on %s has the args %q, want %q", inference, k, c.Args, want)
		}
		if want := fmt.Sprintf("heteroaccel/%s:%s", inference, strings.ToLower(k)); c.Image != want {
			t.Errorf("%s on %s has the image %s, want %s", inference, k, c.Image, want)
		}
		others := []string{init.Image, strings.Join(init.Command, " "), camera.Image, strings.Join(camera.Command, " "), log.Image}
		if diff := cmp.Diff([]string{"fetch", "fetch -d CPU", "camera", "camera -d /dev/video0", "log"}, others); diff != "" {
			t.Errorf("%s: the other containers (-want +got):\n%s", inference, diff)
		}
		for _, o := range []corev1.Container{init, camera, log} {
			if len(o.Resources.Limits)+len(o.Env) > 0 {
				t.Errorf("%s: container %s was given %v %v", inference, o.Name, o.Resources.Limits, o.Env)
			}
		}
	}
	if len(got) != 4 {
		t.Errorf("the four pods got %v, want four kinds", got)
	}
}

// roundsRead waits until the webhook has read telemetry so many times more: what
// it was going to do about what was there before, it has done by then.
func roundsRead(t *testing.T, s *stack.Stack, more float64) {
	t.Helper()
	const rounds = "heteroaccel_telemetry_reads_total"
	before, err := metric(t.Context(), s, rounds)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		now, err := metric(ctx, s, rounds)
		if err == nil && now < before+more {
			err = fmt.Errorf("%v rounds of telemetry were read, want %v", now-before, more)
		}
		return err
	})
}

// finishing: a device is idle the moment its pod ends, by the pod's own
// status. The exporter, whose next scrape would show it, is stopped meanwhile:
// its last telemetry shows the device as allocated.
func finishing(t *testing.T, s *stack.Stack) {
	job := fmt.Sprintf(`{apiVersion: batch/v1, kind: Job, metadata: {name: short}, spec: {backoffLimit: 0, template: {
		metadata: {annotations: {heteroaccel.io/inference: face-recognition, heteroaccel.io/accelerator: any, %s: 3s}},
		spec: {restartPolicy: Never, containers: [{name: inference, image: mine}]}}}}`, cluster.DurationAnnotation)
	if _, err := s.KubectlInput(t.Context(), job, "create", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	// Only telemetry has the container.
	nodeSays(t, s, "g", "(inference)")
	roundsRead(t, s, 2) // then the webhook has it as well
	exporter := s.Process("exporter-g")
	if err := exporter.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := exporter.Signal(syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	}()
	wantKind(t, create(t, s, anyPod("meanwhile", "face-recognition", "gpu,npu")), "NPU")
	eventually(t, func(ctx context.Context) error {
		j, err := s.Client().BatchV1().Jobs(metav1.NamespaceDefault).Get(ctx, "short", metav1.GetOptions{})
		if err == nil && j.Status.Succeeded != 1 {
			err = fmt.Errorf("the Job has not succeeded: %v", j.Status)
		}
		return err
	})
	p := create(t, s, anyPod("next", "face-recognition", "any"))
	wantKind(t, p, "GPU")
	if node := running(t, s, p).Spec.NodeName; node != "g" {
		t.Errorf("it runs on %s, want g", node)
	}
}

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/e2e/stack"
)

// server is a Deployment of one pod, labelled app: waits, that may have a GPU or an NPU.
// Whoever serves is never without a pod that is Ready.
const server = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: waits}
spec:
  selector: {matchLabels: {app: waits}}
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}`

// serverManifest is one with further annotations of its pods.
func serverManifest(annotations string) string {
	return server + strings.Replace(waitingTemplate("Always"), `"gpu,npu"`, `"gpu,npu"`+annotations, 1)
}

// TestMovedUp is what becomes of servers that do not run on the fastest kind.
func TestMovedUp(t *testing.T) {
	s := borrow(t, oneNode)
	t.Run("rollouts", func(t *testing.T) { rollouts(t, s) })
	t.Run("asked", func(t *testing.T) { movedWhenAsked(t, s) })
	t.Run("who waits first", func(t *testing.T) { waitsFirst(t, s) })
	t.Run("never ready", func(t *testing.T) { neverReady(t, s) })
	t.Run("min ready", func(t *testing.T) { minReady(t, s) })
	t.Run("disruption budgets", func(t *testing.T) { disruptionBudgets(t, s) })
	t.Run("a deletion cost", func(t *testing.T) { ownDeletionCost(t, s) })
}

// serve creates a Deployment and returns its pod, on a kind.
func serve(t *testing.T, s *stack.Stack, manifest, on string) corev1.Pod {
	t.Helper()
	if said, err := s.KubectlInput(t.Context(), manifest, "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	pod, _ := runsOn(t, s, on)
	return pod
}

// available watches the server's Deployment until the test ends: from now on it is never
// without a pod that is available.
func available(t *testing.T, s *stack.Stack) {
	t.Helper()
	deployments := s.Client().AppsV1().Deployments(metav1.NamespaceDefault)
	eventually(t, func(ctx context.Context) error {
		d, err := deployments.Get(ctx, "waits", metav1.GetOptions{})
		if err == nil && d.Status.AvailableReplicas != 1 {
			err = fmt.Errorf("%d pods are available", d.Status.AvailableReplicas)
		}
		return err
	})
	watch, err := deployments.Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=waits"})
	if err != nil {
		t.Fatal(err)
	}
	var without atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range watch.ResultChan() {
			if d, ok := e.Object.(*appsv1.Deployment); ok && d.DeletionTimestamp == nil && d.Status.AvailableReplicas == 0 {
				without.Add(1)
			}
		}
	}()
	t.Cleanup(func() {
		watch.Stop()
		<-done
		if n := without.Load(); n > 0 {
			t.Errorf("the Deployment was without an available pod %d times", n)
		}
	})
}

// rollouts: after each the server is on the kind that it was on before, moved once.
func rollouts(t *testing.T, s *stack.Stack) {
	const moves = `heteroaccel_webhook_upgrades_total{outcome="done",why="rollout"}`
	manifest := serverManifest("")
	pod := serve(t, s, manifest, "GPU")
	defer deleteOwner(t, s, manifest)
	available(t, s)
	before, err := metric(t.Context(), s, moves)
	if err != nil {
		t.Fatal(err)
	}
	n := 3
	if long {
		n = 20
	}
	displaced := map[types.UID]bool{}
	for i := range n {
		kubectl(t, s, "set", "env", "deployment/waits", fmt.Sprintf("ROUND=%d", i))
		eventually(t, func(ctx context.Context) error {
			pods, err := waits(ctx, s)
			if err != nil {
				return err
			}
			for _, p := range pods {
				if kind(&p) == "NPU" && !displaced[p.UID] {
					displaced[p.UID] = true
					if !strings.Contains(reason(&p), "of another revision still has GPU: it is moved there once that is gone") {
						t.Errorf("rollout %d: its reason is %s", i, reason(&p))
					}
				}
			}
			if len(pods) != 1 || kind(&pods[0]) != "GPU" || pods[0].UID == pod.UID {
				return fmt.Errorf("rollout %d: there are %d pods, such as %s on %s: %s", i, len(pods), pods[0].Name, kind(&pods[0]), reason(&pods[0]))
			}
			if metav1.GetControllerOf(&pods[0]).UID == metav1.GetControllerOf(&pod).UID {
				return fmt.Errorf("rollout %d: pod %s is of the revision before", i, pods[0].Name)
			}
			pod = pods[0]
			return nil
		})
		if !strings.Contains(reason(&pod), "it replaces one that runs on NPU") {
			t.Errorf("rollout %d: its reason is %s", i, reason(&pod))
		}
		eventually(t, func(ctx context.Context) error { return nothingMarked(ctx, s) })
	}
	after, err := metric(t.Context(), s, moves)
	if err != nil {
		t.Fatal(err)
	}
	if after-before != float64(n) || len(displaced) == 0 {
		t.Errorf("after %d rollouts %v pods were moved, and %d were seen before that", n, after-before, len(displaced))
	}
	setTold(t, s, "MovedUp", "another pod serves there in its place")
}

// setTold waits for an Event of a server's ReplicaSet.
func setTold(t *testing.T, s *stack.Stack, reason, note string) {
	t.Helper()
	ownerTold(t, s, "ReplicaSet", "", reason, note)
}

// ownerTold waits for an Event of an object, whatever its name if that is "".
func ownerTold(t *testing.T, s *stack.Stack, of, name, reason, note string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		events, err := s.Client().EventsV1().Events(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{FieldSelector: "reason=" + reason})
		if err != nil {
			return err
		}
		var said []string
		for _, e := range events.Items {
			if e.Regarding.Kind == of && (name == "" || e.Regarding.Name == name) && strings.Contains(e.Note, note) {
				return nil
			}
			said = append(said, e.Regarding.Kind+": "+e.Note)
		}
		return fmt.Errorf("no event %s of a %s says %q, but %q", reason, of, note, said)
	})
}

// movedWhenAsked: a server moves up only once its annotation asks for it.
func movedWhenAsked(t *testing.T, s *stack.Stack) {
	gpu := occupy(t, s, gpuResource)
	manifest := serverManifest("")
	pod := serve(t, s, manifest, "NPU")
	defer deleteOwner(t, s, manifest)
	available(t, s)
	vacate(t, s, gpu)
	roundsRead(t, s, 6)
	if now := get(t, s, &pod); now.UID != pod.UID || now.DeletionTimestamp != nil {
		t.Fatal("it was moved without being asked")
	}
	kubectl(t, s, "annotate", "pod", pod.Name, "heteroaccel.io/upgrade=true")
	runsOn(t, s, "GPU")
	eventually(t, func(ctx context.Context) error { return nothingMarked(ctx, s) })
}

// neverReady: a server whose successor is not Ready in time stays, and is left alone for a
// while.
func neverReady(t *testing.T, s *stack.Stack) {
	gpu := occupy(t, s, gpuResource)
	manifest := serverManifest(`, heteroaccel.io/upgrade: "true", e2e.heteroaccel.io/unready-on: GPU`)
	pod := serve(t, s, manifest, "NPU")
	defer deleteOwner(t, s, manifest)
	available(t, s)
	vacate(t, s, gpu)
	setTold(t, s, "NotMovedUp", "was not Ready within 3s")
	eventually(t, func(ctx context.Context) error {
		pods, err := waits(ctx, s)
		if err == nil && (len(pods) != 1 || pods[0].UID != pod.UID) {
			err = fmt.Errorf("there are %d pods", len(pods))
		}
		return errors.Join(err, nothingMarked(ctx, s))
	})
	vacate(t, s, occupy(t, s, gpuResource)) // nothing holds it
}

// waitsFirst: a pod that waits gets the idle device before a server moves up.
func waitsFirst(t *testing.T, s *stack.Stack) {
	gpu := occupy(t, s, gpuResource)
	manifest := serverManifest(`, heteroaccel.io/upgrade: "true"`)
	pod := serve(t, s, manifest, "NPU")
	defer deleteOwner(t, s, manifest)
	available(t, s)
	waiting := create(t, s, anyPod("first", "face-recognition", "gpu", func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyAlways }))
	wantKind(t, waiting, "GPU")
	vacate(t, s, gpu)
	running(t, s, waiting)
	if now := get(t, s, &pod); now.DeletionTimestamp != nil {
		t.Error("the server was moved before")
	}
	vacate(t, s, waiting)
	runsOn(t, s, "GPU")
}

// disruptionBudgets: what allows no disruption even with the next pod Ready keeps a server
// where it is.
func disruptionBudgets(t *testing.T, s *stack.Stack) {
	for allows, moved := range map[string]bool{"--min-available=2": false, "--min-available=1": true, "--max-unavailable=0": true} {
		t.Run(allows, func(t *testing.T) {
			gpu := occupy(t, s, gpuResource)
			manifest := serverManifest(`, heteroaccel.io/upgrade: "true"`)
			kubectl(t, s, "create", "poddisruptionbudget", "waits", "--selector=app=waits", allows)
			defer kubectl(t, s, "delete", "poddisruptionbudget", "waits")
			pod := serve(t, s, manifest, "NPU")
			defer deleteOwner(t, s, manifest)
			available(t, s)
			vacate(t, s, gpu)
			if moved {
				runsOn(t, s, "GPU")
			} else {
				setTold(t, s, "NotMovedUp", "the pod may not go although the next one is Ready")
				if now, _ := runsOn(t, s, "NPU"); now.UID != pod.UID {
					t.Errorf("pod %s serves, and not %s", now.Name, pod.Name)
				}
			}
			eventually(t, func(ctx context.Context) error { return nothingMarked(ctx, s) })
		})
	}
}

// ownDeletionCost: whoever says which pod goes first is not overruled.
func ownDeletionCost(t *testing.T, s *stack.Stack) {
	gpu := occupy(t, s, gpuResource)
	manifest := serverManifest(`, heteroaccel.io/upgrade: "true", controller.kubernetes.io/pod-deletion-cost: "7"`)
	pod := serve(t, s, manifest, "NPU")
	defer deleteOwner(t, s, manifest)
	vacate(t, s, gpu)
	setTold(t, s, "NotMovedUp", "says which of its Deployment's pods is deleted first")
	if now := get(t, s, &pod); now.DeletionTimestamp != nil || now.Annotations[corev1.PodDeletionCost] != "7" {
		t.Error("it was moved all the same")
	}
}

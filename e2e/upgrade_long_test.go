//go:build long

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/previous"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
	sealed "heteroaccel.io/pkg/record"
)

// revisions are the trees and the programs of the revision before, and of this one.
type revisions struct{ before, now previous.Revision }

// TestUpgrade: this revision goes on with what the one before has begun, and takes over
// from it while pods wait, are created and end, as docs/upgrade.md says.
func TestUpgrade(t *testing.T) {
	before, err := previous.Build(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	programs, err := compiled[true]()
	if err != nil {
		t.Fatal(err)
	}
	r := revisions{before, previous.Revision{Root: root, Programs: programs}}
	// One stick, so that all would rather wait for a GPU.
	nodes := machine.Fleet(1, machine.Shape{GPUs: 4, Sticks: 1, FPGAs: 1, Cores: 16})
	s := start(t, stack.Config{Machines: nodes, Root: before.Root, Programs: before.Programs})
	for range 4 {
		occupy(t, s, gpuResource)
	}
	stick := goesOn(t, s, r, occupy(t, s, stickResource))
	takesOver(t, s, r, stick)
}

// takesOver replaces each program as a rollout does. What waits gets the first good
// device that frees, once; nothing that was asked for meanwhile is lost or doubled, and
// sessions stay.
func takesOver(t *testing.T, s *stack.Stack, r revisions, stick *corev1.Pod) {
	const service = "service of the upgrade"
	if err := s.StartReplica("webhook-2"); err != nil { // the revision before has it stand by
		t.Fatal(err)
	}
	v, err := s.StartService(t.Context(), service, "webhook")
	if err != nil {
		t.Fatal(err)
	}
	defer v.Stop()
	if err := s.Register(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	waited := map[string]corev1.Pod{}
	for _, owner := range []string{"bare pod", "StatefulSet", "Job", "Deployment"} {
		if said, err := s.KubectlInput(t.Context(), waitingOwners[owner], "create", "-f", "-"); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
	}
	eventually(t, func(ctx context.Context) error {
		pods, err := waits(ctx, s)
		if err != nil {
			return err
		}
		for _, p := range pods {
			if unschedulable(&p) != "" {
				waited[ownerOf(&p)] = p
			}
		}
		if len(pods) != 4 || len(waited) != 4 {
			return fmt.Errorf("of %d pods %v wait", len(pods), slices.Collect(maps.Keys(waited)))
		}
		return nil
	})
	forGPU := 0
	for owner, p := range waited {
		if _, named := sealed.KeyOf(p.Annotations[accel.OriginalAnnotation]); named || p.Annotations[accel.OriginalAnnotation] == "" {
			t.Errorf("%s: it has the record %q; want the form of before keys had ids", owner, p.Annotations[accel.OriginalAnnotation])
		}
		if kind(&p) == "GPU" {
			forGPU++
		}
	}
	if forGPU < 3 { // the others have the stick without being recreated
		t.Errorf("only %d pods wait for a GPU", forGPU)
	}
	sessions := openBoth(t, s)
	abandoned(t, s)
	load := startLoad(t, s)

	if err := s.Upgrade(t.Context(), r.now.Root, r.now.Programs); err != nil {
		t.Fatal(err)
	}
	load.more(t, 10)
	// As the Deployment does: one beside the old ones, the one that is not ready goes
	// first, and the one that decides last.
	replaced := time.Now()
	join := func(name string) {
		if err := s.StartReplica(name); err != nil {
			t.Fatal(err)
		}
		if err := v.Add(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	join("webhook-3")
	s.Process("webhook-2").StopWithin(40 * time.Second)
	join("webhook-4")
	v.Remove("webhook")
	load.more(t, 20) // it goes on for a while: see preStop in its manifest
	s.Process("webhook").StopWithin(40 * time.Second)
	s.Process("extender").StopWithin(40 * time.Second)
	if err := s.StartExtender(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, m := range s.Machines {
		name := "exporter-" + m.Name
		s.Process(name).StopWithin(40 * time.Second)
		if err := s.StartExporter(m.Name); err != nil {
			t.Fatal(err)
		}
	}
	over := time.Now()
	t.Logf("replaced within %s", over.Sub(replaced).Round(time.Millisecond))
	sessions.moveTo(t, "connector-2")

	leader := ""
	eventually(t, func(ctx context.Context) error {
		for _, name := range []string{"webhook-3", "webhook-4"} {
			values, err := stack.Metrics(ctx, s.URL(name+" status", "/metrics"))
			if err != nil {
				return err
			}
			if values["heteroaccel_webhook_deciding"] == 1 {
				leader = name
				return nil
			}
		}
		return fmt.Errorf("neither new replica decides")
	})
	load.more(t, 20)
	load.stop(t, over)
	eventually(t, func(ctx context.Context) error { return countedByKey(ctx, s, leader) })
	seen := watchRuns(t, s)
	vacate(t, s, stick)
	asked := len(waited)
	for range asked {
		owner := ""
		eventually(t, func(ctx context.Context) error {
			pods, err := waits(ctx, s)
			if err != nil {
				return err
			}
			for _, p := range pods {
				owner = ownerOf(&p)
				was, again := waited[owner], p.Annotations[accel.ReadmissionsAnnotation]
				if p.Status.Phase != corev1.PodRunning || p.Labels[accel.SuccessorLabel] != "" { // or is not adopted yet
					continue
				}
				if len(pods) != len(waited) {
					return fmt.Errorf("there are %d pods, want %d", len(pods), len(waited))
				}
				_, named := sealed.KeyOf(p.Annotations[accel.OriginalAnnotation])
				if recreated := was.UID != p.UID; recreated != (kind(&was) == "GPU") || recreated != (again == "1") || recreated != named || kind(&p) != "NPU" {
					t.Errorf("%s waited for %s and has %s, recreated %q times, with the record %q", owner, kind(&was), kind(&p), again, p.Annotations[accel.OriginalAnnotation])
				}
				return nothingLeft(ctx, s)
			}
			return fmt.Errorf("of %d pods none runs", len(pods))
		})
		t.Logf("%s got the stick", owner)
		delete(waited, owner)
		if said, err := s.Kubectl(t.Context(), "delete", strings.ToLower(owner), "waits", "--cascade=foreground", "--grace-period=0", "--force"); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
	}
	seen.mu.Lock()
	ran := 0
	for _, pods := range seen.ran { // by the Job's name, or the pod's own
		ran += len(pods)
	}
	if ran != asked {
		t.Errorf("%d pods were bound, want %d: %v", ran, asked, seen.ran)
	}
	seen.mu.Unlock()
	sessions.end(t)
}

// ownerOf says what made a pod.
func ownerOf(p *corev1.Pod) string {
	if c := metav1.GetControllerOf(p); c != nil {
		return strings.Replace(c.Kind, "ReplicaSet", "Deployment", 1)
	}
	return "Pod"
}

// abandoned leaves a reservation that no pod takes: it is refused by somebody who is
// asked after us.
func abandoned(t *testing.T, s *stack.Stack) {
	t.Helper()
	forbid(t, s, "not-today", ":cpu", "object.metadata.name == 'refused'")
	pod := anyPod("refused", "face-recognition", "cpu")
	eventually(t, func(ctx context.Context) error {
		_, err := s.Client().CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
		if err == nil {
			vacate(t, s, pod)
			return fmt.Errorf("the policy is not known yet")
		}
		if !strings.Contains(err.Error(), "are not for here") {
			return err
		}
		return nil
	})
	values, err := stack.Metrics(t.Context(), s.URL("webhook status", "/metrics"))
	if err != nil || values["heteroaccel_webhook_reservations"] < 1 {
		t.Errorf("%v reservations, %v", values["heteroaccel_webhook_reservations"], err)
	}
}

// countedByKey checks that every pod of ours counts under the key of its record, which the
// revision before called "key".
func countedByKey(ctx context.Context, s *stack.Stack, leader string) error {
	list, err := s.Client().CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	want := 0
	for _, p := range list.Items {
		if p.Annotations[accel.OriginalAnnotation] != "" && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			want++
		}
	}
	values, err := stack.Metrics(ctx, s.URL(leader+" status", "/metrics"))
	if err != nil {
		return err
	}
	if got := values[`heteroaccel_webhook_key_pods{key="key"}`]; got != float64(want) || want < 4 || values["heteroaccel_webhook_key_lost_pods"] != 0 {
		return fmt.Errorf("%v pods count for the key, want %d; %v have lost theirs", got, want, values["heteroaccel_webhook_key_lost_pods"])
	}
	return nil
}

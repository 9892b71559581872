package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// TestReadmission is what becomes of pods that wait for a kind that stays
// taken when another frees.
func TestReadmission(t *testing.T) {
	s := borrow(t, oneNode)
	occupy(t, s, gpuResource)
	for owner, manifest := range waitingOwners {
		t.Run(owner, func(t *testing.T) { readmitted(t, s, owner, manifest) })
	}
	t.Run("priority", func(t *testing.T) { byPriority(t, s) })
	t.Run("unknown owner", func(t *testing.T) { unknownOwner(t, s) })
	t.Run("scheduler retries", func(t *testing.T) { requeuedWhenHealthy(t, s) })
	t.Run("scheduler retries what a node offers", func(t *testing.T) { requeuedWhenANodeOffersMore(t, s) })
	t.Run("decisions", func(t *testing.T) { decisionsShown(t, s) })
	if long {
		t.Run("latency", func(t *testing.T) { latency(t, s) })
	}
}

// readmitted: the pod runs on the kind that freed, and its owner noticed nothing.
// How soon is logged: on a shared machine it is no property of the program.
func readmitted(t *testing.T, s *stack.Stack, owner, manifest string) {
	npu := occupy(t, s, stickResource)
	defer deleteOwner(t, s, manifest)
	before := waitsFor(t, s, manifest, "GPU")
	freed := vacate(t, s, npu)
	after, ran := runsOn(t, s, "NPU")
	t.Logf("%s: freed to running on another kind: %s", owner, ran.Sub(freed).Round(time.Millisecond))
	if n := after.Annotations[accel.ReadmissionsAnnotation]; n != "1" {
		t.Errorf("the pod says that it was recreated %q times, want 1", n)
	}
	if !strings.Contains(reason(&after), "waited for GPU before") {
		t.Errorf("its reason does not say that it waited: %s", reason(&after))
	}
	toldWhy(t, s, &before)
	switch owner {
	case "bare pod":
		same(t, &before, &after)
		noRecords(t, s)
	case "Job", "Indexed Job":
		job, err := s.Client().BatchV1().Jobs(metav1.NamespaceDefault).Get(t.Context(), "waits", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		notFailed(t, job)
	case "Deployment":
		// It counts the pod that was replaced until its controller has seen it go.
		eventually(t, func(ctx context.Context) error {
			d, err := s.Client().AppsV1().Deployments(metav1.NamespaceDefault).Get(ctx, "waits", metav1.GetOptions{})
			if err == nil && (d.Status.Replicas != 1 || *d.Spec.Replicas != 1) {
				err = fmt.Errorf("the Deployment has %d of %d replicas", d.Status.Replicas, *d.Spec.Replicas)
			}
			return err
		})
	}
}

func notFailed(t *testing.T, job *batchv1.Job) {
	t.Helper()
	if job.Status.Failed != 0 || job.Status.Active != 1 {
		t.Errorf("the Job has %d failed and %d active pods, want 0 and 1", job.Status.Failed, job.Status.Active)
	}
	if u := job.Status.UncountedTerminatedPods; u != nil && len(u.Failed) > 0 {
		t.Errorf("the Job is about to count %d failed pods", len(u.Failed))
	}
}

// toldWhy checks the Event of a pod that was recreated.
func toldWhy(t *testing.T, s *stack.Stack, p *corev1.Pod) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		events, err := s.Client().EventsV1().Events(p.Namespace).List(ctx, metav1.ListOptions{
			FieldSelector: "reason=Readmitted,regarding.uid=" + string(p.UID),
		})
		if err == nil && (len(events.Items) != 1 || !strings.Contains(events.Items[0].Note, "waited for GPU, and NPU is idle")) {
			err = fmt.Errorf("pod %s has %d events Readmitted", p.Name, len(events.Items))
		}
		return err
	})
}

// same compares what a user wrote of a bare pod before and after.
func same(t *testing.T, before, after *corev1.Pod) {
	t.Helper()
	if before.UID == after.UID {
		t.Error("it is the same pod")
	}
	a, b := before.DeepCopy(), after.DeepCopy()
	for _, p := range []*corev1.Pod{a, b} {
		for _, name := range []string{
			accel.SelectedAnnotation, accel.ReasonAnnotation, accel.ReservationAnnotation, accel.OriginalAnnotation, accel.ReadmissionsAnnotation,
		} {
			delete(p.Annotations, name)
		}
		// What the mutation and the scheduler write differs, and is tested
		// where they are.
		p.Spec.NodeName = ""
		c := &p.Spec.Containers[0]
		c.Image, c.Command = "", nil
		for _, list := range []corev1.ResourceList{c.Resources.Limits, c.Resources.Requests} {
			delete(list, gpuResource)
			delete(list, stickResource)
		}
		c.Env = slices.DeleteFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == accel.DeviceEnv })
	}
	type user struct {
		Name                string
		Labels, Annotations map[string]string
		Spec                corev1.PodSpec
	}
	if diff := cmp.Diff(user{a.Name, a.Labels, a.Annotations, a.Spec}, user{b.Name, b.Labels, b.Annotations, b.Spec}); diff != "" {
		t.Errorf("what the user wrote (-before +after):\n%s", diff)
	}
	if command := strings.Join(after.Spec.Containers[0].Command, " "); command != "bash -c ./run -d MYRIAD && sleep 60" {
		t.Errorf("the command is %q", command)
	}
}

// noRecords checks that no manifest is kept for longer than needed.
func noRecords(t *testing.T, s *stack.Stack) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		secrets, err := s.Client().CoreV1().Secrets(stack.Namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, secret := range secrets.Items {
			if strings.HasPrefix(secret.Name, "heteroaccel-readmission-") {
				return fmt.Errorf("secret %s is still there", secret.Name)
			}
		}
		return nil
	})
}

// byPriority: of two pods that wait the more important goes first, though it
// came last.
func byPriority(t *testing.T, s *stack.Stack) {
	class := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "urgent"}, Value: 1000, PreemptionPolicy: new(corev1.PreemptNever)}
	if _, err := s.Client().SchedulingV1().PriorityClasses().Create(t.Context(), class, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	npu := occupy(t, s, stickResource)
	ordinary := create(t, s, waitingPod("ordinary"))
	wantKind(t, ordinary, "GPU")
	between := create(t, s, waitingPod("between"))
	wantKind(t, between, "NPU") // whose queue is shorter now; the next one's is the GPU's again
	urgent := create(t, s, waitingPod("urgent", withPriority("urgent")))
	wantKind(t, urgent, "GPU")
	vacate(t, s, between)
	vacate(t, s, npu)
	if got := running(t, s, urgent); kind(got) != "NPU" {
		t.Errorf("the urgent pod got %s", kind(got))
	}
	if p := get(t, s, ordinary); p.Spec.NodeName != "" {
		t.Errorf("the ordinary pod got %s on %s before it", kind(p), p.Spec.NodeName)
	}
	vacate(t, s, urgent)
	if got := running(t, s, ordinary); kind(got) != "NPU" {
		t.Errorf("the ordinary pod got %s once the urgent one was done", kind(got))
	}
	vacate(t, s, get(t, s, ordinary))
}

// unknownOwner: a pod whose controller we do not know is left alone.
func unknownOwner(t *testing.T, s *stack.Stack) {
	npu := occupy(t, s, stickResource)
	p := create(t, s, waitingPod("owned", func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "node-000", UID: nodeUID(t, s), Controller: new(true)}}
	}))
	wantKind(t, p, "GPU")
	control := create(t, s, waitingPod("control", withPriority("urgent")))
	vacate(t, s, npu)
	running(t, s, control) // had the other been eligible, it might have been taken; this one was
	vacate(t, s, get(t, s, control))
	roundsRead(t, s, 4)
	if got := get(t, s, p); got.UID != p.UID || kind(got) != "GPU" {
		t.Errorf("it was recreated: %s, %s", kind(got), reason(got))
	}
	vacate(t, s, p)
}

func nodeUID(t *testing.T, s *stack.Stack) types.UID {
	t.Helper()
	n, err := s.Client().CoreV1().Nodes().Get(t.Context(), "node-000", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return n.UID
}

// latency compares, side by side, how long a pod takes from the moment a
// device frees: one that waited for that kind anyway, and one that waited for
// another. It reports, and fails only where a pod does not get there at all.
func latency(t *testing.T, s *stack.Stack) {
	const rounds = 8
	took := map[string][]time.Duration{}
	for range rounds {
		for _, c := range []struct{ name, kinds string }{{"same kind", "npu"}, {"another kind", "gpu,npu"}} {
			npu := occupy(t, s, stickResource)
			p := waitingPod("waits")
			p.Annotations[accel.AcceleratorAnnotation] = c.kinds
			p = create(t, s, p)
			eventually(t, func(ctx context.Context) error {
				found, err := s.Client().CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
				if err == nil && len(found.Status.Conditions) == 0 {
					err = errors.New("the scheduler has not seen the pod yet")
				}
				return err
			})
			freed := vacate(t, s, npu)
			pod, _ := runsOn(t, s, "NPU")
			started, err := time.Parse(time.RFC3339Nano, pod.Status.Message)
			if err != nil {
				t.Fatalf("when the pod started: %v", err)
			}
			took[c.name] = append(took[c.name], started.Sub(freed))
			vacate(t, s, &pod)
		}
	}
	for name, all := range took {
		slices.Sort(all)
		t.Logf("freed to running, %s: median %s of %v", name, all[len(all)/2].Round(time.Millisecond), all)
	}
}

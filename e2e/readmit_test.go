package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

const (
	gpuResource   = "gpu.intel.com/i915"
	stickResource = "vpu.intel.com/hddl"
)

// oneOfEach is a cluster of one node with a GPU and a stick.
func oneOfEach() []*machine.Machine {
	return machine.Fleet(1, machine.Shape{GPUs: 1, Sticks: 1, Cores: 8})
}

// waitingOwners make one pod each, labelled app: waits, that may have a GPU or
// an NPU and waits for a GPU while both are taken.
var waitingOwners = map[string]string{
	"bare pod": `
apiVersion: v1
kind: Pod
metadata:
  name: waits
  labels: {app: waits, mine: too}
  annotations: {heteroaccel.io/inference: face-recognition, heteroaccel.io/accelerator: "gpu,npu", note: kept}
spec:
  restartPolicy: Never
  containers:
  - name: inference
    image: mine
    command: [bash, -c, "./run -d GPU && sleep 60"]
    env: [{name: PASSWORD, value: secret}]
    resources: {requests: {memory: 64Mi}}
`,
	"Deployment": `
apiVersion: apps/v1
kind: Deployment
metadata: {name: waits}
spec:
  selector: {matchLabels: {app: waits}}` + waitingTemplate("Always"),
	"StatefulSet": `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: waits}
spec:
  serviceName: none
  selector: {matchLabels: {app: waits}}` + waitingTemplate("Always"),
	"ReplicationController": `
apiVersion: v1
kind: ReplicationController
metadata: {name: waits}
spec:
  selector: {app: waits}` + waitingTemplate("Always"),
	"DaemonSet": `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: waits}
spec:
  selector: {matchLabels: {app: waits}}` + waitingTemplate("Always"),
	"Job": `
apiVersion: batch/v1
kind: Job
metadata: {name: waits}
spec:
  backoffLimit: 0` + waitingTemplate("Never"),
	"Indexed Job": `
apiVersion: batch/v1
kind: Job
metadata: {name: waits}
spec:
  backoffLimit: 0
  completionMode: Indexed
  completions: 1` + waitingTemplate("OnFailure"),
}

func waitingTemplate(restart string) string {
	return `
  template:
    metadata:
      labels: {app: waits}
      annotations: {heteroaccel.io/inference: face-recognition, heteroaccel.io/accelerator: "gpu,npu"}
    spec:
      restartPolicy: ` + restart + `
      containers:
      - {name: inference, image: mine, args: [-d, GPU]}
`
}

// holder is a pod that holds a device, asks nothing of us, and is not expected
// to end.
func holder(resource string) *corev1.Pod {
	name := "occupies-" + strings.NewReplacer(".", "-", "/", "-").Replace(resource)
	p := plainPod("", withLimit(resource, "1"), func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyAlways })
	p.GenerateName = name + "-"
	return p
}

// occupy takes a device away.
func occupy(t *testing.T, s *stack.Stack, resource string) *corev1.Pod {
	t.Helper()
	return running(t, s, create(t, s, holder(resource)))
}

// vacate deletes a pod and returns when it was gone.
func vacate(t *testing.T, s *stack.Stack, p *corev1.Pod) time.Time {
	t.Helper()
	now := int64(0)
	pods := s.Client().CoreV1().Pods(p.Namespace)
	if err := pods.Delete(t.Context(), p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		t.Fatalf("delete %s: %v", p.Name, err)
	}
	gone := time.Now()
	eventually(t, func(ctx context.Context) error {
		if found, err := pods.Get(ctx, p.Name, metav1.GetOptions{}); err == nil && found.UID == p.UID {
			return fmt.Errorf("pod %s is still there", p.Name)
		}
		return nil
	})
	return gone
}

// waits lists the pods labelled app: waits that are not being deleted.
func waits(ctx context.Context, s *stack.Stack) ([]corev1.Pod, error) {
	list, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "app=waits"})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil }), nil
}

// waitsFor creates an owner's pod, and returns it once the scheduler has found
// that what it waits for is taken.
func waitsFor(t *testing.T, s *stack.Stack, manifest, want string) corev1.Pod {
	t.Helper()
	if said, err := s.KubectlInput(t.Context(), manifest, "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	var pod corev1.Pod
	eventually(t, func(ctx context.Context) error {
		pods, err := waits(ctx, s)
		if err != nil || len(pods) != 1 {
			return fmt.Errorf("%d pods wait, want 1: %w", len(pods), errors.Join(err))
		}
		pod = pods[0]
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable {
				return nil
			}
		}
		return fmt.Errorf("pod %s was not found unschedulable", pod.Name)
	})
	wantKind(t, &pod, want)
	return pod
}

// runsOn waits until exactly one pod is there and runs on a kind; it returns
// the pod and when it was first seen to run.
func runsOn(t *testing.T, s *stack.Stack, want string) (corev1.Pod, time.Time) {
	t.Helper()
	var pod corev1.Pod
	eventually(t, func(ctx context.Context) error {
		pods, err := waits(ctx, s)
		if err != nil {
			return err
		}
		if len(pods) != 1 || pods[0].Status.Phase != corev1.PodRunning || kind(&pods[0]) != want {
			said := make([]string, len(pods))
			for i, p := range pods {
				said[i] = fmt.Sprintf("%s %s on %s: %s", p.Name, p.Status.Phase, kind(&p), reason(&p))
			}
			return fmt.Errorf("want one pod that runs on %s, there are: %s", want, strings.Join(said, "; "))
		}
		pod = pods[0]
		return nil
	})
	return pod, time.Now()
}

// clear deletes an owner and its pods.
func clear(t *testing.T, s *stack.Stack, manifest string) {
	t.Helper()
	if said, err := s.KubectlInput(t.Context(), manifest, "delete", "--cascade=foreground", "--grace-period=0", "--force", "--ignore-not-found", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	eventually(t, func(ctx context.Context) error {
		list, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "app=waits"})
		if err == nil && len(list.Items) > 0 {
			err = fmt.Errorf("%d pods are still there", len(list.Items))
		}
		return err
	})
}

// TestReadmission is what becomes of pods that wait for a kind that stays
// taken when another frees.
func TestReadmission(t *testing.T) {
	s := start(t, stack.Config{Machines: oneOfEach()})
	occupy(t, s, gpuResource)
	for owner, manifest := range waitingOwners {
		t.Run(owner, func(t *testing.T) { readmitted(t, s, owner, manifest) })
	}
	t.Run("priority", func(t *testing.T) { byPriority(t, s) })
	t.Run("unknown owner", func(t *testing.T) { unknownOwner(t, s) })
	t.Run("scheduler retries", func(t *testing.T) { schedulerRetries(t, s) })
	t.Run("scheduler retries what a node offers", func(t *testing.T) { schedulerRetriesWhatANodeOffers(t, s) })
	t.Run("latency", func(t *testing.T) { latency(t, s) })
}

// readmitted: the pod runs on the kind that freed, and its owner noticed nothing.
// How soon is logged: on a shared machine it is no property of the program.
func readmitted(t *testing.T, s *stack.Stack, owner, manifest string) {
	npu := occupy(t, s, stickResource)
	defer clear(t, s, manifest)
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
		d, err := s.Client().AppsV1().Deployments(metav1.NamespaceDefault).Get(t.Context(), "waits", metav1.GetOptions{})
		if err != nil || d.Status.Replicas != 1 || *d.Spec.Replicas != 1 {
			t.Errorf("the Deployment has %d of %d replicas, %v", d.Status.Replicas, *d.Spec.Replicas, err)
		}
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

func withPriority(class string) podOption {
	return func(p *corev1.Pod) { p.Spec.PriorityClassName = class }
}

func waitingPod(name string, options ...podOption) *corev1.Pod {
	p := anyPod(name, "face-recognition", "gpu,npu", options...)
	p.Labels = map[string]string{"app": "waits"}
	return p
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

// schedulerRetries: a device that only a sample shows to be well again is no
// event for the scheduler; the pod that waits for it runs all the same.
func schedulerRetries(t *testing.T, s *stack.Stack) {
	wellAgain(t, s, func() {})
}

// schedulerRetriesWhatANodeOffers: of a node that offers more than before the
// scheduler tells no pod with our marker; the pod that waits for it runs all
// the same.
func schedulerRetriesWhatANodeOffers(t *testing.T, s *stack.Stack) {
	wellAgain(t, s, func() {
		if err := s.SyncNode(t.Context(), s.Machine("node-000")); err != nil {
			t.Fatal(err)
		}
	})
}

// wellAgain has a pod wait for a device that is ill, and then be well. sync is
// called after each.
func wellAgain(t *testing.T, s *stack.Stack, sync func()) {
	m := s.Machine("node-000")
	stick := ""
	for _, d := range m.Devices {
		if d.Resource == stickResource {
			stick = d.Name
		}
	}
	if err := m.SetHealthy(stick, false); err != nil {
		t.Fatal(err)
	}
	sync()
	nodeSays(t, s, "node-000", "unhealthy")
	p := create(t, s, anyPod("patient", "face-recognition", "npu"))
	eventually(t, func(ctx context.Context) error {
		found, err := s.Client().CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range found.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable {
				return nil
			}
		}
		return errors.New("the pod was not found unschedulable")
	})
	if err := m.SetHealthy(stick, true); err != nil {
		t.Fatal(err)
	}
	sync()
	well := time.Now()
	got := running(t, s, p)
	t.Logf("well again to running: %s", time.Since(well).Round(time.Millisecond))
	if got.UID != p.UID {
		t.Error("it was recreated")
	}
	if n, err := metric(t.Context(), s, "heteroaccel_webhook_scheduler_requeues_total"); err != nil || n < 1 {
		t.Errorf("the scheduler was asked to retry %v times, %v", n, err)
	}
	vacate(t, s, p)
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

// TestNoChurn keeps a small cluster in overload. All devices are held, and as
// many pods come to wait for a GPU as for an NPU; then the NPUs free, and the
// GPUs never do. Each device that frees moves one pod at most, each pod that
// moves runs, and no pod moves more often than its back-off allows.
func TestNoChurn(t *testing.T) {
	t.Parallel()
	machines := machine.Fleet(2, machine.Shape{GPUs: 2, Sticks: 2, Cores: 16})
	s := start(t, stack.Config{Machines: machines})
	const quick, each = 60, 4 // pods, and devices of each kind
	held := map[string][]*corev1.Pod{}
	for _, resource := range []string{gpuResource, stickResource} {
		for range each {
			held[resource] = append(held[resource], create(t, s, holder(resource)))
		}
	}
	for _, p := range slices.Concat(held[gpuResource], held[stickResource]) {
		running(t, s, p)
	}
	for i := range quick {
		create(t, s, waitingPod(fmt.Sprintf("quick-%02d", i), withAnnotation(cluster.DurationAnnotation, "400ms")))
	}
	begun := time.Now()
	for _, p := range held[stickResource] {
		vacate(t, s, p)
	}
	moves := map[string]int{}
	eventually(t, func(ctx context.Context) error {
		all, err := waits(ctx, s)
		if err != nil {
			return err
		}
		done := 0
		for _, p := range all {
			n, _ := strconv.Atoi(p.Annotations[accel.ReadmissionsAnnotation])
			moves[p.Name] = max(moves[p.Name], n)
			if p.Status.Phase == corev1.PodSucceeded && kind(&p) == "NPU" {
				done++
			}
		}
		if done != quick || len(all) != quick {
			return fmt.Errorf("%d of %d pods are done on an NPU, want %d", done, len(all), quick)
		}
		return nil
	})
	took := time.Since(begun)
	total, highest := 0, 0
	for _, n := range moves {
		total += n
		highest = max(highest, n)
	}
	t.Logf("%d pods on %d devices in %s: %d re-admissions, at most %d of one pod", quick, each, took.Round(time.Second), total, highest)
	if frees := each + quick; total < quick/4 || total > frees {
		t.Errorf("%d re-admissions while %d times a device freed, want at most as many, and no less than %d", total, frees, quick/4)
	}
	// After the first, a pod rests for 5 s, then for 10.
	if highest > 1+int(took/(5*time.Second)) {
		t.Errorf("one pod was recreated %d times in %s", highest, took)
	}
	counted, err := metric(t.Context(), s, `heteroaccel_webhook_readmissions_total{outcome="done",owner="none"}`)
	if err != nil || int(counted) != total {
		t.Errorf("the webhook counts %v re-admissions, %v, and the pods %d", counted, err, total)
	}
	noRecords(t, s)
}
